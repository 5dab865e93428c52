"""COFW (X. Burgos-Artizzu et al., ICCV 2013): 29 points, 507 test faces, many of them occluded.

Distances are divided by that of the two outer eye corners, points 8 and 9 (HRNet, lib/core/evaluation.py); a face is a
failure above 10 % (the data set's paper). Occluded points count, unless a mask says otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nasface.metrics.nme import errors_of, normalised_mean, point_distance

COFW_POINTS = 29
FAILURE = 10.0
"""Percent above which a face counts as a failure, see `nasface.metrics.ced.failure_rate`."""


def nme_29(prediction: ArrayLike, target: ArrayLike, visible: ArrayLike | None = None) -> np.ndarray:
    """Per-image NME of 29 points over the distance of points 8 and 9; `visible` (N, 29) leaves occluded ones out."""
    return normalised_mean(errors_of(COFW_POINTS, prediction, target), point_distance(target, [8], [9]), visible)
