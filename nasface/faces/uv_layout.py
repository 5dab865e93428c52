"""Published UV layouts and triangles as this package has them: what the loaders of morphable models share."""

from __future__ import annotations

import numpy as np

from nasface.faces.landmarks import FLIP_68

JAW_MARGIN = 0.02
"""How far below the jaw's landmarks the face's chart goes, in parts of the chart's height."""

_JAW = slice(0, 17)
_MIDLINE = [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
_BRIDGE, _CHIN = 27, 8


def upright_chart(uv: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """A layout (V, 2), mirrored or upside down but not turned, made upright and scaled to the unit square: the face's
    middle at u = 0.5, its right in the image at u > 0.5, the chin below (greater v). NaN stays NaN."""
    middle = uv[landmarks[_MIDLINE], 0].mean()
    across, down = uv[:, 0] - middle, uv[:, 1].astype(np.float64)
    if across[landmarks[0]] > across[landmarks[16]]:
        across = -across
    if down[landmarks[_CHIN]] < down[landmarks[_BRIDGE]]:
        down = -down
    top, bottom = np.nanmin(down), np.nanmax(down)
    return np.stack([0.5 + across / (2 * np.nanmax(np.abs(across))), (down - top) / (bottom - top)], axis=1)


def symmetric(landmark_uv: np.ndarray) -> np.ndarray:
    """The mirror-symmetric positions (68, 2) nearest to landmarks' positions on a chart, float32: mirroring a map then
    mirrors the landmarks that are read from it."""
    return ((landmark_uv + landmark_uv[FLIP_68] * [-1, 1] + [1, 0]) / 2).astype(np.float32)


def above_jaw(uv: np.ndarray, landmark_uv: np.ndarray) -> np.ndarray:
    """Which points (V,) of a chart belong to the face and not to the neck: above the jaw line or just below it."""
    jaw = landmark_uv[_JAW]
    order = np.argsort(jaw[:, 0])
    return uv[:, 1] <= np.interp(uv[:, 0], jaw[order, 0], jaw[order, 1]) + JAW_MARGIN


def outward(triangles: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Triangles (T, 3) int32 of a face that looks along +z, all turned over where most of them face away."""
    corners = vertices[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return np.ascontiguousarray(triangles if normal[:, 2].sum() > 0 else triangles[:, ::-1], dtype=np.int32)
