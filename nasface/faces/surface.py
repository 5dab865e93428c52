"""The mesh of a position map: which of its cells are joined to triangles, with a border that has no steps."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nasface.faces.uv import grid_triangles, sample_map

_ROUNDS = 24  # of smoothing the border, each in and out again, so that it does not shrink
_IN, _OUT = 0.5, -0.52


@dataclass(frozen=True)
class Surface:
    """Vertices on a chart, and what joins them.

    Attributes:
        uv: (V, 2) float32 in [0, 1], u to the right and v down.
        triangles: (T, 3) int32, counter-clockwise seen from outside with y up.
    """

    uv: np.ndarray
    triangles: np.ndarray

    def vertices(self, dense: np.ndarray) -> np.ndarray:
        """Its vertices (V, 3) on a position map (3, M, M), in the map's unit."""
        return sample_map(dense, self.uv)


def chart_surface(inside: np.ndarray) -> Surface:
    """The surface of a chart's cells: the grid between them, whose border and openings are smoothed, since a border
    that follows the grid goes in steps (Taubin, "A signal processing approach to fair surface design", SIGGRAPH 1995).

        >>> surface = chart_surface(np.ones((64, 64), dtype=bool))
        >>> surface.vertices(face.dense).shape
        (4096, 3)

    Args:
        inside: (M, M) bool, the cells that are skin.
    """
    side = inside.shape[0]
    triangles = _without_ears(grid_triangles(_trimmed(inside)), side)
    used, numbers = np.unique(triangles, return_inverse=True)
    triangles = numbers.reshape(triangles.shape).astype(np.int32)
    places = np.stack([used % side, used // side], -1).astype(float)
    edges, counts = np.unique(_edges(triangles).reshape(-1, 2), axis=0, return_counts=True)
    border = edges[counts == 1]
    # The chart's own frame stays where it is: there is nothing to read beyond it.
    free = np.isin(np.arange(len(places)), border) & ((places > 0) & (places < side - 1)).all(1)
    for step in _ROUNDS * (_IN, _OUT):
        total, degree = np.zeros_like(places), np.zeros((len(places), 1))
        for start, end in (border.T, border.T[::-1]):
            np.add.at(total, start, places[end])
            np.add.at(degree, start, 1)
        places[free] += step * (total / np.maximum(degree, 1) - places)[free]
    return Surface((places / (side - 1)).astype(np.float32), triangles)


def _trimmed(inside: np.ndarray) -> np.ndarray:
    """The cells without those that make the outer border uneven: bumps, and a rim as deep as most dents. Openings stay,
    and so does a border that is the chart's frame."""
    side = len(inside)
    wide, rim = max(1, side // 5), max(1, side // 32)
    discs = [cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * r + 1, 2 * r + 1)) for r in (wide, rim)]
    cells = np.pad(inside.astype(np.uint8), 2 * wide, mode="edge")
    around = np.pad(1 - cells, 1, constant_values=1)
    cv2.floodFill(around, None, (0, 0), 2)
    whole = (around[1:-1, 1:-1] != 2).astype(np.uint8)
    even = cv2.erode(cv2.morphologyEx(whole, cv2.MORPH_CLOSE, discs[0]), discs[1]) & whole
    even = cv2.morphologyEx(even, cv2.MORPH_OPEN, discs[0])
    return inside & (even[2 * wide : -2 * wide, 2 * wide : -2 * wide] > 0)


def folded_edges(vertices: np.ndarray, triangles: np.ndarray, degrees: float = 120.0) -> int:
    """How many edges are folded: the two triangles of such an edge turn by more than `degrees` against each other.

    Args:
        vertices: (V, 3), all axes in one unit.
        triangles: (T, 3).
    """
    corners = vertices[triangles].astype(float)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    edges = _edges(triangles).reshape(-1, 2)
    order = np.lexsort(edges.T)
    same = (edges[order][1:] == edges[order][:-1]).all(1)
    first, second = order[:-1][same] // 3, order[1:][same] // 3
    return int(((normals[first] * normals[second]).sum(1) < np.cos(np.deg2rad(degrees))).sum())


def _edges(triangles: np.ndarray) -> np.ndarray:
    """(T, 3, 2): the three edges of each triangle, the lower vertex first."""
    return np.sort(np.stack([triangles, np.roll(triangles, -1, 1)], -1), -1)


def _without_ears(triangles: np.ndarray, side: int) -> np.ndarray:
    """Leave out the triangles that hang on one edge: smoothing the border would turn them over. The corners of the
    chart's frame stay, as nothing moves there."""
    _, place, counts = np.unique(_edges(triangles).reshape(-1, 2), axis=0, return_inverse=True, return_counts=True)
    ears = (counts[place].reshape(-1, 3) == 1).sum(1) > 1
    on_frame = np.isin(triangles % side, (0, side - 1)) | np.isin(triangles // side, (0, side - 1))
    return triangles[~ears | on_frame.all(1)]
