"""Normalised mean error (NME) of 68 landmarks, as the 3D face alignment benchmarks report it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

LANDMARKS = 68


def point_errors(prediction: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Distance in the image plane between points, (..., M, >=2) each -> (..., M) float64 in the points' unit.

    Raises:
        ValueError: the two do not hold the same number of points.
    """
    predicted = np.asarray(prediction, dtype=np.float64)
    wanted = np.asarray(target, dtype=np.float64)
    if predicted.shape[:-1] != wanted.shape[:-1] or min(predicted.shape[-1], wanted.shape[-1]) < 2:
        raise ValueError(f"points of shapes {predicted.shape} and {wanted.shape} cannot be compared")
    return np.linalg.norm(predicted[..., :2] - wanted[..., :2], axis=-1)


def nme_68(prediction: ArrayLike, target: ArrayLike, box: ArrayLike) -> np.ndarray:
    """Per-image NME over the 68 landmarks: 100 * mean_j ||prediction_j - target_j||_xy / sqrt(w * h).

    z is ignored, as in 3DDFA's benchmark_aflw2000.py and the tables that follow it. The value does not depend on the
    unit as long as all three arguments share one, so crop pixels and pixels of the whole photograph give the same.

    Args:
        prediction: (N, 68, >=2).
        target: (N, 68, >=2).
        box: (N, 2) width and height of the ground truth's box, see `nasface.faces.landmarks.bounding_box`.

    Returns:
        (N,) float64, percent. NaN or infinite predictions give NaN or infinity, never a silent zero.

    Raises:
        ValueError: shapes that do not fit, or a box without area.
    """
    errors = point_errors(prediction, target)
    if errors.ndim != 2 or errors.shape[1] != LANDMARKS:
        raise ValueError(f"expected (N, {LANDMARKS}, 2 or 3) landmarks, got errors of shape {errors.shape}")
    sides = np.asarray(box, dtype=np.float64)
    if sides.shape != (len(errors), 2):
        raise ValueError(f"expected boxes of shape ({len(errors)}, 2), got {sides.shape}")
    if not (sides > 0).all():
        raise ValueError("a box without area cannot normalise an error")
    return 100.0 * errors.mean(axis=1) / np.sqrt(sides.prod(axis=1))
