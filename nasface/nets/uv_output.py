"""What networks that regress a UV position map put out in training, and what they learn from before it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor


class UVOutput(NamedTuple):
    """Maps on which a loss is put, of K stacks or children; the last stack's is the prediction."""

    maps: Tensor
    """(K, B, 3, M, M), in units of half the input's side around its centre."""
    heatmaps: Tensor | None = None
    """Logits (K, B, P, F * F) of P anchors' places on F x F cells; None where a head has none."""


class TrainingMaps(Protocol):
    """The true maps of a training set, around which a network is built (`nasface.training.targets.uv.FaceMaps`)."""

    landmark_uv: np.ndarray
    """(68, 2), the landmarks' places on the chart."""

    @property
    def mean(self) -> Tensor:
        """Their mean (3, M, M), in the networks' units."""
        ...

    @property
    def sample(self) -> Tensor:
        """Some of them (N, 3, M, M), augmented as in training."""
        ...
