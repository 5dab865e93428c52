"""Normalised mean errors (NME): what all protocols share.

A protocol is a distance between points (in the image plane or in space), a length that normalises it, and a choice of
points; the files beside this one name those of each benchmark.

In all of them `prediction` and `target` are points (N, M, 2 or 3) of N faces in one unit, whichever it is: crop pixels
and pixels of the whole photograph give the same. Figures are (N,) float64 in percent; a point that counts and is NaN or
infinite gives NaN or infinity, never a silent zero. Shapes that do not fit, and a face without extent, raise a
ValueError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

LANDMARKS = 68

DepthAlignment = Literal["mean", "min"]
"""What becomes equal in prediction and truth before depths are compared: the mean of z, or its least value."""


def point_errors(prediction: ArrayLike, target: ArrayLike, dimensions: Literal[2, 3] = 2) -> np.ndarray:
    """Distance between points, (..., M, >=dimensions) each -> (..., M) float64 in the points' unit; `dimensions` 2
    compares x and y only, 3 also z as it stands (see `align_depth`)."""
    predicted = np.asarray(prediction, dtype=np.float64)
    wanted = np.asarray(target, dtype=np.float64)
    fits = predicted.ndim >= 2 and predicted.shape[:-1] == wanted.shape[:-1]
    if not fits or min(predicted.shape[-1], wanted.shape[-1]) < dimensions:
        raise ValueError(f"points of shapes {predicted.shape} and {wanted.shape} cannot be compared in {dimensions}D")
    return np.linalg.norm(predicted[..., :dimensions] - wanted[..., :dimensions], axis=-1)


def errors_of(count: int, prediction: ArrayLike, target: ArrayLike) -> np.ndarray:
    """`point_errors` (N, count) in the image plane of faces with `count` points."""
    errors = point_errors(prediction, target)
    if errors.ndim != 2 or errors.shape[1] != count:
        raise ValueError(f"expected (N, {count}, 2 or 3) points, got errors of shape {errors.shape}")
    return errors


def align_depth(prediction: ArrayLike, target: ArrayLike, align: DepthAlignment = "mean") -> np.ndarray:
    """The prediction (..., M, 3) with z shifted, face by face, to the target's mean (or least) z.

    An orthographic camera leaves the depth of the whole face open, so every 3D protocol takes it out. JVCR
    (utils/evaluation.py) and SADRNet (src/model/loss.py) equate the means, 2DASL (evaluation/*_3d.m) the least values.
    """
    moved = np.array(prediction, dtype=np.float64)
    wanted = np.asarray(target, dtype=np.float64)
    if moved.shape[-1] != 3 or wanted.shape[-1] != 3:
        raise ValueError(f"points of shapes {moved.shape} and {wanted.shape} have no depth to align")
    level = np.mean if align == "mean" else np.min
    moved[..., 2] += (level(wanted[..., 2], axis=-1) - level(moved[..., 2], axis=-1))[..., None]
    return moved


def box_sides(points: ArrayLike) -> np.ndarray:
    """Width and height (..., 2) float64 of the box around points (..., M, >=2), without margin; a NaN point leaves no
    box."""
    xy = np.asarray(points, dtype=np.float64)[..., :2]
    return xy.max(axis=-2) - xy.min(axis=-2)


def box_size(points: ArrayLike) -> np.ndarray:
    """sqrt(w * h) of the box around points (..., M, >=2) -> (...): the "bounding box size" of the 3D benchmarks."""
    return np.sqrt(box_sides(points).prod(axis=-1))


def box_diagonal(points: ArrayLike) -> np.ndarray:
    """sqrt(w^2 + h^2) of the box around points (..., M, >=2) -> (...): Menpo's and SDU-Net's normaliser."""
    return np.linalg.norm(box_sides(points), axis=-1)


def point_distance(
    points: ArrayLike, first: Sequence[int], second: Sequence[int], dimensions: Literal[2, 3] = 2
) -> np.ndarray:
    """Distance (N,) float64 between the means of two groups of the points (N, M, >=dimensions), given by indices."""
    places = np.asarray(points, dtype=np.float64)[..., :dimensions]
    return np.linalg.norm(places[:, list(first)].mean(axis=1) - places[:, list(second)].mean(axis=1), axis=-1)


def normalised_mean(errors: ArrayLike, length: ArrayLike, valid: ArrayLike | None = None) -> np.ndarray:
    """Per-face NME: 100 * mean_j errors_j / length over the valid points.

    Args:
        errors: (N, M) distances.
        length: (N,) what a face's errors are divided by, > 0, in the same unit.
        valid: (N, M) bool, points that count; all by default. What stands at the others is not looked at; a face
            without any gives NaN.
    """
    distances = np.asarray(errors, dtype=np.float64)
    lengths = np.asarray(length, dtype=np.float64)
    if distances.ndim != 2 or lengths.shape != distances.shape[:1]:
        raise ValueError(f"errors of shape {distances.shape} and lengths of shape {lengths.shape} do not fit")
    if not (lengths > 0).all():
        raise ValueError("a face without extent cannot normalise an error")
    if valid is None:
        return 100.0 * distances.mean(axis=1) / lengths
    counts = np.asarray(valid, dtype=bool)
    if counts.shape != distances.shape:
        raise ValueError(f"a mask of shape {counts.shape} does not fit errors of shape {distances.shape}")
    number = counts.sum(axis=1)
    total = np.where(counts, distances, 0.0).sum(axis=1)
    mean = np.full(len(total), np.nan)
    np.divide(total, number, out=mean, where=number > 0)
    return 100.0 * mean / lengths


def mean_over_box(errors: np.ndarray, box: ArrayLike, valid: ArrayLike | None = None) -> np.ndarray:
    """`normalised_mean` of errors (N, M) over sqrt(w * h) of boxes (N, 2) of width and height."""
    sides = np.asarray(box, dtype=np.float64)
    if sides.shape != (len(errors), 2):
        raise ValueError(f"expected boxes of shape ({len(errors)}, 2), got {sides.shape}")
    if not (sides > 0).all():
        raise ValueError("a box without area cannot normalise an error")
    return normalised_mean(errors, np.sqrt(sides.prod(axis=1)), valid)


def nme_68(prediction: ArrayLike, target: ArrayLike, box: ArrayLike) -> np.ndarray:
    """Per-image NME over the 68 landmarks: 100 * mean_j ||prediction_j - target_j||_xy / sqrt(w * h) of boxes (N, 2),
    the true landmarks' width and height (`nasface.faces.landmarks.bounding_box`).

    z is ignored, as in 3DDFA's benchmark_aflw2000.py and the tables that follow it.
    """
    return mean_over_box(errors_of(LANDMARKS, prediction, target), box)
