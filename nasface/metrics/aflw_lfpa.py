"""AFLW-LFPA: 1,299 faces of AFLW with a balanced yaw and 34 points, of which only the visible ones count.

A. Jourabloo and X. Liu, "Pose-invariant 3D face alignment", ICCV 2015, section 4: a face's error is the mean distance
over its visible points divided by the square root of the face's box. The 34 points' order and the vertices of a face
model that stand for them have not been published, so the prediction comes as 34 points, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nasface.metrics.nme import errors_of, mean_over_box

LFPA_POINTS = 34


def nme_34(prediction: ArrayLike, target: ArrayLike, visible: ArrayLike, box: ArrayLike) -> np.ndarray:
    """Per-image NME of 34 points over the `visible` (N, 34) ones and the set's face boxes (N, 2), width and height in
    the same pixels; what stands at hidden points is not looked at, and a face without visible ones gives NaN."""
    return mean_over_box(errors_of(LFPA_POINTS, prediction, target), box, visible)
