"""The 68-point 2D sets: 300-W, IBUG, Menpo 2D, COFW-68.

The same errors are divided by different lengths:

* `outer_corner_nme`: the distance of the outer eye corners, "inter-ocular" in the 300-W challenge (C. Sagonas et al.,
  "300 faces in-the-wild challenge", IVC 2016) and in HRNet's lib/core/evaluation.py (points 36 and 45).
* `eye_centre_nme`: the distance of the eyes' centres, "inter-pupil"; the centre is the mean of an eye's six points, or,
  in insightface's SDU-Net (heatmapReg/metric.py), of its two corners.
* `diagonal_nme`: the diagonal of the box of the 68 true points (Menpo's challenge; SDU-Net's 3D figures).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from nasface.metrics.nme import LANDMARKS, box_diagonal, errors_of, normalised_mean

OUTER_CORNERS = (36, 45)
EYES_BY_POINTS = (tuple(range(36, 42)), tuple(range(42, 48)))
EYES_BY_CORNERS = ((36, 39), (42, 45))

EyeCentre = Literal["six points", "two corners"]
"""What an eye's centre is the mean of."""


def outer_corner_nme(prediction: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Per-image NME over the distance of the outer eye corners, in the image plane.

    Args:
        prediction: (N, 68, >=2).
        target: (N, 68, >=2).

    Returns:
        (N,) float64, percent.

    Raises:
        ValueError: shapes that do not fit.
    """
    left, right = OUTER_CORNERS
    return _nme(prediction, target, (left,), (right,))


def eye_centre_nme(prediction: ArrayLike, target: ArrayLike, centre: EyeCentre = "six points") -> np.ndarray:
    """Per-image NME over the distance of the true eye centres; arguments and result as for `outer_corner_nme`."""
    return _nme(prediction, target, *(EYES_BY_POINTS if centre == "six points" else EYES_BY_CORNERS))


def diagonal_nme(prediction: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Per-image NME over the diagonal of the true points' box; arguments and result as for `outer_corner_nme`."""
    return normalised_mean(errors_of(LANDMARKS, prediction, target), box_diagonal(target))


def _nme(prediction: ArrayLike, target: ArrayLike, left: tuple[int, ...], right: tuple[int, ...]) -> np.ndarray:
    errors = errors_of(LANDMARKS, prediction, target)
    points = np.asarray(target, dtype=np.float64)[..., :2]
    apart = points[:, list(left)].mean(axis=1) - points[:, list(right)].mean(axis=1)
    return normalised_mean(errors, np.linalg.norm(apart, axis=-1))
