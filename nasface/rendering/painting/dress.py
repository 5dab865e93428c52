"""What is worn: clothes on the shoulders and glasses, as small meshes in model coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nasface.faces.landmarks import GROUPS
from nasface.rendering.painting.light import cross
from nasface.rendering.painting.meshes import grid_triangles, join

_SECTION = 5  # corners of a glasses frame's cross-section
_OUTLINE = 26  # corners of a lens


@dataclass(frozen=True)
class Garment:
    """Clothes.

    Attributes:
        vertices: (M, 3) model coordinates; triangles: (T, 3).
        place: (M, 2) around and down, for the pattern.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    place: np.ndarray


@dataclass(frozen=True)
class Glasses:
    """A frame and two lenses.

    Attributes:
        vertices: (M, 3) of the frame; triangles: (T, 3).
        lens_vertices, lens_triangles: of the lenses.
        tint: (3,) linear colour of the glass; opacity: 0 (clear) to 1.
        colour: (3,) linear, of the frame.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    lens_vertices: np.ndarray
    lens_triangles: np.ndarray
    tint: np.ndarray
    opacity: float
    colour: np.ndarray


def draw_garment(rng: np.random.Generator, rotation: np.ndarray) -> Garment:
    """Shoulders below the neck; they turn less than the head does.

    Args:
        rotation: (3, 3) of the head, model to camera axes (y up).
    """
    t, angle, triangles, place = _cloth()
    collar = rng.uniform(-1.12, -0.95)
    wide = 0.68 + (1.05 + rng.uniform(-0.1, 0.2)) * np.clip(t / 0.55, 0, 1) ** 0.8 + 0.12 * t
    deep = 0.64 + 0.28 * np.clip(t / 0.6, 0, 1)
    fall = 0.14 * t + 0.32 * np.clip(t / 0.55, 0, 1) ** 2.5 + 1.6 * np.clip((t - 0.55) / 0.45, 0, 1)
    x = wide * np.sin(angle)
    z = deep * np.cos(angle) - 0.08 * t
    y = -fall - rng.uniform(0, 0.16) * np.clip(np.cos(angle), 0, 1) * (1 - t)
    points = np.stack(np.broadcast_arrays(x, y, z), axis=-1).reshape(-1, 3)
    # The body looks half the way that the head does and stays nearly upright.
    body = _upright(rotation, rng.uniform(0.3, 0.8))
    points = points @ (rotation.T @ body).T + [0, collar, -0.88]
    return Garment(points.astype(np.float32), triangles, place)


@lru_cache(maxsize=1)
def _cloth() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rings of a garment: how far down (9, 1) and around (1, 28), the triangles, and the place of each corner."""
    rings, columns = 9, 28
    t = np.linspace(0, 1, rings)[:, None]
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    triangles = grid_triangles(np.pad(np.arange(rings * columns).reshape(rings, columns), ((0, 0), (0, 1)), "wrap"))
    place = np.stack(np.broadcast_arrays(angle / (2 * np.pi), 1.2 * t), axis=-1).reshape(-1, 2)
    return t, angle, triangles.astype(np.int32), place.astype(np.float32)


def _upright(rotation: np.ndarray, share: float) -> np.ndarray:
    """A turn about the vertical by `share` of the head's own."""
    turn = share * np.arctan2(rotation[0, 2], np.hypot(rotation[1, 2], rotation[2, 2]))
    return np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])


def draw_glasses(rng: np.random.Generator, vertices: np.ndarray, landmarks: np.ndarray) -> Glasses:
    """Glasses that fit a head.

    Args:
        vertices: (V, 3) and landmarks (68, 3), both in model coordinates.
    """
    eyes = [landmarks[list(GROUPS[name])].mean(axis=0) for name in ("left_eye", "right_eye")]
    half_width, power = rng.uniform(0.19, 0.24), rng.choice([2.0, 2.6, 4.0])
    half_height, wrap = half_width * rng.uniform(0.62, 0.98), rng.uniform(0.1, 0.35)
    plane = max(landmarks[27, 2] + 0.02, landmarks[[17, 19, 24, 26], 2].max() + 0.01) + rng.uniform(0, 0.06)
    drop, thick = rng.uniform(-0.02, 0.06), rng.uniform(0.007, 0.024)
    turn = np.linspace(0, 2 * np.pi, _OUTLINE, endpoint=False)
    meshes, outlines = [], []
    for eye in eyes:
        x = eye[0] * 1.06 + half_width * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / power)
        y = eye[1] - drop + half_height * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / power)
        outline = np.stack([x, y, plane - wrap * x**2], axis=1)
        outlines.append(outline)
        meshes.append(_tube(outline, thick, closed=True))
    top = eyes[0][1] - drop + half_height * rng.uniform(0.1, 0.6)
    inner = [outline[np.argmin(np.abs(outline[:, 0])), 0] for outline in outlines]
    bridge = np.array([[inner[0], top, plane], [0, top + 0.02, plane + 0.015], [inner[1], top, plane]])
    meshes.append(_tube(bridge, thick, closed=False))
    ear = np.abs(vertices[(np.abs(vertices[:, 1] - 0.22) < 0.1) & (vertices[:, 2] < -0.5), 0]).max()
    for outline, side in zip(outlines, (-1, 1), strict=True):
        corner = outline[np.argmax(side * outline[:, 0])]
        hinge = [corner[0] + side * 0.02, top, corner[2]]
        temple = np.array(
            [[corner[0], top, corner[2]], hinge, [side * 0.985 * ear, 0.26, -0.85], [side * 0.96 * ear, 0.12, -1.02]]
        )
        meshes.append(_tube(temple, thick, closed=False))
    frame = join(meshes)
    fans = [(np.concatenate([outline.mean(axis=0, keepdims=True), outline]), _fan()) for outline in outlines]
    lenses = join(fans)
    sun = rng.random() < 0.2
    dark = rng.uniform(0, 0.15, 3) if rng.random() < 0.75 else rng.uniform(0, 0.8, 3)
    return Glasses(
        frame[0].astype(np.float32),
        frame[1].astype(np.int32),
        lenses[0].astype(np.float32),
        lenses[1].astype(np.int32),
        (rng.uniform(0.0, 0.08, 3) if sun else rng.uniform(0.5, 0.8, 3)).astype(np.float32),
        float(rng.uniform(0.75, 0.97) if sun else rng.uniform(0.0, 0.06)),
        (dark**2).astype(np.float32),
    )


def _fan() -> np.ndarray:
    rim = np.arange(1, _OUTLINE + 1)
    return np.stack([np.zeros(_OUTLINE, int), rim, np.roll(rim, -1)], axis=1)


def _tube(line: np.ndarray, radius: float, closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """A tube around a line (n, 3)."""
    ahead = np.roll(line, -1, axis=0) - np.roll(line, 1, axis=0) if closed else np.gradient(line, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True) + 1e-9
    up = np.where(np.abs(ahead[:, 2:]) > 0.8, [[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]])
    first = cross(ahead, up)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = cross(ahead, first)
    turn = 2 * np.pi * np.arange(_SECTION) / _SECTION
    ring = first[:, None] * np.cos(turn)[:, None] + second[:, None] * np.sin(turn)[:, None]
    points = (line[:, None] + radius * ring).reshape(-1, 3)
    cells = np.pad(np.arange(len(points)).reshape(-1, _SECTION), ((0, int(closed)), (0, 1)), "wrap")
    return points, grid_triangles(cells)
