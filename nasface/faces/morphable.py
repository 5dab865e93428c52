"""Linear 3D morphable models of the face: mean + identity modes + expression modes, a UV chart and 68 landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MorphableModel:
    """A linear face model, as Blanz and Vetter's (1999): vertices = mean + basis @ coefficients.

    Model coordinates: x right on a frontal face, y up, z toward the camera; the unit is the model's own (a pose's
    scale takes it to pixels).
    """

    name: str
    mean: np.ndarray
    """(V, 3) float32."""
    basis: np.ndarray
    """(V, 3, K) float32: identity modes, then expression modes."""
    coefficient_std: np.ndarray
    """(K,) float32: the scale on which each coefficient is sampled."""
    identity_count: int
    """The first this many modes are identity."""
    triangles: np.ndarray
    """(T, 3) int32, counter-clockwise seen from outside."""
    uv: np.ndarray
    """(V, 2) float32 in [0, 1], u to the right and v down; NaN for vertices outside the face's chart (eyes, teeth,
    back of the head)."""
    landmark_uv: np.ndarray
    """(68, 2) float32: where each landmark lies on the chart."""
    landmark_vertices: np.ndarray | None = None
    """(68,) int, where the landmarks are vertices."""

    @property
    def coefficient_count(self) -> int:
        """K, identity and expression together."""
        return self.basis.shape[2]

    def vertices(self, coefficients: np.ndarray) -> np.ndarray:
        """Vertices (..., V, 3) in model coordinates of coefficients (..., K)."""
        coefficients = np.asarray(coefficients, dtype=np.float32)
        flat = self.basis.reshape(-1, self.coefficient_count)
        moved = coefficients @ flat.T
        return self.mean + moved.reshape(*coefficients.shape[:-1], *self.mean.shape)
