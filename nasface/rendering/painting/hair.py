"""Hair: a shell over the scalp and, where it is long, a curtain around the neck; caps are made the same way.

Everything is in model coordinates. Whether hair is at a point is a smooth field, `cover`, positive where there is
hair; the hair-line is its zero, frayed by noise when it is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from nasface.faces.morphable import MATERIALS, load_embedded_head, load_head_surface
from nasface.rendering.painting.meshes import grid_triangles, join
from nasface.rendering.painting.skin import Person

COLOURS = (
    np.array([[22, 18, 16], [40, 28, 22], [70, 48, 34], [104, 74, 48], [160, 122, 76], [202, 172, 122], [112, 56, 34]])
    / 255
)
"""sRGB from black to blond, and red; grey is mixed in with age."""
_DARK = 3  # the first this many are nearly all that goes with a dark skin

_CENTRE = np.array([0.0, 0.25, -0.8])  # of the skull; strands run away from the crown above it
_CURTAIN_COLUMNS, _CURTAIN_ROWS = 41, 9


class Style(NamedTuple):
    """How hair looks, float32.

    Attributes:
        gloss: strength of the highlights.
        fray: depth of the ragged edge, in units of `Hair.cover`.
        opacity: greatest opacity.
        strands: strands around the head; contrast: how far they differ in brightness; wave: how far they wind.
    """

    gloss: np.float32
    fray: np.float32
    opacity: np.float32
    strands: np.float32
    contrast: np.float32
    wave: np.float32


class Hair(NamedTuple):
    """A mesh of hair or of a cap.

    Attributes:
        vertices: (M, 3) float32, model coordinates.
        triangles: (T, 3) int32.
        normals: (M, 3) float32.
        along: (M, 3) float32, unit directions of the strands.
        place: (M, 2) float32, across and along the strands, for their texture; across is periodic with 1.
        cover: (M,) float32, > 0 where there is hair.
        lit: (M,) float32, share of the lamp that is seen; 1 until shadows are cast.
        shaded: (V,) float32, what the scalp below keeps of the light from all sides.
        colour: (3,) linear.
        style: see `Style`.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray
    along: np.ndarray
    place: np.ndarray
    cover: np.ndarray
    lit: np.ndarray
    shaded: np.ndarray
    colour: np.ndarray
    style: Style


@dataclass(frozen=True)
class _Scalp:
    """The part of the head that can bear hair (H vertices)."""

    vertices: np.ndarray
    triangles: np.ndarray
    side: np.ndarray  # degrees from the front, signed
    height: np.ndarray
    ear: np.ndarray
    place: np.ndarray


@lru_cache(maxsize=1)
def _scalp() -> _Scalp:
    head, surface = load_embedded_head(), load_head_surface()
    mean = head.mean
    side = np.degrees(np.arctan2(mean[:, 0], mean[:, 2] + 0.85))
    around = np.abs(side)
    skin = np.isin(surface.materials, [MATERIALS.index("skin"), MATERIALS.index("plain")])
    candidate = (mean[:, 1] > -1.0) & ((around > 52) | (mean[:, 1] > 0.3))
    triangles = head.triangles[skin & candidate[head.triangles].all(axis=1)]
    vertices = np.unique(triangles)
    index = np.full(len(mean), -1)
    index[vertices] = np.arange(len(vertices))
    ear = (np.abs(mean[:, 0]) > 0.68) & (mean[:, 1] < 0.36) & (around > 60) & (around < 122)
    ear &= mean[:, 1] > -0.35
    own = mean[vertices]
    return _Scalp(
        vertices,
        index[triangles].astype(np.int32),
        side[vertices],
        own[:, 1],
        ear[vertices],
        np.stack([side[vertices] / 360, _down(own)], axis=1).astype(np.float32),
    )


def _down(points: np.ndarray) -> np.ndarray:
    """How far along a strand from the crown (0) points lie, in about decimetres."""
    away = points - _CENTRE
    return np.arccos(np.clip(away[:, 1] / np.linalg.norm(away, axis=1), -1, 1))


def hair_colour(rng: np.random.Generator, tone: np.ndarray, age: float) -> np.ndarray:
    """sRGB; dark skins nearly always have dark hair, grey comes with age, dyes are rare."""
    if rng.random() < 0.02:
        return rng.uniform(0.1, 0.8, 3)
    dark = tone.mean() < 0.5 or rng.random() < 0.45
    colour = COLOURS[rng.integers(_DARK if dark else len(COLOURS))] * rng.uniform(0.75, 1.25)
    grey = np.clip((age - 0.45) * rng.uniform(0, 2.4), 0, 1)
    return colour + grey * (np.array([0.66, 0.65, 0.63]) * rng.uniform(0.8, 1.15) - colour)


def grow_hair(
    rng: np.random.Generator, person: Person, vertices: np.ndarray, normals: np.ndarray, cap: bool
) -> Hair | None:
    """Hair of one head, or None for a bald one.

    Args:
        vertices, normals: (V, 3) of the head, model coordinates.
        cap: a cap in place of hair.
    """
    kind = rng.choice(["bald", "shaved", "short", "parted", "long", "round"], p=[0.06, 0.09, 0.26, 0.16, 0.37, 0.06])
    if kind == "bald" and not cap:
        return None
    scalp, long = _scalp(), kind == "long" and not cap
    cover = scalp.height - (_cap_line(rng, scalp) if cap else _hair_line(rng, scalp, kind, person.age))
    cover = np.where(scalp.ear, np.minimum(cover, -0.12), cover)
    depth = _depth(rng, scalp, cover, "cap" if cap else kind)
    own_normals = normals[scalp.vertices]
    points = vertices[scalp.vertices] + own_normals * depth[:, None]
    away = points - _CENTRE
    strands = _tangents(away, own_normals)
    shaded = np.ones(len(vertices), np.float32)
    shaded[scalp.vertices] = 1 - 0.7 * np.clip(cover / 0.12, 0, 1)
    parts = [points, scalp.triangles, own_normals, strands, scalp.place, cover]
    if long:
        parts = join([parts, _curtain(rng, vertices)])
    points, triangles, own_normals, strands, place, cover = parts
    colour = np.clip(rng.uniform(0.05, 0.9) + rng.normal(0, 0.12, 3), 0.02, 0.95) if cap else person.hair
    points, own_normals, strands, place, cover = (
        np.ascontiguousarray(values, np.float32) for values in (points, own_normals, strands, place, cover)
    )
    lit, triangles = np.ones(len(points), np.float32), np.ascontiguousarray(triangles, np.int32)
    colour = np.clip(colour, 0.02, 1).astype(np.float32) ** 2
    return Hair(points, triangles, own_normals, strands, place, cover, lit, shaded, colour, _style(rng, kind, cap))


def _style(rng: np.random.Generator, kind: str, cap: bool) -> Style:
    values = (
        0.0 if cap else rng.uniform(0.1, 0.7) * (0.3 if kind in ("shaved", "round") else 1.0),
        0.004 if cap else rng.uniform(0.04, 0.12),
        rng.uniform(0.45, 0.85) if kind == "shaved" and not cap else 1.0,
        float(rng.choice([1.0, 2.0])) if kind != "round" and not cap else 3.0,
        rng.uniform(0.05, 0.12) if cap else rng.uniform(0.15, 0.4),
        0.0 if cap else 3.0 if kind == "round" else rng.uniform(0, 1) ** 2 * 2.2,
    )
    return Style(*map(np.float32, values))


def _hair_line(rng: np.random.Generator, scalp: _Scalp, kind: str, age: float) -> np.ndarray:
    """(H,) height above which hair grows."""
    around = np.abs(scalp.side)
    front = rng.uniform(0.68, 0.86) + 0.2 * rng.random() * max(age - 0.3, 0)
    if kind in ("parted", "long", "short") and rng.random() < 0.35:
        front = rng.uniform(0.3, 0.6)  # a fringe
    corner = front + rng.uniform(-0.1, 0.14)
    temple, side, back = rng.uniform(0.38, 0.62), rng.uniform(-0.08, 0.25), rng.uniform(-0.4, -0.15)
    if kind == "long":
        temple, side, back = rng.uniform(-0.1, 0.62), rng.uniform(-0.6, 0.0), -1.0
    line = np.interp(
        around, [0, 22, 38, 58, 72, 84, 108, 180], [front, front, corner, temple, side + 0.12, side, back, back]
    )
    peak = rng.normal(0, 0.05) * np.exp(-((scalp.side / 12) ** 2))
    wave = rng.normal(0, 0.02, 3) @ np.sin(np.deg2rad(np.outer([3, 7, 11], scalp.side)) + rng.uniform(0, 6, 3)[:, None])
    if age > 0.55 and kind in ("short", "shaved") and rng.random() < 0.4:
        line = np.where(around < 100, line + rng.uniform(0.2, 0.7), line)  # bald on top
    return line - peak + wave


def _cap_line(rng: np.random.Generator, scalp: _Scalp) -> np.ndarray:
    return rng.uniform(0.45, 0.75) - rng.uniform(0.1, 0.45) * np.clip(np.abs(scalp.side) / 120, 0, 1)


def _depth(rng: np.random.Generator, scalp: _Scalp, cover: np.ndarray, kind: str) -> np.ndarray:
    """(H,) how far the hair stands off the scalp."""
    full = {
        "shaved": rng.uniform(0.006, 0.015),
        "short": rng.uniform(0.03, 0.12),
        "parted": rng.uniform(0.07, 0.17),
        "long": rng.uniform(0.05, 0.24),
        "round": rng.uniform(0.15, 0.42),
        "cap": rng.uniform(0.05, 0.1),
        "bald": 0.0,
    }[kind]
    rise = np.clip(cover / (0.05 if kind == "cap" else 0.22), 0, 1)
    rise = rise * (2 - rise)
    phase = rng.uniform(0, 6.3, 3)
    lumps = np.sin(np.deg2rad(scalp.side) * 4 + phase[0]) * np.sin(scalp.height * 7 + phase[1])
    top = 0.6 + 0.4 * np.clip(scalp.height, 0, 1)
    if kind == "parted":
        # Higher on one side of the parting, which runs from front to back.
        top = top * (1 + 0.45 * np.tanh((scalp.side + rng.choice([-1, 1]) * 18) / 14) * rng.choice([-1, 1]))
    if kind == "cap":
        top, lumps = 1.0, 0 * lumps
    return full * rise * top * (1 + 0.12 * lumps) + 0.004


def _tangents(away: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Unit directions on the surface that lead down from the crown."""
    down = np.stack([0.4 * away[:, 0], -np.ones(len(away)), 0.25 * away[:, 2] + 0.2], axis=1)
    down -= (down * normals).sum(axis=1, keepdims=True) * normals
    return down / (np.linalg.norm(down, axis=1, keepdims=True) + 1e-6)


def _curtain(rng: np.random.Generator, vertices: np.ndarray) -> list[np.ndarray]:
    """Hair that hangs around the back of the neck, as `join` wants it."""
    half = np.abs(vertices[:, 0])[vertices[:, 1] > -0.2].max()
    opening, end = rng.uniform(58, 108), rng.uniform(-1.7, -0.75)
    bulge, wave = rng.uniform(0.02, 0.16), rng.uniform(0, 0.04)
    turn = np.linspace(opening, 360 - opening, _CURTAIN_COLUMNS)
    drop = np.linspace(0, 1, _CURTAIN_ROWS)
    angle = np.deg2rad(turn)[None]
    radius = 1.0 + bulge * np.sin(np.pi * drop**0.8)[:, None] + wave * np.sin(7 * angle + 5 * drop[:, None])
    x = half * 1.03 * radius * np.sin(angle)
    z = -0.85 + 0.95 * radius * np.cos(angle) - 0.1 * drop[:, None]
    y = np.broadcast_to((0.45 + drop * (end - 0.45))[:, None], x.shape)
    points = np.stack([x, y, z], axis=-1)
    inward = np.clip(1 - drop / 0.25, 0, 1)[:, None, None] ** 2 * 0.12
    points = points - inward * (points - [0, 0, -0.85]) * [1, 0, 1]
    triangles = grid_triangles(np.arange(_CURTAIN_ROWS * _CURTAIN_COLUMNS).reshape(_CURTAIN_ROWS, _CURTAIN_COLUMNS))
    out = np.stack([np.sin(angle), np.zeros_like(angle), np.cos(angle)], axis=-1)
    normals = np.broadcast_to(out, points.shape).reshape(-1, 3)
    rim = np.minimum(turn - opening, 360 - opening - turn) / 60
    cover = np.minimum(rim[None], (1 - drop)[:, None] * 0.9 + 0.02)
    side = (turn - 360 * (turn > 180)) / 360
    place = np.stack(np.broadcast_arrays(side[None], 0.9 + 0.9 * drop[:, None]), axis=-1)
    points = points.reshape(-1, 3)
    strands = _tangents(points - _CENTRE, normals)
    return [points, triangles, normals, strands, place.reshape(-1, 2), cover.reshape(-1)]
