"""What every network ends in, whatever it regresses."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class FacePrediction:
    """The 3D shape of a batch of faces, in crop pixels; metrics see nothing else.

    Attributes:
        landmarks: (B, 68, 3) in the iBUG order; NaN depth where a network has none.
        dense: (B, 3, H, W) UV position map, or None where a network has no dense geometry.
    """

    landmarks: Tensor
    dense: Tensor | None = None
