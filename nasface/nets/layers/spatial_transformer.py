"""The spatial transformer: an image is moved into a common pose, and what is found there is moved back."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SpatialTransformer(nn.Module):
    """Estimates a similarity (scale, rotation, shift) of every image: (B, 3, S, S) -> (B, 2, 3).

    The similarity maps places of the moved image to places of the given one, in units of half the side about the
    centre, as `affine_grid` takes it. It starts as the identity; the scale stays in 1/2..2, the angle in -90..90
    degrees and the shift in half a side, so that it always has an inverse.

    Source: Jaderberg et al., "Spatial Transformer Networks", NIPS 2015.

    Args:
        features: (B, 3, S, S) -> (B, F).
        inputs: F.
        width: of the one hidden layer.
    """

    def __init__(self, features: nn.Module, inputs: int, width: int) -> None:
        super().__init__()
        self.features = features
        self.hidden, self.last = nn.Linear(inputs, width), nn.Linear(width, 4)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, image: Tensor) -> Tensor:
        values = self.last(torch.relu(self.hidden(self.features(image))))
        scale, angle, right, down = torch.tanh(values.float()).unbind(-1)
        size, turn = torch.exp(math.log(2) * scale), math.pi / 2 * angle
        cosine, sine = size * torch.cos(turn), size * torch.sin(turn)
        first = torch.stack((cosine, -sine, right), -1)
        return torch.stack((first, torch.stack((sine, cosine, down), -1)), 1)


def warp(maps: Tensor, places: Tensor, padding: str = "border") -> Tensor:
    """Bilinear reading of maps (B, C, H, W) at affine `places` (B, 2, 3): the value at cell p of the result (B, C, H,
    W) is that of the map at places(p), both in units of half the side about the centre."""
    height, width = maps.shape[-2:]
    rows, columns = (
        (2 * torch.arange(side, device=maps.device, dtype=torch.float32) + 1) / side - 1 for side in (height, width)
    )
    y, x = rows.view(1, -1, 1), columns.view(1, 1, -1)
    part = places.float()[..., None, None]
    grid = torch.stack([part[:, k, 0] * x + part[:, k, 1] * y + part[:, k, 2] for k in (0, 1)], -1)
    return F.grid_sample(maps.float(), grid, mode="bilinear", padding_mode=padding, align_corners=False)


def inverse(places: Tensor) -> Tensor:
    """The inverse of affine maps (B, 2, 3)."""
    a, b, c, d = places[:, 0, 0], places[:, 0, 1], places[:, 1, 0], places[:, 1, 1]
    right, down = places[:, 0, 2], places[:, 1, 2]
    share = 1 / (a * d - b * c)
    first = torch.stack((d, -b, b * down - d * right), -1)
    return torch.stack((first, torch.stack((-c, a, c * right - a * down), -1)), 1) * share[:, None, None]
