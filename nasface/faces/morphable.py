"""Linear 3D morphable models of the face: mean + identity modes + expression modes, a UV chart and 68 landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from nasface.utils.npy import read_npz

HEAD_ASSET = Path(__file__).parent / "assets" / "head.npz"
MATERIALS = ("skin", "plain", "eye", "teeth", "tongue")
"""What the embedded head's triangles are made of; `plain` is skin without texture (neck, back of the head)."""


@dataclass(frozen=True)
class MorphableModel:
    """A linear face model, as Blanz and Vetter's (1999): vertices = mean + basis @ coefficients.

    Model coordinates: x right on a frontal face, y up, z toward the camera; the unit is the model's own (a pose's
    scale takes it to pixels).

        >>> head = load_embedded_head()
        >>> neutral = head.vertices(np.zeros(head.coefficient_count))  # (V, 3)
        >>> neutral[head.landmark_vertices].shape
        (68, 3)
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


@dataclass(frozen=True)
class HeadSurface:
    """What drawing the embedded head needs beyond its geometry."""

    materials: np.ndarray
    """(T,) uint8 indices into `MATERIALS`."""
    texture_uv: np.ndarray
    """(V, 2) float32: position on the skin's texture, whose face is [0.15, 0.85]^2; on an eyeball, the direction from
    its centre (gaze = 0, 0)."""
    expression_names: tuple[str, ...]
    """The ARKit name of each expression mode."""
    mirror: np.ndarray
    """(V,) int: each vertex's mirror image."""
    anchors: np.ndarray
    """(68,) int: the vertices that features are painted around: the middle of a brow, the rim of a lip. The landmarks
    are near, but where the field's annotations put them."""


@lru_cache(maxsize=1)
def load_embedded_head() -> MorphableModel:
    """The head that ships with the package: MakeHuman's, CC0 (assets/ORIGIN.md); made by tools/build_head.py.

    50 identity modes, whose coefficients have unit variance, then 52 expression units, each meant for [0, 1]. The unit
    is about a decimetre; the origin is the middle of the mean face.
    """
    asset = read_npz(HEAD_ASSET, "install nasface again")
    basis = asset["basis"].astype(np.float32)
    identities = int(asset["identity_count"])
    deviation = np.full(basis.shape[2], 0.5, dtype=np.float32)
    deviation[:identities] = 1.0
    landmarks = asset["landmark_vertices"]
    return MorphableModel(
        name="embedded_head",
        mean=asset["mean"],
        basis=basis,
        coefficient_std=deviation,
        identity_count=identities,
        triangles=asset["triangles"].astype(np.int32),
        uv=asset["uv"],
        landmark_uv=asset["uv"][landmarks],
        landmark_vertices=landmarks,
    )


@lru_cache(maxsize=1)
def load_head_surface() -> HeadSurface:
    """Materials and texture coordinates of `load_embedded_head()`."""
    asset = read_npz(HEAD_ASSET, "install nasface again")
    return HeadSurface(
        materials=asset["materials"],
        texture_uv=asset["texture_uv"],
        expression_names=tuple(str(name) for name in asset["expression_names"]),
        mirror=asset["mirror"].astype(np.int64),
        anchors=asset["anchors"],
    )
