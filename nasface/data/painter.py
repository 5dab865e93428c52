"""Paints the embedded head: texture, hair, eyes, light, background, occluders, camera. Appearance only; it never
touches the geometry.

Everything is drawn at twice the image's size and averaged down. Colours are sRGB in [0, 1] except inside the shading,
which is linear (gamma 2: squares and roots are cheap).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numba import njit

from nasface.faces.landmarks import GROUPS
from nasface.faces.morphable import MATERIALS, load_embedded_head, load_head_surface

TEXTURE = 160  # side of the skin's texture; the face covers 0.7 of it
SUPERSAMPLING = 2
_EYE, _TEETH, _TONGUE, _HAIR = 2, 3, 4, 5

_SKIN = np.array([[244, 214, 194], [231, 188, 160], [205, 156, 122], [160, 112, 80], [112, 74, 54], [74, 48, 38]]) / 255
_HAIR_COLOURS = np.array(
    [[25, 20, 18], [48, 32, 24], [86, 58, 38], [150, 108, 62], [204, 172, 116], [120, 54, 30], [168, 166, 164]]
)
_IRISES = np.array([[58, 36, 22], [92, 62, 34], [96, 104, 66], [86, 116, 140], [110, 120, 124]]) / 255


@dataclass(frozen=True)
class _Canvas:
    """What is the same for every face: the head with a copy of its scalp as a hair shell, and masks on the texture."""

    triangles: np.ndarray  # (T, 3) int32 with the shell's
    materials: np.ndarray  # (T,) uint8
    texture_uv: np.ndarray  # (V + H, 2) float32
    shell: np.ndarray  # (H,) vertices of the head that the shell copies
    azimuth: np.ndarray  # (H,) degrees, 0 at the front, 90 at the ears
    height: np.ndarray  # (H,) y on the mean head
    ear: np.ndarray  # (H,) bool
    lips: np.ndarray  # (TEXTURE, TEXTURE) float32 masks in [0, 1]
    beard: np.ndarray
    cheeks: np.ndarray
    nose: np.ndarray
    sockets: np.ndarray
    landmarks: np.ndarray  # (68, 2) texture pixels


@lru_cache(maxsize=1)
def _canvas() -> _Canvas:
    head, surface = load_embedded_head(), load_head_surface()
    azimuth = np.degrees(np.abs(np.arctan2(head.mean[:, 0], head.mean[:, 2] + 0.85)))
    skin = np.isin(surface.materials, [MATERIALS.index("skin"), MATERIALS.index("plain")])
    candidate = (head.mean[:, 1] > -1.0) & ((azimuth > 55) | (head.mean[:, 1] > 0.4))
    scalp = skin & candidate[head.triangles].all(axis=1)
    shell = np.unique(head.triangles[scalp])
    index = np.full(len(head.mean), -1)
    index[shell] = np.arange(len(shell)) + len(head.mean)
    ear = (np.abs(head.mean[:, 0]) > 0.69) & (head.mean[:, 1] < 0.34) & (azimuth > 60) & (azimuth < 120)
    points = surface.texture_uv[head.landmark_vertices] * (TEXTURE - 1)
    return _Canvas(
        triangles=np.concatenate([head.triangles, index[head.triangles[scalp]]]).astype(np.int32),
        materials=np.concatenate([surface.materials, np.full(scalp.sum(), _HAIR)]).astype(np.uint8),
        texture_uv=np.concatenate([surface.texture_uv, np.zeros((len(shell), 2))]).astype(np.float32),
        shell=shell,
        azimuth=azimuth[shell],
        height=head.mean[shell, 1],
        ear=ear[shell],
        lips=_soft(_polygon(points[list(GROUPS["outer_lip"])]), 1.2),
        beard=_beard_mask(points),
        cheeks=_blobs([points[[1, 31, 48]].mean(axis=0), points[[15, 35, 54]].mean(axis=0)], 11),
        nose=_blobs([points[30], points[33]], 6),
        sockets=_blobs([points[36:42].mean(axis=0) + [0, 5], points[42:48].mean(axis=0) + [0, 5]], 9),
        landmarks=points,
    )


def _polygon(points: np.ndarray) -> np.ndarray:
    return cv2.fillPoly(np.zeros((TEXTURE, TEXTURE), np.float32), [np.round(points).astype(np.int32)], 1.0)


def _soft(mask: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(mask, (0, 0), sigma)


def _blobs(centres: list[np.ndarray], sigma: float) -> np.ndarray:
    row, column = np.mgrid[:TEXTURE, :TEXTURE]
    parts = [np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * sigma**2)) for x, y in centres]
    return np.sum(parts, axis=0).astype(np.float32)


def _beard_mask(points: np.ndarray) -> np.ndarray:
    """Jaw, chin and upper lip, without the lips."""
    jaw, below = points[2:15], points[2:15] + [0, 40]
    low = _polygon(np.concatenate([jaw, below[::-1]]))
    chin = _polygon(np.concatenate([points[[3, 48, 59, 58, 57, 56, 55, 54, 13]], points[4:13][::-1]]))
    lip = _polygon(np.concatenate([points[[31, 33, 35, 54]], points[[53, 52, 51, 50, 49, 48]]]))
    mask = np.maximum(np.maximum(low, chin), lip) * (1 - _polygon(points[list(GROUPS["outer_lip"])]))
    return _soft(mask, 3.0)


def paint(
    rng: np.random.Generator, vertices: np.ndarray, landmarks: np.ndarray, yaw: float, size: int, rough: bool = True
) -> np.ndarray:
    """One image (size, size, 3) uint8 RGB of a projected head.

    Args:
        rng: source of everything that is not geometry.
        vertices: (V, 3) crop pixels of the embedded head's vertices.
        landmarks: (68, 3) crop pixels, for what is worn on the face.
        yaw: degrees.
        size: side of the image.
        rough: degrade it as a camera would; without, the image is clean and nothing occludes the face.
    """
    canvas = _canvas()
    large = size * SUPERSAMPLING
    fine = np.array(vertices, dtype=np.float32)
    fine = (fine + np.float32([0.5, 0.5, 0])) * SUPERSAMPLING - np.float32([0.5, 0.5, 0])
    hair = _HAIR_COLOURS[rng.integers(len(_HAIR_COLOURS))] / 255 * rng.uniform(0.7, 1.25)
    skin = _skin_tone(rng)
    texture = _texture(rng, canvas, skin, hair)
    image = _background(rng, large)
    normals = _vertex_normals(fine, canvas.triangles, len(fine))
    shell, level = _hair_shell(rng, canvas, fine, normals)
    every = np.concatenate([fine, shell])
    shell_normals = normals[canvas.shell]
    light = _light(rng, skin)
    _shade(
        every.astype(np.float64),
        np.concatenate([normals, shell_normals]),
        canvas.triangles,
        canvas.materials,
        canvas.texture_uv,
        level,
        texture,
        (skin**2).astype(np.float32),
        (_IRISES[rng.integers(len(_IRISES))] ** 2).astype(np.float32),
        (hair**2).astype(np.float32),
        *light,
        image,
    )
    if rough:
        _wear(rng, image, landmarks, yaw, size)
        _occlude(rng, image, landmarks, size)
    image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return _camera(rng, image) if rough else _to_bytes(image)


def _skin_tone(rng: np.random.Generator) -> np.ndarray:
    position = rng.uniform(0, len(_SKIN) - 1)
    low = min(int(position), len(_SKIN) - 2)
    tone = _SKIN[low] + (position - low) * (_SKIN[low + 1] - _SKIN[low])
    return np.clip(tone * rng.normal(1, [0.03, 0.04, 0.06]), 0.03, 0.97)


def _noise(rng: np.random.Generator, cells: int, side: int, channels: int = 1) -> np.ndarray:
    """Smooth noise of unit deviation per cell, (side, side) or (side, side, channels)."""
    coarse = rng.standard_normal((cells, cells, channels), dtype=np.float32)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def _texture(rng: np.random.Generator, canvas: _Canvas, skin: np.ndarray, hair: np.ndarray) -> np.ndarray:
    """The skin's albedo (TEXTURE, TEXTURE, 3) float32, linear."""
    shade = 1 + rng.uniform(0.01, 0.05) * _noise(rng, 7, TEXTURE) + rng.uniform(0.005, 0.035) * _noise(rng, 45, TEXTURE)
    shade -= rng.uniform(0, 0.25) * canvas.sockets
    texture = shade[..., None] * skin.astype(np.float32)
    red = rng.uniform(0, 0.14) * canvas.cheeks + rng.uniform(0, 0.12) * canvas.nose
    texture *= 1 - red[..., None] * np.float32([0.1, 1.0, 0.9])
    _blend(texture, canvas.lips, _lip_colour(rng, skin), rng.uniform(0.3, 0.9))
    if rng.random() < 0.5:
        density = rng.choice([rng.uniform(0.05, 0.35), rng.uniform(0.5, 0.95)])
        mask = canvas.beard * np.clip(0.85 + 0.3 * _noise(rng, 120, TEXTURE), 0, 1)
        _blend(texture, mask, hair * 0.8, density)
    _paint_brows(rng, texture, canvas, hair)
    _paint_lashes(rng, texture, canvas)
    if rng.random() < 0.3:
        for x, y in rng.uniform(0.15, 0.85, (rng.integers(1, 12), 2)) * TEXTURE:
            cv2.circle(texture, (int(x), int(y)), int(rng.integers(0, 2)), (skin * rng.uniform(0.45, 0.8)).tolist(), -1)
    return np.clip(texture, 0.01, 1) ** 2


def _lip_colour(rng: np.random.Generator, skin: np.ndarray) -> np.ndarray:
    if rng.random() < 0.2:
        return np.array([rng.uniform(0.4, 0.85), rng.uniform(0.05, 0.25), rng.uniform(0.1, 0.35)])
    return skin * np.array([rng.uniform(0.82, 0.98), rng.uniform(0.55, 0.75), rng.uniform(0.58, 0.8)])


def _blend(image: np.ndarray, mask: np.ndarray, colour: np.ndarray, amount: float) -> None:
    _blend_into(image, mask, colour.astype(np.float32), np.float32(amount))


@njit(cache=True, nogil=True)
def _blend_into(image: np.ndarray, mask: np.ndarray, colour: np.ndarray, amount: float) -> None:
    for row in range(mask.shape[0]):
        for column in range(mask.shape[1]):
            weight = mask[row, column] * amount
            if weight > 0:
                for k in range(3):
                    image[row, column, k] += weight * (colour[k] - image[row, column, k])


def _paint_brows(rng: np.random.Generator, texture: np.ndarray, canvas: _Canvas, hair: np.ndarray) -> None:
    mask = np.zeros((TEXTURE, TEXTURE), np.float32)
    thickness, lift, taper = rng.uniform(2.5, 7), rng.uniform(-2, 1.5), rng.uniform(0.3, 0.8)
    for name, order in (("left_brow", 1), ("right_brow", -1)):
        points = canvas.landmarks[list(GROUPS[name])][::order] + [0, lift]
        for i in range(4):
            width = thickness * (taper + (1 - taper) * i / 3)
            line = np.round(points[i : i + 2] * 8).astype(np.int32)
            cv2.polylines(mask, [line], False, 1.0, max(1, round(width)), cv2.LINE_8, 3)
    mask = _soft(mask, 1.0) * np.clip(0.85 + 0.3 * _noise(rng, 70, TEXTURE), 0, 1)
    _blend(texture, mask, hair * rng.uniform(0.5, 0.95), rng.uniform(0.35, 1.0))


def _paint_lashes(rng: np.random.Generator, texture: np.ndarray, canvas: _Canvas) -> None:
    mask = np.zeros((TEXTURE, TEXTURE), np.float32)
    made_up = rng.random() < 0.2
    for upper, lower in (([36, 37, 38, 39], [39, 40, 41, 36]), ([42, 43, 44, 45], [45, 46, 47, 42])):
        for line, strength in ((upper, 1.0), (lower, 0.5)):
            points = np.round(canvas.landmarks[line] * 8).astype(np.int32)
            cv2.polylines(mask, [points], False, strength, 4 if made_up else 2, cv2.LINE_8, 3)
    _blend(texture, _soft(mask, 0.8), np.array([0.08, 0.06, 0.06]), rng.uniform(0.4, 1.0))


@njit(cache=True, nogil=True)
def _vertex_normals(vertices: np.ndarray, triangles: np.ndarray, count: int) -> np.ndarray:
    """Unit normals (count, 3) of the first `count` vertices, in crop axes (y down), pointing outwards."""
    normals = np.zeros((count, 3), dtype=np.float32)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        if a >= count:
            continue
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        wx, wy, wz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        # y points down: the outward normal is the negative cross product.
        nx, ny, nz = wy * uz - uy * wz, wz * ux - uz * wx, wx * uy - ux * wy
        for v in (a, b, c):
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz
    for v in range(count):
        length = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2) + 1e-12
        for k in range(3):
            normals[v, k] /= length
    return normals


def _hair_shell(
    rng: np.random.Generator, canvas: _Canvas, vertices: np.ndarray, normals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (H, 3) of the hair and its brightness at every vertex of head and shell, 0 where there is none."""
    level = np.zeros(len(vertices) + len(canvas.shell), dtype=np.float32)
    clump = np.clip(rng.normal(1, 0.22, len(canvas.shell)), 0.4, 1.7)
    style = rng.random()
    front, temple = rng.uniform(0.66, 0.95), rng.uniform(0.5, 0.7)
    back = rng.uniform(-0.35, -0.15)
    side, thickness = rng.uniform(-0.05, 0.3), rng.uniform(0.015, 0.16)
    if style < 0.35:  # long: over the ears and down the neck
        side, back, thickness = rng.uniform(-0.95, -0.4), -1.0, rng.uniform(0.06, 0.22)
    line = np.interp(
        canvas.azimuth, [0, 35, 55, 70, 82, 105, 180], [front, front, temple, side + 0.2, side, back, back]
    )
    if style < 0.35:
        line = np.where(canvas.azimuth < 70, np.maximum(line, 0.45), line)
    above = canvas.height - line
    present = above > 0
    if style >= 0.35:
        present &= ~canvas.ear
    if style > 0.9:  # bald
        present[:] = False
    unit = np.linalg.norm(vertices[0] - vertices[-1]) / _UNIT
    grow = np.clip(above / 0.18, 0.08, 1) * thickness * unit * (0.75 + 0.25 * clump)
    shell = vertices[canvas.shell] + normals[canvas.shell] * grow[:, None]
    level[len(vertices) :] = np.where(present, clump, 0)
    return shell.astype(np.float32), level


def _first_to_last() -> float:
    mean = load_embedded_head().mean
    return float(np.linalg.norm(mean[0] - mean[-1]))


_UNIT = _first_to_last()


def _light(
    rng: np.random.Generator, skin: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ambient light as 9 spherical harmonic coefficients and its colour, one lamp's direction and colour, gloss
    (strength, exponent)."""
    harmonics = np.concatenate([[1.0], rng.normal(0, 0.3, 3), rng.normal(0, 0.1, 5)])
    # A camera's own exposure makes up for part of what a dark skin keeps.
    exposure = np.exp(rng.normal(-0.1, 0.28)) * np.clip((0.55 / skin.mean()) ** 0.7, 0.8, 1.8)
    share = rng.beta(2, 2)
    warm = np.array([1 + rng.normal(0, 0.12), 1.0, 1 - rng.normal(0, 0.12)])
    cool = np.array([1 + rng.normal(0, 0.1), 1.0, 1 - rng.normal(0, 0.1)])
    direction = np.array([rng.normal(0, 0.8), -abs(rng.normal(0.3, 0.5)), rng.uniform(0.1, 1.2)])
    direction /= np.linalg.norm(direction)
    gloss = np.array([rng.uniform(0.0, 0.25), rng.uniform(8, 40)])
    parts = (harmonics, exposure * (1 - share) * cool, direction, 1.4 * exposure * share * warm, gloss)
    return tuple(part.astype(np.float32) for part in parts)


@njit(cache=True, nogil=True)
def _shade(
    vertices: np.ndarray,
    normals: np.ndarray,
    triangles: np.ndarray,
    materials: np.ndarray,
    texture_uv: np.ndarray,
    level: np.ndarray,
    texture: np.ndarray,
    skin: np.ndarray,
    iris: np.ndarray,
    hair: np.ndarray,
    harmonics: np.ndarray,
    ambient: np.ndarray,
    lamp: np.ndarray,
    lamp_colour: np.ndarray,
    gloss: np.ndarray,
    image: np.ndarray,
) -> None:
    """Draw the head over `image` (S, S, 3) float32 sRGB: z-buffer, then one shading of each covered pixel."""
    size = image.shape[0]
    depth = np.full((size, size), -np.inf)
    index = np.full((size, size), -1, dtype=np.int32)
    weights = np.zeros((size, size, 2), dtype=np.float32)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        if materials[t] == _HAIR and (level[a] == 0 or level[b] == 0 or level[c] == 0):
            continue
        ax, ay, bx, by, cx, cy = (
            vertices[a, 0],
            vertices[a, 1],
            vertices[b, 0],
            vertices[b, 1],
            vertices[c, 0],
            vertices[c, 1],
        )
        top, bottom = max(0, int(np.ceil(min(ay, by, cy)))), min(size - 1, int(np.floor(max(ay, by, cy))))
        left, right = max(0, int(np.ceil(min(ax, bx, cx)))), min(size - 1, int(np.floor(max(ax, bx, cx))))
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area == 0.0:
            continue
        inverse = 1.0 / area
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                wa = ((bx - column) * (cy - row) - (cx - column) * (by - row)) * inverse
                wb = ((cx - column) * (ay - row) - (ax - column) * (cy - row)) * inverse
                wc = 1.0 - wa - wb
                if wa < -1e-9 or wb < -1e-9 or wc < -1e-9:
                    continue
                z = wa * vertices[a, 2] + wb * vertices[b, 2] + wc * vertices[c, 2]
                if z > depth[row, column]:
                    depth[row, column] = z
                    # The sign tells the two sides apart: inside the mouth and the nostrils one sees skin from behind.
                    index[row, column] = t if area < 0 else -2 - t
                    weights[row, column, 0], weights[row, column, 1] = wa, wb
    colour = np.zeros(3, dtype=np.float32)
    for row in range(size):
        for column in range(size):
            t = index[row, column]
            if t == -1:
                continue
            behind = t < -1
            t = -2 - t if behind else t
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            wa, wb = weights[row, column, 0], weights[row, column, 1]
            wc = 1 - wa - wb
            material = materials[t]
            strength, exponent = gloss[0], gloss[1]
            x = wa * texture_uv[a, 0] + wb * texture_uv[b, 0] + wc * texture_uv[c, 0]
            y = wa * texture_uv[a, 1] + wb * texture_uv[b, 1] + wc * texture_uv[c, 1]
            if behind and material != _HAIR:
                colour[0], colour[1], colour[2] = 0.03, 0.008, 0.006
            elif material == _EYE:
                radius = np.sqrt(x * x + y * y)
                if radius < 0.2:
                    colour[:] = 0.004
                elif radius < 0.46:
                    colour[:] = iris * (1.2 if radius < 0.38 else 0.5)
                else:
                    colour[0], colour[1], colour[2] = 0.6, 0.56, 0.54
                strength, exponent = 0.5, 60.0
            elif material == _TEETH:
                colour[0], colour[1], colour[2] = 0.6, 0.55, 0.46
            elif material == _TONGUE:
                colour[0], colour[1], colour[2] = 0.3, 0.07, 0.07
            elif material == _HAIR:
                colour[:] = hair * (wa * level[a] + wb * level[b] + wc * level[c])
            elif material == 1:
                colour[:] = skin
                strength = 0.0
            else:
                _sample(texture, x, y, colour)
            nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
            ny = -(wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1])
            nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            nx, ny, nz = nx / length, ny / length, nz / length
            around = harmonics[0] + harmonics[1] * ny + harmonics[2] * nz + harmonics[3] * nx
            around += harmonics[4] * nx * ny + harmonics[5] * ny * nz + harmonics[6] * (1.5 * nz * nz - 0.5)
            around += harmonics[7] * nx * nz + harmonics[8] * (nx * nx - ny * ny)
            around = max(around, 0.15)
            direct = max(nx * lamp[0] - ny * lamp[1] + nz * lamp[2], 0.0)
            # Blinn and Phong's highlight, the camera looking along -z.
            hx, hy, hz = lamp[0], -lamp[1], lamp[2] + 1.0
            hl = np.sqrt(hx * hx + hy * hy + hz * hz)
            shine = strength * max((nx * hx + ny * hy + nz * hz) / hl, 0.0) ** exponent if direct > 0 else 0.0
            for k in range(3):
                value = colour[k] * (ambient[k] * around + lamp_colour[k] * direct) + lamp_colour[k] * shine
                image[row, column, k] = min(max(value, 0.0), 1.0) ** 0.5


@njit(cache=True, nogil=True)
def _sample(texture: np.ndarray, u: float, v: float, colour: np.ndarray) -> None:
    side = texture.shape[0]
    x, y = min(max(u, 0.0), 1.0) * (side - 1), min(max(v, 0.0), 1.0) * (side - 1)
    column, row = min(int(x), side - 2), min(int(y), side - 2)
    fx, fy = x - column, y - row
    for k in range(3):
        above = texture[row, column, k] * (1 - fx) + texture[row, column + 1, k] * fx
        below = texture[row + 1, column, k] * (1 - fx) + texture[row + 1, column + 1, k] * fx
        colour[k] = above * (1 - fy) + below * fy


def _background(rng: np.random.Generator, side: int) -> np.ndarray:
    """(side, side, 3) float32: a gradient or soft noise, often with clutter."""
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        ramp = np.linspace(-1, 1, side, dtype=np.float32)
        t = np.clip(0.5 + 0.5 * (np.cos(angle) * ramp + np.sin(angle) * ramp[:, None]), 0, 1)[..., None]
        first, second = rng.uniform(0.02, 1, (2, 3)).astype(np.float32)
        image = first + t * (second - first)
    else:
        image = rng.uniform(0.1, 0.9, 3).astype(np.float32) + 0.18 * _noise(rng, int(rng.integers(3, 12)), side, 3)
    image = np.ascontiguousarray(image, dtype=np.float32)
    if rng.random() < 0.65:
        for _ in range(rng.integers(2, 16)):
            _clutter(rng, image)
        if rng.random() < 0.6:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 5))
    if rng.random() < 0.4:
        image += rng.uniform(0.01, 0.08) * rng.standard_normal((side, side, 1), dtype=np.float32)
    return np.clip(image, 0, 1)


def _clutter(rng: np.random.Generator, image: np.ndarray) -> None:
    """One rectangle, ellipse, bar or skin-coloured disc somewhere."""
    side = len(image)
    colour = _skin_tone(rng) if rng.random() < 0.25 else rng.uniform(0, 1, 3)
    x, y, w, h = rng.uniform([0, 0, 0.04, 0.04], [1, 1, 0.5, 0.5]) * side
    kind = rng.integers(3)
    if kind == 0:
        corners = cv2.boxPoints(((x, y), (w, h), rng.uniform(0, 180)))
        cv2.fillPoly(image, [np.round(corners).astype(np.int32)], colour.tolist())
    elif kind == 1:
        cv2.ellipse(image, (int(x), int(y)), (int(w / 2), int(h / 2)), rng.uniform(0, 180), 0, 360, colour.tolist(), -1)
    else:
        end = rng.uniform(0, side, 2)
        cv2.line(image, (int(x), int(y)), (int(end[0]), int(end[1])), colour.tolist(), int(rng.integers(1, 6)))


def _wear(rng: np.random.Generator, image: np.ndarray, landmarks: np.ndarray, yaw: float, size: int) -> None:
    """Sometimes glasses, on faces that show both eyes."""
    if rng.random() > 0.14 or abs(yaw) > 50:
        return
    points = (landmarks[:, :2] + 0.5) * SUPERSAMPLING - 0.5
    colour = (rng.uniform(0, 0.35, 3) if rng.random() < 0.8 else rng.uniform(0, 1, 3)).tolist()
    width, dark = max(1, round(size * SUPERSAMPLING * rng.uniform(0.008, 0.025))), rng.random() < 0.3
    lenses = []
    for outer, inner, group in ((17, 21, "left_eye"), (26, 22, "right_eye")):
        eye = points[list(GROUPS[group])].mean(axis=0)
        across = (points[outer] - points[inner]) * 0.52
        down = np.array([-across[1], across[0]])
        down = down / np.linalg.norm(down) * np.linalg.norm(points[27] - points[30]) * rng.uniform(0.5, 0.7)
        angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)[:, None]
        lens = eye + np.cos(angle) * across + np.sin(angle) * down
        lenses.append(np.round(lens).astype(np.int32))
    if dark:
        cv2.fillPoly(image, lenses, (np.array(colour) * 0.4).tolist())
    cv2.polylines(image, lenses, True, colour, width, cv2.LINE_AA)
    nearest = np.argmin(np.linalg.norm(lenses[0][:, None] - lenses[1][None], axis=2))
    bridge = lenses[0][nearest // 20], lenses[1][nearest % 20]
    cv2.line(image, bridge[0].tolist(), bridge[1].tolist(), colour, width, cv2.LINE_AA)


def _occlude(rng: np.random.Generator, image: np.ndarray, landmarks: np.ndarray, size: int) -> None:
    """Sometimes something before the face: a patch near its rim, as a hand, a cup or a microphone would be."""
    if rng.random() > 0.22:
        return
    points = (landmarks[:, :2] + 0.5) * SUPERSAMPLING - 0.5
    span = np.ptp(points, axis=0).max()
    colour = _skin_tone(rng) * rng.uniform(0.5, 1) if rng.random() < 0.4 else rng.uniform(0, 1, 3)
    anchor = points[rng.integers(68)] + rng.normal(0, 0.08 * span, 2)
    axes = np.round(span * rng.uniform(0.06, 0.2, 2)).astype(int)
    turn = rng.uniform(0, 180)
    if rng.random() < 0.5:
        cv2.ellipse(
            image, np.round(anchor).astype(int).tolist(), axes.tolist(), turn, 0, 360, colour.tolist(), -1, cv2.LINE_AA
        )
    else:
        box = cv2.boxPoints((anchor.tolist(), (2 * axes).tolist(), turn))
        cv2.fillPoly(image, [np.round(box).astype(np.int32)], colour.tolist(), cv2.LINE_AA)


def _camera(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Exposure, white balance, blur, noise and compression."""
    gain = rng.normal(1, 0.06, 3) * np.exp(rng.normal(0, 0.12))
    image = np.clip(image * gain.astype(np.float32), 0, 1) ** np.float32(np.exp(rng.normal(0, 0.18)))
    if rng.random() < 0.1:
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.35:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.1))
    if rng.random() < 0.6:
        image = image + rng.uniform(0.0, 0.045) * rng.standard_normal(image.shape, dtype=np.float32)
    image = _to_bytes(image)
    if rng.random() < 0.3:
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))])
        image = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return image


def _to_bytes(image: np.ndarray) -> np.ndarray:
    return np.clip(np.round(image * 255), 0, 255).astype(np.uint8)
