"""Second views of faces: rotated, scaled, shifted and mirrored, with landmarks and heatmaps that follow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nasface.config import ViewConfig
from nasface.faces.landmarks import FLIP_68
from nasface.nets.layers.spatial_transformer import inverse, warp
from nasface.nets.network import full_precision


@dataclass(frozen=True)
class Views:
    """How each of B faces moves from its first view to the second.

    Attributes:
        places: (B, 2, 3), places of the second view to places of the first, in units of half the side about the centre.
        flipped: (B,) bool, whether the second view is a mirror image: its landmarks are those of the other side.
    """

    places: Tensor
    flipped: Tensor

    def images(self, images: Tensor) -> Tensor:
        """Second views (B, C, S, S) of images (B, C, S, S); the edge is continued."""
        return warp(images, self.places)

    def heatmaps(self, heatmaps: Tensor) -> Tensor:
        """What heatmaps (B, 68, H, W) of the first views say of the second ones; 0 outside the first."""
        return warp(self._renamed(heatmaps), self.places, "zeros")

    def inside(self, cells: int) -> Tensor:
        """(B, 1, cells, cells) bool, the cells of the second views that lie in the first ones."""
        whole = self.places.new_ones(len(self.places), 1, cells, cells)
        return warp(whole, self.places, "zeros") > 1 - 1e-4

    def landmarks(self, points: Tensor, size: int) -> Tensor:
        """Landmarks (B, 68, 2) in pixels of the second views, from those of the first, (B, 68, >=2)."""
        units = (2 * self._renamed(points)[..., :2] + 1) / size - 1
        forward = inverse(self.places)
        with full_precision(units):
            return ((units @ forward[:, :, :2].transpose(1, 2) + forward[:, None, :, 2] + 1) * size - 1) / 2

    def _renamed(self, values: Tensor) -> Tensor:
        """Landmarks (B, 68, ...) under the names that they have in the second view."""
        order = torch.from_numpy(FLIP_68.copy()).to(values.device)
        flipped = self.flipped.view(-1, *(1,) * (values.dim() - 1))
        return torch.where(flipped, values[:, order], values)


def draw_views(count: int, config: ViewConfig, seed: int, device: torch.device | str = "cpu") -> Views:
    """Second views of `count` faces; drawn on the CPU so that every device sees the same ones."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * (high - low) + low

    angle = uniform(-config.rotation, config.rotation) * math.pi / 180
    size = 1 / (1 + uniform(-config.scale, config.scale)).clamp(min=0.01)  # of the first view's places
    shift = uniform(-2 * config.shift, 2 * config.shift, 2)
    flipped = uniform(0, 1) < config.flip
    # Of the first view's places, a mirror is the outermost step: x of the first is -x of the second.
    cosine, sine, mirror = size * torch.cos(angle), size * torch.sin(angle), torch.where(flipped, -1.0, 1.0)
    first = torch.stack((mirror * cosine, -mirror * sine, mirror * shift[:, 0]), -1)
    second = torch.stack((sine, cosine, shift[:, 1]), -1)
    return Views(torch.stack((first, second), 1).to(device), flipped.to(device))
