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
LFPA_FACES = 1299


def nme_34(prediction: ArrayLike, target: ArrayLike, visible: ArrayLike, box: ArrayLike) -> np.ndarray:
    """Per-image NME over the visible points.

    Args:
        prediction: (N, 34, >=2).
        target: (N, 34, >=2); what stands at hidden points is not looked at.
        visible: (N, 34) bool.
        box: (N, 2) width and height of the set's face boxes, in the same pixels.

    Returns:
        (N,) float64, percent; NaN for a face without any visible point.

    Raises:
        ValueError: shapes that do not fit, or a box without area.
    """
    return mean_over_box(errors_of(LFPA_POINTS, prediction, target), box, visible)
