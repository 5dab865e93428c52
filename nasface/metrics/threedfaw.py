"""3DFAW (L. Jeni et al., "The first 3D face alignment in the wild challenge", ECCV workshops 2016): 66 points in 3D.

Both errors are mean 3D distances divided by the distance of the outer eye corners: GTE of the points as they are, and
CVGTCE of the points after the similarity that fits them to the truth best (Zhang et al., "Adversarial semantic volume",
eq. 15-17; eq. 17 sums distances, the similarity here minimises the sum of their squares, which has a closed form).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nasface.metrics.nme import normalised_mean, point_distance, point_errors
from nasface.metrics.similarity import fit_similarity

OUTER_EYE_CORNERS = (36, 45)
"""Their indices; 3DFAW's 66 points are the 68 without the inner corners of the mouth, so both sets share them."""


def gte(prediction: ArrayLike, target: ArrayLike, eyes: tuple[int, int] = OUTER_EYE_CORNERS) -> np.ndarray:
    """Ground truth error of each face: 100 * mean_j ||prediction_j - target_j|| / outer eye distance, all in 3D, of
    points (N, M, 3) with M of 66 or 68; `eyes` are indices of the outer eye corners.

    z counts as it stands: where its origin is arbitrary, pass the prediction through `align_depth` first, as JVCR does.
    """
    errors = point_errors(prediction, target, 3)
    return normalised_mean(errors, point_distance(target, eyes[:1], eyes[1:], dimensions=3))


def cvgtce(prediction: ArrayLike, target: ArrayLike, eyes: tuple[int, int] = OUTER_EYE_CORNERS) -> np.ndarray:
    """Cross-view ground truth consistency error: `gte` after each prediction is moved to its target by the similarity
    (scale, rotation, shift; never a reflection) that fits best; a prediction that is not finite gives NaN."""
    predicted, wanted = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
    point_errors(predicted, wanted, 3)  # the same complaint about shapes
    moved = [
        fit_similarity(points, goal).apply(points) if np.isfinite(points).all() else np.full_like(points, np.nan)
        for points, goal in zip(predicted, wanted, strict=True)
    ]
    return gte(np.stack(moved) if moved else predicted, wanted, eyes)
