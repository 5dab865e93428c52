"""Z-buffer rasterisation of triangle meshes, and which of their points a camera sees, in numba.

Pixel (row r, column c) shows the surface at x = c, y = r (pixel centres at integers); among the surfaces there the
one with the greatest z wins, because z grows toward the camera. Geometry is computed in float64 and returned as
float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

# Pixel centres on an edge that two triangles share belong to both; this much rounding must not open a crack.
_EDGE = 1e-9


class Raster(NamedTuple):
    """What each pixel sees; a NamedTuple because compiled functions take no dataclass.

    Attributes:
        index: (H, W) int32, the triangle; -1 on the background.
        weights: (H, W, 3) float32, barycentric weights of its vertices; 0 on the background.
        depth: (H, W) float32; -inf on the background.
    """

    index: np.ndarray  # type: ignore[assignment]  # hides tuple.index, which nobody needs
    weights: np.ndarray
    depth: np.ndarray


def rasterize(vertices: np.ndarray, triangles: np.ndarray, size: int | tuple[int, int], cull: bool = False) -> Raster:
    """What each pixel of an image (a square of side `size`, or (height, width)) sees of vertices (V, 3) in crop pixels
    and triangles (T, 3), counter-clockwise seen from outside with y up; `cull` leaves out those seen from behind."""
    height, width = (size, size) if isinstance(size, int) else size
    index = np.full((height, width), -1, dtype=np.int32)
    depth = np.full((height, width), -np.inf, dtype=np.float32)
    vertices, triangles = np.asarray(vertices, dtype=np.float64), np.asarray(triangles, dtype=np.int32)
    fill_buffers(vertices, triangles, cull, index, depth)
    return Raster(index, _weights(vertices, triangles, index), depth)


@njit(cache=True, nogil=True)
def fill_buffers(vertices: np.ndarray, triangles: np.ndarray, cull: bool, index: np.ndarray, depth: np.ndarray) -> None:
    """The kernel of `rasterize`: draws into buffers of its shapes and dtypes, which the caller has cleared or drawn
    into before."""
    # Unsigned indices spare the test for negative ones, which costs a third of the time here.
    height, width = index.shape
    for t in range(triangles.shape[0]):
        a, b, c = np.uint32(triangles[t, 0]), np.uint32(triangles[t, 1]), np.uint32(triangles[t, 2])
        ax, ay, az = vertices[a, 0], vertices[a, 1], vertices[a, 2]
        bx, by, bz = vertices[b, 0], vertices[b, 1], vertices[b, 2]
        cx, cy, cz = vertices[c, 0], vertices[c, 1], vertices[c, 2]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        # y points down, so a triangle seen from outside is clockwise here.
        if area == 0.0 or (cull and area > 0.0):
            continue
        first_row = max(0, int(np.ceil(min(ay, by, cy) - _EDGE)))
        last_row = min(height - 1, int(np.floor(max(ay, by, cy) + _EDGE)))
        first_column = max(0, int(np.ceil(min(ax, bx, cx) - _EDGE)))
        last_column = min(width - 1, int(np.floor(max(ax, bx, cx) + _EDGE)))
        if first_row > last_row or first_column > last_column:
            continue  # no pixel's centre in it, as with most triangles of a fine mesh
        inverse = 1.0 / area
        across_a, across_b = (by - cy) * inverse, (cy - ay) * inverse
        for r in range(first_row, last_row + 1):
            row, y = np.uint64(r), float(r)
            start_a = (bx * (cy - y) - cx * (by - y)) * inverse
            start_b = (cx * (ay - y) - ax * (cy - y)) * inverse
            for k in range(first_column, last_column + 1):
                column, x = np.uint64(k), float(k)
                wa = start_a + x * across_a
                wb = start_b + x * across_b
                wc = 1.0 - wa - wb
                if wa < -_EDGE or wb < -_EDGE or wc < -_EDGE:
                    continue
                z = wa * az + wb * bz + wc * cz
                if z > depth[row, column]:
                    depth[row, column] = z
                    index[row, column] = t


@njit(cache=True, nogil=True)
def _weights(vertices: np.ndarray, triangles: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Barycentric weights (H, W, 3) float32 of the triangles that `fill_buffers` left in the pixels; to write them
    there, over and over where surfaces overlap, takes longer."""
    height, width = index.shape
    weights = np.zeros((height, width, 3), dtype=np.float32)
    for row in range(height):
        for column in range(width):
            t = index[row, column]
            if t < 0:
                continue
            a, b, c = np.uint32(triangles[t, 0]), np.uint32(triangles[t, 1]), np.uint32(triangles[t, 2])
            ax, ay, bx, by = vertices[a, 0], vertices[a, 1], vertices[b, 0], vertices[b, 1]
            cx, cy = vertices[c, 0], vertices[c, 1]
            inverse = 1.0 / ((bx - ax) * (cy - ay) - (cx - ax) * (by - ay))
            wa = (bx * (cy - row) - cx * (by - row)) * inverse + column * ((by - cy) * inverse)
            wb = (cx * (ay - row) - ax * (cy - row)) * inverse + column * ((cy - ay) * inverse)
            weights[row, column, 0] = wa
            weights[row, column, 1] = wb
            weights[row, column, 2] = 1.0 - wa - wb
    return weights


@dataclass(frozen=True)
class DepthBuffer:
    """The nearest surface of a mesh on a grid of its own, whatever part of it an image shows.

    Attributes:
        depth: (R, R) float32, -inf where there is nothing.
        corner: (2,) crop pixels of the first cell's centre.
        step: crop pixels from cell to cell.
    """

    depth: np.ndarray
    corner: np.ndarray
    step: float

    def sees(self, points: np.ndarray, tolerance: float) -> np.ndarray:
        """(M,) bool: no surface lies more than `tolerance` pixels before the points (M, 3) in crop pixels.

        A point is as near as the farthest of the four cells around it, so that a slanted surface does not hide
        itself.
        """
        cells = (points[:, :2] - self.corner) / self.step
        return _seen(cells.astype(np.float64), points[:, 2].astype(np.float64) + tolerance, self.depth)


def extent(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest x and y, (2,) each, of points (V, >= 2)."""
    # Column by column: NumPy reduces long arrays of short rows slowly.
    x, y = points[:, 0], points[:, 1]
    return np.array([x.min(), y.min()]), np.array([x.max(), y.max()])


def depth_buffer(vertices: np.ndarray, triangles: np.ndarray, side: int = 192) -> DepthBuffer:
    """The z-buffer of a mesh (V, 3) in crop pixels, `side` cells along its longer extent."""
    low, high = extent(vertices)
    step = max(float((high - low).max()), 1e-9) / (side - 1)
    cells = np.array(vertices, dtype=np.float64)
    cells[:, :2] = (cells[:, :2] - low) / step
    index = np.full((side, side), -1, dtype=np.int32)
    depth = np.full((side, side), -np.inf, dtype=np.float32)
    triangles = np.asarray(triangles, dtype=np.int32)
    fill_buffers(cells, triangles, False, index, depth)
    return DepthBuffer(depth, low.astype(np.float64), step)


@njit(cache=True, nogil=True)
def _seen(cells: np.ndarray, reach: np.ndarray, depth: np.ndarray) -> np.ndarray:
    seen = np.ones(cells.shape[0], dtype=np.bool_)
    height, width = depth.shape
    for i in range(cells.shape[0]):
        x, y = cells[i, 0], cells[i, 1]
        if x < 0 or y < 0 or x > width - 1 or y > height - 1:
            continue
        column, row = min(int(x), width - 2), min(int(y), height - 2)
        nearest = min(depth[row, column], depth[row, column + 1], depth[row + 1, column], depth[row + 1, column + 1])
        seen[i] = nearest <= reach[i]
    return seen


@njit(cache=True, nogil=True)
def faces_camera(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(V,) bool: one of the vertex's triangles shows its outer side; crop pixels, triangles as in `rasterize`."""
    facing = np.zeros(vertices.shape[0], dtype=np.bool_)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1]
        wx, wy = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1]
        if ux * wy - wx * uy < 0.0:
            facing[a] = facing[b] = facing[c] = True
    return facing
