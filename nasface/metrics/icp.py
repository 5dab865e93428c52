"""Iterative closest points: rigid registration of two clouds whose points do not correspond.

P. Besl and N. McKay, "A method for registration of 3-D shapes", PAMI 1992, section IV, with scipy's KD-tree for the
closest points and the closed form of `nasface.metrics.similarity` for the motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from nasface.metrics.similarity import Similarity, fit_similarity


@dataclass(frozen=True)
class Registration:
    """Where a registration ended.

    Attributes:
        transform: takes the moving cloud to the fixed one.
        closest: (M,) int64, index of the fixed point that is nearest to each moved one.
        distances: (M,) float64 to it.
        iterations: motions that were made.
        converged: the mean squared distance stopped falling before the iterations ran out.
    """

    transform: Similarity
    closest: np.ndarray
    distances: np.ndarray
    iterations: int
    converged: bool


def iterative_closest_points(
    moving: ArrayLike,
    fixed: ArrayLike,
    *,
    scale: bool = False,
    iterations: int = 100,
    tolerance: float = 1e-6,
) -> Registration:
    """Move one cloud (M, 3) onto another (F, 3) until the mean squared distance to the closest points no longer falls.

    Args:
        moving, fixed: the clouds; at least 3 points move.
        scale: let the size change, too.
        iterations: the most motions to make, >= 1.
        tolerance: the relative decrease of the mean squared distance at which it ends.

    Raises:
        ValueError: empty or misshapen clouds, or values that are not finite.
    """
    points, goal = np.asarray(moving, dtype=np.float64), np.asarray(fixed, dtype=np.float64)
    if points.ndim != 2 or goal.ndim != 2 or points.shape[1:] != (3,) or goal.shape[1:] != (3,):
        raise ValueError(f"clouds of shapes {points.shape} and {goal.shape} are not (M, 3) and (F, 3)")
    if len(goal) == 0 or not (np.isfinite(points).all() and np.isfinite(goal).all()):
        raise ValueError("an empty cloud, or one with values that are not finite, cannot be registered")
    tree = KDTree(goal)
    transform = Similarity(1.0, np.eye(3), np.zeros(3))
    distances, closest = tree.query(transform.apply(points))
    error = float((distances**2).mean())
    for iteration in range(1, iterations + 1):
        # Fitted from the original points each time, so that rounding does not add up.
        transform = fit_similarity(points, goal[closest], scale=scale)
        distances, closest = tree.query(transform.apply(points))
        earlier, error = error, float((distances**2).mean())
        if earlier - error <= tolerance * earlier:
            return Registration(transform, closest, distances, iteration, True)
    return Registration(transform, closest, distances, iterations, False)
