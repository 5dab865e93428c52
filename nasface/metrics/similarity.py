"""The similarity (scale, rotation, shift) that takes one set of points nearest to another, in closed form.

S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991, eq. 40-42;
computed by `nasface.faces.procrustes`. Never a reflection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nasface.faces.procrustes import similarity_between


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + shift.

    Attributes:
        scale: > 0; 1 of a rigid motion.
        rotation: (3, 3), determinant +1.
        shift: (3,).
    """

    scale: float
    rotation: np.ndarray
    shift: np.ndarray

    def apply(self, points: ArrayLike) -> np.ndarray:
        """Points (..., 3) after the transform, float64."""
        return self.scale * np.asarray(points, dtype=np.float64) @ self.rotation.T + self.shift

    def after(self, first: Similarity) -> Similarity:
        """The transform that applies `first`, then this one."""
        return Similarity(self.scale * first.scale, self.rotation @ first.rotation, self.apply(first.shift))


def fit_similarity(source: ArrayLike, target: ArrayLike, *, scale: bool = True) -> Similarity:
    """The transform that minimises sum_j ||target_j - T(source_j)||^2 over M >= 3 finite corresponding points (M, 3)
    that are not all the same (a ValueError otherwise); a rigid motion, which keeps lengths, where `scale` is False."""
    first, second = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 2 or first.shape[1] != 3 or len(first) < 3:
        raise ValueError(f"points of shapes {first.shape} and {second.shape} determine no similarity")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("points that are not finite determine no similarity")
    ratio, rotation, shift = similarity_between(first, second)
    if not scale:
        ratio, shift = 1.0, second.mean(axis=0) - rotation @ first.mean(axis=0)
    return Similarity(ratio, rotation, shift)
