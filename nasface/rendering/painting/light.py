"""Light: soft light from all sides as spherical harmonics, one lamp with soft cast shadows, and ambient occlusion.

Directions are in camera axes: x right, y up, z toward the camera.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit

from nasface.faces.morphable import MATERIALS, load_embedded_head, load_head_surface
from nasface.faces.rasterize import extent, fill_buffers
from nasface.rendering.painting.looks import Look

_GRID = 112  # side of a shadow map
_TEETH_SKY = np.float32(1.0)  # of the sky, where a mouth is open enough to show them; the mean head's is closed
_SKY = 160  # directions from which occlusion is measured


class Light(NamedTuple):
    """Light of one picture, linear.

    Attributes:
        harmonics: (9,) of the light from all sides, the first being 1 (Ramamoorthi and Hanrahan 2001, whose order-2
            approximation suffices for diffuse surfaces).
        ambient: (3,) its colour.
        lamp: (3,) unit direction toward the lamp.
        colour: (3,) of the lamp.
        size: radius of the lamp's shadow edge, in cells of the shadow map.
    """

    harmonics: np.ndarray
    ambient: np.ndarray
    lamp: np.ndarray
    colour: np.ndarray
    size: int


def draw_light(rng: np.random.Generator, look: Look, tone: np.ndarray) -> Light:
    """Light for a skin of sRGB `tone`; its strength is what a camera's exposure would make of it."""
    from_above = rng.normal(0.3, 0.25)
    harmonics = np.concatenate([[1.0, from_above], rng.normal(0, 0.35, 2), rng.normal(0, 0.1, 5)])
    direction = np.array([rng.normal(0, 0.9), rng.normal(0.45, 0.45), rng.uniform(0.0, 1.2)])
    direction /= np.linalg.norm(direction)
    share = rng.uniform(*look.lamp)
    exposure = np.exp(rng.normal(0, look.exposure)) * 0.9 * (0.5 / float((tone**2).mean())) ** 0.35
    level = exposure / ((1 - share) + share * max(direction[2], 0.45))
    colour, ambient = _temperature(rng, look.tint), _temperature(rng, 0.7 * look.tint)
    return Light(
        harmonics.astype(np.float32),
        (level * (1 - share) * ambient).astype(np.float32),
        direction.astype(np.float32),
        (level * share * colour).astype(np.float32),
        int(rng.integers(1, 5)),
    )


def _temperature(rng: np.random.Generator, deviation: float) -> np.ndarray:
    warmth, green = rng.normal(0, deviation), rng.normal(0, 0.25 * deviation)
    colour = np.exp([0.5 * warmth, green, -0.5 * warmth])
    return colour / colour.mean()


@lru_cache(maxsize=1)
def ambient_occlusion() -> np.ndarray:
    """(V,) float32 in (0, 1]: how much of the sky each vertex of the mean head sees, weighed by the cosine."""
    head = load_embedded_head()
    normals = vertex_normals(head.mean, head.triangles)
    turn = np.arange(_SKY) + 0.5
    height, azimuth = 1 - 2 * turn / _SKY, turn * np.pi * (3 - np.sqrt(5))  # a spiral: evenly over the sphere
    ring = np.sqrt(1 - height**2)
    seen, total = np.zeros(len(head.mean)), np.zeros(len(head.mean))
    for direction in np.stack([ring * np.cos(azimuth), height, ring * np.sin(azimuth)], axis=1):
        cosine = np.maximum(normals @ direction, 0)
        seen += cosine * lit(head.mean, head.triangles, direction.astype(np.float32), 0.03, 1)
        total += cosine
    sky = np.clip(seen / np.maximum(total, 1e-6), 0.08, 1).astype(np.float32)
    teeth = np.unique(head.triangles[load_head_surface().materials == MATERIALS.index("teeth")])
    sky[teeth] = np.maximum(sky[teeth], _TEETH_SKY)
    return sky


def lit(vertices: np.ndarray, triangles: np.ndarray, lamp: np.ndarray, bias: float, radius: int) -> np.ndarray:
    """(V,) float32, the share of the lamp that each vertex sees: 1 in the open, 0 in the shadow of other triangles.

    Args:
        vertices: (V, 3) in axes with y up.
        triangles: (T, 3) that cast shadows.
        lamp: (3,) unit direction toward it.
        bias: what lies less than this far in front casts no shadow.
        radius: half width of the shadow's soft edge in cells of the shadow map.
    """
    side = cross(lamp, np.array([0.0, 1.0, 0.0] if abs(lamp[1]) < 0.9 else [1.0, 0.0, 0.0]))
    side /= np.linalg.norm(side)
    axes = np.stack([side, cross(lamp, side), lamp]).astype(np.float32)
    seen = vertices.astype(np.float32) @ axes.T
    low, high = extent(seen)
    scale = (_GRID - 3) / max(float((high - low).max()), 1e-6)
    seen[:, :2] = (seen[:, :2] - low) * scale + 1
    index = np.full((_GRID, _GRID), -1, np.int32)
    depth = np.full((_GRID, _GRID), -np.inf, np.float32)
    fill_buffers(seen.astype(np.float64), triangles, False, index, depth)
    return _share(seen, depth, np.float32(bias), radius)


def cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cross products (..., 3) of vectors (..., 3): `np.cross` without its checks, which take longer than a face has
    time for."""
    ax, ay, az = first[..., 0], first[..., 1], first[..., 2]
    bx, by, bz = second[..., 0], second[..., 1], second[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


@njit(cache=True, nogil=True)
def _share(points: np.ndarray, depth: np.ndarray, bias: np.float32, radius: int) -> np.ndarray:
    shares = np.empty(points.shape[0], dtype=np.float32)
    last = depth.shape[0] - 1
    for v in range(points.shape[0]):
        column, row = int(points[v, 0] + 0.5), int(points[v, 1] + 0.5)
        open_, all_ = 0, 0
        for r in range(max(row - radius, 0), min(row + radius, last) + 1):
            for c in range(max(column - radius, 0), min(column + radius, last) + 1):
                all_ += 1
                if depth[r, c] <= points[v, 2] + bias * (1 + abs(r - row) + abs(c - column)):
                    open_ += 1
        shares[v] = open_ / max(all_, 1)
    return shares


@njit(cache=True, nogil=True)
def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3) float32 of a mesh whose triangles are counter-clockwise from outside, y up."""
    normals = np.zeros(vertices.shape, dtype=np.float32)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        wx, wy, wz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
        for v in (a, b, c):
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz
    for v in range(vertices.shape[0]):
        length = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2) + np.float32(1e-12)
        for k in range(3):
            normals[v, k] /= length
    return normals
