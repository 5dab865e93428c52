"""Which vertices of a mesh a camera sees, without pixels: what the z-buffer is compared with."""

from __future__ import annotations

import numpy as np
from numba import njit


def vertex_visibility(
    vertices: np.ndarray, triangles: np.ndarray, indices: np.ndarray | None = None, tolerance: float = 0.0
) -> np.ndarray:
    """Which vertices the camera sees: one of their triangles faces it and no other triangle lies in front. Exact,
    without pixels.

    Args:
        vertices: (V, 3) crop pixels.
        triangles: (T, 3), counter-clockwise seen from outside with y up.
        indices: (M,) the vertices asked about; all of them by default.
        tolerance: what lies less than this many pixels in front does not hide, and if it is not 0, the vertex's own
            triangles may face away: landmarks in folds, as on an eyelid's inner edge, are visible when the fold is.

    Returns:
        (M,) bool.
    """
    chosen = np.arange(len(vertices)) if indices is None else np.asarray(indices)
    return _visible(
        np.asarray(vertices, dtype=np.float64),
        np.asarray(triangles, dtype=np.int32),
        chosen.astype(np.int64),
        float(tolerance),
    )


@njit(cache=True, nogil=True)
def _visible(vertices: np.ndarray, triangles: np.ndarray, chosen: np.ndarray, tolerance: float) -> np.ndarray:
    count = chosen.shape[0]
    facing = np.zeros(count, dtype=np.bool_)
    hidden = np.zeros(count, dtype=np.bool_)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, bx, by, cx, cy = (
            vertices[a, 0],
            vertices[a, 1],
            vertices[b, 0],
            vertices[b, 1],
            vertices[c, 0],
            vertices[c, 1],
        )
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area == 0.0:
            continue
        left, right, top, bottom = min(ax, bx, cx), max(ax, bx, cx), min(ay, by, cy), max(ay, by, cy)
        nearest = max(vertices[a, 2], vertices[b, 2], vertices[c, 2])
        for i in range(count):
            v = chosen[i]
            if v in (a, b, c):
                facing[i] |= area < 0.0
                continue
            x, y, z = vertices[v, 0], vertices[v, 1], vertices[v, 2] + tolerance
            if hidden[i] or x < left or x > right or y < top or y > bottom or z >= nearest:
                continue
            wa = ((bx - x) * (cy - y) - (cx - x) * (by - y)) / area
            wb = ((cx - x) * (ay - y) - (ax - x) * (cy - y)) / area
            wc = 1.0 - wa - wb
            if wa < 0.0 or wb < 0.0 or wc < 0.0:
                continue
            hidden[i] = wa * vertices[a, 2] + wb * vertices[b, 2] + wc * vertices[c, 2] > z
    if tolerance > 0.0:
        return ~hidden
    return facing & ~hidden
