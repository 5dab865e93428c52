"""The shading of drawn triangles: one light on skin, eyes, teeth, cloth, hair and glass.

Images are (S, S, 4) float32: linear red, green, blue times coverage, and coverage. Normals and directions are in
camera axes (x right, y up, z toward the camera).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from nasface.faces.rasterize import Raster
from nasface.rendering.painting.hair import Hair
from nasface.rendering.painting.light import Light
from nasface.rendering.painting.noise import MOTTLE, PORES, SIDE, STRANDS

SKIN, PLAIN, EYE, TEETH, TONGUE, CLOTH, FRAME = range(7)
"""What a triangle is made of: the embedded head's `MATERIALS`, then what is worn."""
IRIS, PATTERN = 7, 8
"""Further rows of the colours."""


class Solid(NamedTuple):
    """Everything opaque as one mesh; lit and placed in a picture by `_replace`.

    Attributes:
        vertices: (N, 3); triangles: (T, 3); materials: (T,).
        normals: (N, 3).
        place: (N, 2) on the texture, the pattern or the eyeball.
        open_sky: (N,) share of the light from all sides that a vertex sees; lit: (N,) share of the lamp's.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    materials: np.ndarray
    normals: np.ndarray
    place: np.ndarray
    open_sky: np.ndarray
    lit: np.ndarray


class Finish(NamedTuple):
    """What the opaque triangles look like.

    Attributes:
        texture: `painting.skin`'s.
        colours: (9, 3) linear, by material.
        axes: (2, 3) the head's x and y axes in camera axes, along which the skin's relief slopes.
        pattern: (4,) of the cloth: stripes around, stripes down, their strength, roughness.
        fields: `noise.bank()`.
    """

    texture: np.ndarray
    colours: np.ndarray
    axes: np.ndarray
    pattern: np.ndarray
    fields: np.ndarray


class Lens(NamedTuple):
    """The glass of spectacles: tint (3,) and reflection (3,) linear, opacity 0 to 1, and the slope (3,) of the plane
    in pixels along which the reflection runs."""

    tint: np.ndarray
    opacity: np.float32
    reflection: np.ndarray
    slope: np.ndarray


@njit(cache=True, nogil=True, fastmath=True)
def _sky(harmonics: np.ndarray, x: float, y: float, z: float) -> float:
    light = harmonics[0] + harmonics[1] * y + harmonics[2] * z + harmonics[3] * x
    light += harmonics[4] * x * y + harmonics[5] * y * z + harmonics[6] * (1.5 * z * z - 0.5)
    light += harmonics[7] * x * z + harmonics[8] * (x * x - y * y)
    return max(light, np.float32(0.12))


@njit(cache=True, nogil=True, fastmath=True)
def _power(x: np.float32, n: np.float32) -> np.float32:
    """About x ** n on [0, 1] (Schlick 1994)."""
    return x / (n - n * x + x) if x > 0 else np.float32(0.0)


@njit(cache=True, nogil=True)
def _sample(texture: np.ndarray, u: float, v: float, out: np.ndarray) -> None:
    last = texture.shape[0] - 1
    x, y = min(max(u, 0.0), 1.0) * last, min(max(v, 0.0), 1.0) * last
    column, row = min(int(x), last - 1), min(int(y), last - 1)
    fx, fy = np.float32(x - column), np.float32(y - row)
    one = np.float32(1.0)
    a, b, c, d = (one - fx) * (one - fy), fx * (one - fy), (one - fx) * fy, fx * fy
    for k in range(texture.shape[2]):
        out[k] = (
            a * texture[row, column, k]
            + b * texture[row, column + 1, k]
            + c * texture[row + 1, column, k]
            + d * texture[row + 1, column + 1, k]
        )


@njit(cache=True, nogil=True)
def _field(fields: np.ndarray, kind: int, row: float, column: float) -> float:
    """Bilinear read of noise, which goes on periodically."""
    top, left = int(np.floor(row)), int(np.floor(column))
    fy, fx = np.float32(row - top), np.float32(column - left)
    wrap = SIDE - 1
    r, s, c, d = top & wrap, (top + 1) & wrap, left & wrap, (left + 1) & wrap
    above = fields[kind, r, c] + fx * (fields[kind, r, d] - fields[kind, r, c])
    below = fields[kind, s, c] + fx * (fields[kind, s, d] - fields[kind, s, c])
    return above + fy * (below - above)


@njit(cache=True, nogil=True)
def shade_solid(raster: Raster, solid: Solid, finish: Finish, light: Light, image: np.ndarray) -> None:
    """Shade every covered pixel of the opaque triangles; vertices are in float64 pixels, normals in camera axes."""
    index, weights, _depth = raster
    vertices, triangles, materials, normals, place, open_sky, lit = solid
    texture, colours, axes, pattern, fields = finish
    harmonics, ambient, lamp, lamp_colour, _size = light
    size, wrap = index.shape[0], SIDE - 1
    texel = np.zeros(texture.shape[2], dtype=np.float32)
    colour = np.zeros(3, dtype=np.float32)
    hx, hy, hz = lamp[0], lamp[1], lamp[2] + np.float32(1.0)
    half = np.sqrt(hx * hx + hy * hy + hz * hz) + np.float32(1e-6)
    hx, hy, hz = hx / half, hy / half, hz / half
    for row in range(size):
        for column in range(size):
            t = index[row, column]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            wa, wb, wc = weights[row, column, 0], weights[row, column, 1], weights[row, column, 2]
            area = (vertices[b, 0] - vertices[a, 0]) * (vertices[c, 1] - vertices[a, 1]) - (
                vertices[c, 0] - vertices[a, 0]
            ) * (vertices[b, 1] - vertices[a, 1])
            material = materials[t]
            u = wa * place[a, 0] + wb * place[b, 0] + wc * place[c, 0]
            v = wa * place[a, 1] + wb * place[b, 1] + wc * place[c, 1]
            nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
            ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
            nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            sky = wa * open_sky[a] + wb * open_sky[b] + wc * open_sky[c]
            sun = wa * lit[a] + wb * lit[b] + wc * lit[c]
            strength, exponent, soft = np.float32(0.0), np.float32(20.0), np.float32(0.0)
            if material == SKIN:
                _sample(texture, u, v, texel)
                colour[0], colour[1], colour[2] = texel[0], texel[1], texel[2]
                strength, exponent, soft = np.float32(0.28) * texel[3], 12 + 40 * texel[3], np.float32(1.0)
                for k, slope in ((0, -texel[4]), (1, texel[5])):
                    nx += slope * axes[k, 0]
                    ny += slope * axes[k, 1]
                    nz += slope * axes[k, 2]
            elif material == PLAIN:
                colour[:] = colours[PLAIN]
                soft = np.float32(1.0)
            elif material == EYE:
                radius = np.sqrt(u * u + v * v)
                colour[:] = colours[EYE]
                red = min(max((radius - 0.55) * 1.2, 0.0), 0.5)
                colour[1] *= 1 - np.float32(0.5 * red)
                colour[2] *= 1 - np.float32(0.45 * red)
                if radius < 0.47:
                    angle = np.arctan2(v, u) * 40.0
                    ray = fields[STRANDS, int(radius * 60) & wrap, int(angle) & wrap]
                    rim = 1.0 - 0.75 * min(max((radius - 0.37) / 0.09, 0.0), 1.0)
                    for k in range(3):
                        colour[k] = colours[IRIS, k] * np.float32((1.0 + 0.25 * ray) * rim)
                if radius < 0.19:
                    colour[:] = np.float32(0.003)
                strength, exponent = np.float32(0.9), np.float32(160.0)
            elif material == TEETH:
                colour[:] = colours[TEETH]
                gap = abs((u * 10.0) % 1.0 - 0.5) * 2.0
                dark = np.float32(1.0 - 0.45 * max(gap - 0.8, 0.0) * 5.0)
                for k in range(3):
                    colour[k] *= dark
                strength, exponent = np.float32(0.15), np.float32(50.0)
            elif material == CLOTH:
                stripe = np.sin(u * pattern[0] * 6.2832) + np.sin(v * pattern[1] * 6.2832)
                share = np.float32(min(max(0.5 + stripe * 1.5, 0.0), 1.0) * pattern[2])
                grain = np.float32(1.0) + pattern[3] * fields[PORES, int(v * 300) & wrap, int(u * 900) & wrap]
                grain += np.float32(0.12) * fields[MOTTLE, int(v * 90) & wrap, int(u * 200) & wrap]
                for k in range(3):
                    colour[k] = (colours[CLOTH, k] * (1 - share) + colours[PATTERN, k] * share) * grain
            else:
                colour[:] = colours[material]
                strength, exponent = np.float32(0.4), np.float32(30.0)
            if area > 0 and material <= PLAIN:
                # Inside the mouth and the nostrils one sees skin from behind.
                colour[0], colour[1], colour[2] = 0.05, 0.012, 0.01
                strength = np.float32(0.0)
                sky *= np.float32(0.5)
                sun *= np.float32(0.3)
            elif area > 0:
                nx, ny, nz = -nx, -ny, -nz
            length = np.sqrt(nx * nx + ny * ny + nz * nz) + np.float32(1e-9)
            nx, ny, nz = nx / length, ny / length, nz / length
            around = _sky(harmonics, nx, ny, nz) * sky
            facing = nx * lamp[0] + ny * lamp[1] + nz * lamp[2]
            shine = strength * _power(nx * hx + ny * hy + nz * hz, exponent) * sun if facing > 0 else np.float32(0.0)
            edge = max(np.float32(1.0) - nz, np.float32(0.0))
            sheen = strength * np.float32(0.25) * edge * edge * edge * around
            for k in range(3):
                # Light that enters the skin comes out beyond the edge of the shade, red most of all.
                spread = soft * (np.float32(0.28) if k == 0 else np.float32(0.12) if k == 1 else np.float32(0.07))
                direct = max((facing + spread) / (1 + spread), np.float32(0.0)) * (sun + spread * (1 - sun) * sun)
                bounce = around * (1 + soft * (1 - sky) * (np.float32(0.25) if k == 0 else np.float32(0.0)))
                value = colour[k] * (ambient[k] * bounce + lamp_colour[k] * direct)
                image[row, column, k] = value + lamp_colour[k] * shine + ambient[k] * sheen
            image[row, column, 3] = 1.0


@njit(cache=True, nogil=True)
def shade_hair(
    raster: Raster,
    behind: np.ndarray,
    hair: Hair,
    fields: np.ndarray,
    shift: np.ndarray,
    light: Light,
    image: np.ndarray,
) -> None:
    """Draw hair over what is there; highlights are those of thin cylinders (Kajiya and Kay 1989).

    Args:
        raster: of the hair's triangles.
        behind: (S, S) depth of what is opaque.
        hair: normals and strands in camera axes.
        fields: `noise.bank()`; shift: (2,) cells into it.
        light: of the picture.
        image: (S, S, 4) to draw into.
    """
    index, weights, depth = raster
    triangles, normals, along, place = hair.triangles, hair.normals, hair.along, hair.place
    cover, lit, colour = hair.cover, hair.lit, hair.colour
    gloss, fray, opacity, strands, contrast, wave = hair.style
    harmonics, ambient, lamp, lamp_colour, _size = light
    size = index.shape[0]
    hx, hy, hz = lamp[0], lamp[1], lamp[2] + np.float32(1.0)
    half = np.sqrt(hx * hx + hy * hy + hz * hz) + np.float32(1e-6)
    for row in range(size):
        for column in range(size):
            t = index[row, column]
            if t < 0 or depth[row, column] <= behind[row, column]:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            wa, wb, wc = weights[row, column, 0], weights[row, column, 1], weights[row, column, 2]
            ua, ub, uc = place[a, 0], place[b, 0], place[c, 0]
            # Across the back of the head the coordinate starts anew.
            if ub - ua > 0.5:
                ub -= 1
            elif ua - ub > 0.5:
                ub += 1
            if uc - ua > 0.5:
                uc -= 1
            elif ua - uc > 0.5:
                uc += 1
            u = (wa * ua + wb * ub + wc * uc) * SIDE * strands + shift[0]
            v = (wa * place[a, 1] + wb * place[b, 1] + wc * place[c, 1]) * 60.0 + shift[1]
            bend = _field(fields, MOTTLE, v * 0.6, u * 0.35) * wave
            fine = _field(fields, STRANDS, v, u + bend)
            coarse = _field(fields, STRANDS, v * 0.5 + 71, u * 0.3 + 0.5 * bend + 37)
            shown = wa * cover[a] + wb * cover[b] + wc * cover[c]
            alpha = (shown + fray * (0.55 * fine + 0.45 * coarse)) / max(fray, 0.02) * 0.6 + 0.2
            alpha = min(max(alpha, 0.0), 1.0) * opacity
            if shown < -0.1 or alpha <= 0.02:
                continue
            nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
            ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
            nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            length = np.sqrt(nx * nx + ny * ny + nz * nz) + np.float32(1e-9)
            nx, ny, nz = nx / length, ny / length, nz / length
            tx = wa * along[a, 0] + wb * along[b, 0] + wc * along[c, 0]
            ty = wa * along[a, 1] + wb * along[b, 1] + wc * along[c, 1]
            tz = wa * along[a, 2] + wb * along[b, 2] + wc * along[c, 2]
            sun = wa * lit[a] + wb * lit[b] + wc * lit[c]
            # Strands lie a little askew, which spreads the highlight.
            askew = np.float32(0.12) * fine
            cosine = (tx * hx + ty * hy + tz * hz) / half + askew
            line = np.sqrt(max(1 - cosine * cosine, np.float32(0.0)))
            facing = max(nx * lamp[0] + ny * lamp[1] + nz * lamp[2], np.float32(0.0))
            shine = gloss * _power(line, np.float32(45.0)) * sun * (np.float32(0.2) + facing)
            around = _sky(harmonics, nx, ny, nz) * np.float32(0.8)
            shade = max(
                np.float32(1.0) + contrast * (np.float32(0.7) * fine + np.float32(0.8) * coarse), np.float32(0.15)
            )
            direct = (np.float32(0.25) + np.float32(0.75) * facing) * sun
            keep = np.float32(1 - alpha)
            for k in range(3):
                value = colour[k] * shade * (ambient[k] * around + lamp_colour[k] * direct)
                value += lamp_colour[k] * shine * (np.float32(0.12) + np.float32(0.6) * colour[k])
                image[row, column, k] = keep * image[row, column, k] + np.float32(alpha) * value
            image[row, column, 3] = keep * image[row, column, 3] + np.float32(alpha)


@njit(cache=True, nogil=True)
def shade_glass(raster: Raster, behind: np.ndarray, lens: Lens, image: np.ndarray) -> None:
    """Lay lenses over what is there: a tint, and a soft reflection that runs aslant over them.

    Args:
        raster: of the lenses' triangles; the others as for `shade_hair`.
    """
    index, _weights, depth = raster
    tint, opacity, reflection, slope = lens
    for row in range(index.shape[0]):
        for column in range(index.shape[1]):
            if index[row, column] < 0 or depth[row, column] <= behind[row, column]:
                continue
            height = slope[0] * column + slope[1] * row + slope[2]
            glare = np.float32(max(1 - abs(height), 0.0))
            keep = np.float32(1 - opacity)
            for k in range(3):
                image[row, column, k] = keep * image[row, column, k] + opacity * tint[k] + glare * reflection[k]
            image[row, column, 3] = keep * image[row, column, 3] + opacity
