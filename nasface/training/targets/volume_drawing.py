"""Landmarks drawn into one volume: a Gaussian each, in a colour that says which landmark it is.

Zhang et al., "Adversarial Learning Semantic Volume for 2D/3D Face Shape Regression in the Wild", TIP 2019, section
III-A.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_REACH = 4.5  # deviations after which a Gaussian, then below 5e-5 of its peak, is cut off
_CHUNK = 1 << 24  # voxels drawn together; bounds the memory of wide Gaussians


def landmark_colours(count: int, order: str = "sorted", seed: int = 0) -> Tensor:
    """Colours (count, 3) in [0, 1]: hues from red to violet in the landmarks' order.

    Args:
        order: `sorted`, or `random` (the same colours in a random order).
        seed: of that order.
    """
    hues = [colorsys.hsv_to_rgb(0.8 * index / max(1, count - 1), 1.0, 1.0) for index in range(count)]
    colours = torch.tensor(hues)
    if order == "random":
        colours = colours[torch.from_numpy(np.random.default_rng([seed, 3]).permutation(count))]
    return colours


def grey(count: int) -> Tensor:
    """The one colour (count, 1) of the compact volume, which does not tell landmarks apart."""
    return torch.ones(count, 1)


def gaussian_peak(sigma: float) -> float:
    """The peak of a 3D Gaussian of deviation `sigma`: Eq. (1)'s constant factor."""
    return (2 * math.pi) ** -1.5 * sigma**-3


def draw_volume(points: Tensor, colours: Tensor, side: int, sigma: float) -> Tensor:
    """Volumes (B, C, side, side, side), indexed [colour, z, y, x], of points (B, N, 3).

    Eq. (1) and (2) divided by `gaussian_peak`: a lone landmark's voxel has its colour. Gaussians are cut off at 4.5
    deviations; points may lie outside.

    Args:
        points: x, y, z in voxels, 0 the first voxel's centre.
        colours: (N, C), in [0, 1].
        sigma: deviation in voxels.
    """
    return _draw(points, colours, side, sigma)


def draw_heatmap(points: Tensor, colours: Tensor, side: int, sigma: float) -> Tensor:
    """Heatmaps (B, C, side, side) of points (B, N, 2): Eq. (3) in the unit of `draw_volume`, so that Eq. (4) holds: a
    lone landmark's heatmap is its volume summed over z."""
    return _draw(points, colours, side, sigma) * (math.sqrt(2 * math.pi) * sigma)


def marginal(volume: Tensor, depth: int) -> Tensor:
    """A volume (B, C, D, H, W) summed to `depth` slices (B, C, depth, H, W), a divisor of D; one slice is the
    heatmap of Eq. (4)."""
    slices = volume.shape[2]
    return volume if depth == slices else volume.unflatten(2, (depth, slices // depth)).sum(3)


def _draw(points: Tensor, colours: Tensor, side: int, sigma: float) -> Tensor:
    """The greatest of the points' Gaussians in each cell of a (side,) * axes grid, times their colours."""
    faces, count, axes = points.shape
    window = min(side, 2 * math.ceil(_REACH * sigma) + 1)
    # Only a window around each point is computed. It lies within the grid, on the point's side of it.
    start = (points.round() - window // 2).clamp(0, side - window).long()
    cells = start[..., None] + torch.arange(window, device=points.device)
    falls = torch.exp((points[..., None] - cells).square() / (-2 * sigma**2))
    channels, volume = colours.shape[1], points.new_zeros(faces, colours.shape[1], side**axes)
    step = max(1, _CHUNK // max(1, faces * channels * window**axes))
    for first in range(0, count, step):
        part = slice(first, first + step)
        # The last of x, y(, z) is the slowest of a cell's indices.
        value, index = falls[:, part, 0], cells[:, part, 0]
        for axis in range(1, axes):
            value = falls[:, part, axis, :, None] * value[:, :, None]
            index = cells[:, part, axis, :, None] * side**axis + index[:, :, None]
            value, index = value.flatten(2), index.flatten(2)
        for channel in range(channels):
            coloured = (value * colours[part, channel, None]).flatten(1)
            volume[:, channel].scatter_reduce_(1, index.flatten(1), coloured, "amax")
    return volume.view(faces, channels, *(side,) * axes)


def coarse_to_fine(volume: Tensor, depths: Sequence[int]) -> list[Tensor]:
    """The volume (B, C, D, H, W) at every depth resolution: its marginals, so that all have one heatmap."""
    return [marginal(volume, depth) for depth in depths]
