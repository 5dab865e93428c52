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

from nasface.metrics.nme import LANDMARKS, box_diagonal, errors_of, normalised_mean, point_distance

EyeCentre = Literal["six points", "two corners"]
"""What an eye's centre is the mean of."""

_EYES = {"six points": (range(36, 42), range(42, 48)), "two corners": ((36, 39), (42, 45))}


def outer_corner_nme(prediction: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Per-image NME of 68 points over the distance of the outer eye corners, in the image plane."""
    return normalised_mean(errors_of(LANDMARKS, prediction, target), point_distance(target, [36], [45]))


def eye_centre_nme(prediction: ArrayLike, target: ArrayLike, centre: EyeCentre = "six points") -> np.ndarray:
    """Per-image NME of 68 points over the distance of the true eye centres, in the image plane."""
    return normalised_mean(errors_of(LANDMARKS, prediction, target), point_distance(target, *_EYES[centre]))


def diagonal_nme(prediction: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Per-image NME of 68 points over the diagonal of the true points' box, in the image plane."""
    return normalised_mean(errors_of(LANDMARKS, prediction, target), box_diagonal(target))
