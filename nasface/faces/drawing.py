"""Drawing a dense shape over its photograph."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numba import njit

from nasface.faces.rasterize import rasterize
from nasface.faces.surface import Surface, chart_surface

PREDICTED, TRUE = "#ff8c1a", "#2fd6ff"
"""Colours of the two sets of landmarks; both stand out from skin."""

_SIDE = 320  # side in pixels at which a dense shape is drawn
_LIGHT = np.array([-0.35, -0.45, 0.82])  # from the upper left, in front


def shaded(image: np.ndarray, dense: np.ndarray, inside: np.ndarray | None = None, opacity: float = 0.9) -> np.ndarray:
    """A dense shape (3, M, M), a UV position map in crop pixels of which the cells `inside` (M, M) are drawn, over its
    photograph (S, S, 3) uint8: (P, P, 3) uint8."""
    size = image.shape[0]
    scale = _SIDE / size
    canvas = cv2.resize(np.ascontiguousarray(image), (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    cells = np.ones(dense.shape[1:], dtype=bool) if inside is None else np.asarray(inside, dtype=bool)
    surface = _surface(cells.tobytes(), len(cells)) if cells.any() else None
    if surface is None or len(surface.triangles) == 0 or not np.isfinite(dense).all():
        return canvas
    vertices = surface.vertices(np.asarray(dense, dtype=np.float64)) * scale
    vertices[:, :2] += (scale - 1) / 2  # pixel centres stay pixel centres
    return draw_surface(canvas, vertices, surface.triangles, opacity)


@lru_cache(maxsize=2)
def _surface(cells: bytes, side: int) -> Surface:
    """The surface of a chart's cells, made once for all the faces of a page."""
    return chart_surface(np.frombuffer(cells, dtype=bool).reshape(side, side))


def draw_surface(canvas: np.ndarray, vertices: np.ndarray, triangles: np.ndarray, opacity: float) -> np.ndarray:
    """A surface of finite vertices (V, 3) in pixels and one or more triangles (T, 3), drawn over a picture (H, W, 3)
    uint8, coloured by depth, with light and shade."""
    index, weights, _ = rasterize(vertices, triangles, canvas.shape[:2])
    normals = vertex_normals(vertices, triangles)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    # A surface that is seen faces the viewer, whichever way its triangles turn.
    normals *= np.where(normals[:, 2:] < 0, -1.0, 1.0)
    light = 0.45 + 0.6 * np.clip(normals @ _LIGHT, 0, 1)
    used = np.zeros(len(vertices), dtype=bool)
    used[triangles] = True
    low, high = np.percentile(vertices[used, 2], (1, 99))
    depth = np.clip((vertices[:, 2] - low) / max(high - low, 1e-9), 0, 1)
    viridis = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS)[:, 0, ::-1]
    colours = np.clip(viridis[np.round(255 * depth).astype(int)] * light[:, None], 0, 255)
    result = np.array(canvas)
    _blend(result, index, weights, np.asarray(triangles), colours, opacity)
    return result


@njit(cache=True, nogil=True)
def _blend(
    canvas: np.ndarray, index: np.ndarray, weights: np.ndarray, triangles: np.ndarray, colours: np.ndarray, share: float
) -> None:
    """Mix the colours (V, 3) of a raster's vertices into a picture."""
    for row in range(index.shape[0]):
        for column in range(index.shape[1]):
            t = index[row, column]
            if t < 0:
                continue
            for k in range(3):
                drawn = 0.0
                for corner in range(3):
                    drawn += weights[row, column, corner] * colours[triangles[t, corner], k]
                canvas[row, column, k] = np.uint8(share * drawn + (1 - share) * canvas[row, column, k] + 0.5)


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Normals (V, 3) of the vertices, not of unit length: those of the triangles around them, by area."""
    corners = vertices[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, triangles[:, k], faces)
    return normals
