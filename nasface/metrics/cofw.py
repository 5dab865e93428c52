"""COFW (X. Burgos-Artizzu et al., ICCV 2013): 29 points, 507 test faces, many of them occluded.

Distances are divided by that of the two outer eye corners, points 8 and 9 (HRNet, lib/core/evaluation.py); a face is a
failure above 10 % (the data set's paper). Occluded points count, unless a mask says otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nasface.metrics.nme import errors_of, normalised_mean

COFW_POINTS = 29
OUTER_CORNERS = (8, 9)
FAILURE = 10.0
"""Percent above which a face counts as a failure, see `nasface.metrics.ced.failure_rate`."""


def nme_29(prediction: ArrayLike, target: ArrayLike, visible: ArrayLike | None = None) -> np.ndarray:
    """Per-image NME over the distance of points 8 and 9.

    Args:
        prediction: (N, 29, >=2).
        target: (N, 29, >=2).
        visible: (N, 29) bool, to leave occluded points out; all points by default.

    Returns:
        (N,) float64, percent.

    Raises:
        ValueError: shapes that do not fit.
    """
    errors = errors_of(COFW_POINTS, prediction, target)
    points = np.asarray(target, dtype=np.float64)[..., :2]
    length = np.linalg.norm(points[:, OUTER_CORNERS[0]] - points[:, OUTER_CORNERS[1]], axis=-1)
    return normalised_mean(errors, length, visible)
