"""AFLW with 21 points (3DDFA, benchmark_aflw.py): 21,080 faces, 11,596 / 5,457 / 4,027 in the yaw bins.

Networks predict 68 points; 21 are made of them by a fixed table. Only annotated (visible) points count, the length is
sqrt(w * h) of the box of the 68 fitted points, and the bins and their mean are AFLW2000-3D's (`binned_nme`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nasface.faces.correspondences import AFLW_21
from nasface.metrics.nme import LANDMARKS, box_size, normalised_mean, point_errors

AFLW_POINTS = 21

COUNTS = (11596, 5457, 4027)
"""Faces in the yaw bins of 3DDFA's list, AFLW_GT_crop_yaws.npy."""


def points_21(landmarks: ArrayLike) -> np.ndarray:
    """The 21 points (..., 21, C) float64 of 68 landmarks (..., 68, C), by `AFLW_21`."""
    points = np.asarray(landmarks, dtype=np.float64)
    if points.ndim < 2 or points.shape[-2] != LANDMARKS:
        raise ValueError(f"expected (..., {LANDMARKS}, 2 or 3) landmarks, got {points.shape}")
    return np.stack([points[..., list(indices), :].mean(axis=-2) for indices in AFLW_21], axis=-2)


def annotated(points: ArrayLike) -> np.ndarray:
    """Which annotated points (..., 21, >=2) are visible, (..., 21) bool.

    3DDFA's files mark a hidden point by an x or y of exactly -1 (stored ones look like (-1, 452)); a NaN, as other
    files have it, counts as hidden, too. To be asked of the stored values, before any shift.
    """
    xy = np.asarray(points, dtype=np.float64)[..., :2]
    return ((xy != -1) & np.isfinite(xy)).all(axis=-1)


def nme_21(prediction: ArrayLike, target: ArrayLike, fitted: ArrayLike, visible: ArrayLike | None = None) -> np.ndarray:
    """Per-image NME over the visible ones of the 21 points.

    Args:
        prediction: (N, 68, >=2) predicted landmarks.
        target: (N, 21, >=2) annotation.
        fitted: (N, 68, >=2) the landmarks whose box normalises (AFLW_GT_pts68.npy; pt3d_68 of AFLW2000-3D).
        visible: (N, 21) bool; `annotated(target)` by default. A face without any gives NaN, as 3DDFA's code would.
    """
    wanted = np.asarray(target, dtype=np.float64)
    if wanted.ndim != 3 or wanted.shape[1] != AFLW_POINTS:
        raise ValueError(f"expected (N, {AFLW_POINTS}, 2) points, got {wanted.shape}")
    valid = annotated(wanted) if visible is None else visible
    return normalised_mean(point_errors(points_21(prediction)[..., :2], wanted), box_size(fitted), valid)
