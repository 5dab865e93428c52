"""Small meshes: triangles between the points of a grid, and several meshes as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def grid_triangles(points: np.ndarray) -> np.ndarray:
    """Two triangles (T, 3) in each square of a grid (R, C) of vertex numbers; repeat a row or column to close it."""
    rows, columns = points.shape
    a, b, c, d = (points[y : rows - 1 + y, x : columns - 1 + x].ravel() for y in (0, 1) for x in (0, 1))
    return np.concatenate([np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)])


def join(meshes: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """Several meshes as one: each is vertices, triangles, and then what its vertices or its triangles have."""
    joined = [np.concatenate(parts) for parts in zip(*meshes, strict=True)]
    starts = np.cumsum([0] + [len(mesh[0]) for mesh in meshes[:-1]])
    joined[1] = np.concatenate([mesh[1] + start for mesh, start in zip(meshes, starts, strict=True)])
    return joined
