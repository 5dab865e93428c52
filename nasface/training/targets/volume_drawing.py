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
    """Colours (count, 3) in [0, 1]: hues from red to violet in the landmarks' order (`sorted`), or the same in a random
    order of a seed (`random`)."""
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


def draw_volume(points: Tensor, colours: Tensor, side: int, sigma: float, depth: int | None = None) -> Tensor:
    """Volumes (B, C, depth, side, side), indexed [colour, z, y, x], of points (B, N, 3).

    Eq. (1) and (2) divided by `gaussian_peak`: a lone landmark's voxel has its colour. Gaussians are cut off at 4.5
    deviations; points may lie outside.

    A coarse volume is drawn on its own grid, `sigma` in its own slices along z. What a landmark has in its slices is
    brought to the sum that Eq. (4) asks for, since such a Gaussian is wider than the volume is deep: with one slice it
    is the heatmap of Eq. (3), the same for faces with depth and without.

    Args:
        points: x, y, z in voxels of the full depth, 0 the first voxel's centre.
        colours: (N, C), in [0, 1].
        sigma: deviation in voxels.
        depth: slices; `side` where it is not given.
    """
    depth = depth or side
    z = (points[..., 2:] + 0.5) * (depth / side) - 0.5
    return _draw(torch.cat((points[..., :2], z), -1), colours, (side, side, depth), sigma)


def draw_heatmap(points: Tensor, colours: Tensor, side: int, sigma: float) -> Tensor:
    """Heatmaps (B, C, side, side) of points (B, N, 2): Eq. (3) in the unit of `draw_volume`, so that Eq. (4) holds: a
    lone landmark's heatmap is its volume summed over z."""
    return _draw(points, colours, (side, side), sigma) * (math.sqrt(2 * math.pi) * sigma)


def marginal(volume: Tensor, depth: int) -> Tensor:
    """A volume (B, C, D, H, W) summed to `depth` slices (B, C, depth, H, W), a divisor of D; one slice is the
    heatmap of Eq. (4)."""
    slices = volume.shape[2]
    return volume if depth == slices else volume.unflatten(2, (depth, slices // depth)).sum(3)


def _draw(points: Tensor, colours: Tensor, sides: Sequence[int], sigma: float) -> Tensor:
    """The greatest of the points' Gaussians in each cell of a grid of these sides, times their colours."""
    faces, count, _ = points.shape
    falls, cells = [], []
    # Only a window around each point is computed. It lies within the grid, on the point's side of it.
    for place, side in zip(points.unbind(-1), sides, strict=True):
        window = min(side, 2 * math.ceil(_REACH * sigma) + 1)
        start = (place.round() - window // 2).clamp(0, side - window).long()
        cells.append(start[..., None] + torch.arange(window, device=points.device))
        falls.append((place[..., None] - cells[-1]).square() / (-2 * sigma**2))
    last = falls[-1].softmax(-1) * (math.sqrt(2 * math.pi) * sigma) if sides[-1] < sides[0] else falls[-1].exp()
    falls = [*(fall.exp() for fall in falls[:-1]), last]
    channels, volume = colours.shape[1], points.new_zeros(faces, colours.shape[1], math.prod(sides))
    step = max(1, _CHUNK // max(1, faces * channels * math.prod(fall.shape[-1] for fall in falls)))
    for first in range(0, count, step):
        part = slice(first, first + step)
        # The last of x, y(, z) is the slowest of a cell's indices.
        value, index, stride = falls[0][:, part], cells[0][:, part], 1
        for fall, cell, side in zip(falls[1:], cells[1:], sides, strict=False):
            stride *= side
            value = (fall[:, part, :, None] * value[:, :, None]).flatten(2)
            index = (cell[:, part, :, None] * stride + index[:, :, None]).flatten(2)
        for channel in range(channels):
            coloured = (value * colours[part, channel, None]).flatten(1)
            volume[:, channel].scatter_reduce_(1, index.flatten(1), coloured, "amax")
    return volume.view(faces, channels, *reversed(sides))
