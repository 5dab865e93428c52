"""Augmentation of a batch of faces: similarity, mirror, colours and erased rectangles, drawn for each face."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nasface.config import AugmentConfig
from nasface.faces.landmarks import FLIP_68

MEAN, STD = 127.5, 128
"""Of the colours that networks take: (x - 127.5) / 128, as 3DDFA."""


def normalise(images: Tensor) -> Tensor:
    """uint8 images (B, S, S, 3) RGB to network input (B, 3, S, S) float32: (x - 127.5) / 128, as 3DDFA."""
    return images.to(torch.float32, copy=True).sub_(MEAN).div_(STD).permute(0, 3, 1, 2)


def augment(images: Tensor, pose: Tensor, config: AugmentConfig, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Augment normalised images (B, 3, S, S) and their poses (B, 3, 4), model to crop pixels: images, pose after the
    similarity but before the mirror, and flipped (B,) bool.

    A pure function of its arguments and, from the noise on, of the device's kind; `seed` is of every draw. The
    similarity moves image and pose alike; the mirror moves the image only: the caller re-indexes its labels.
    """
    changes = _draw(images, config, seed)
    step = len(images) if images.is_cuda else max(1, _AT_ONCE // images[0].nbytes)
    parts = zip(images.split(step), changes.split(step), strict=True)
    images = torch.cat([_changed(part, change) for part, change in parts])
    forward = changes.forward.to(pose.device)
    rotation = F.pad(forward[:, :, :2], (0, 1))
    depth = forward[:, :, :2].norm(dim=1)[:, :1, None]
    pose = torch.cat((rotation @ pose, depth * pose[:, 2:]), 1) + F.pad(
        torch.cat((forward[:, :, 2:], torch.zeros_like(depth)), 1), (3, 0)
    )
    return images, pose, changes.flipped.to(pose.device)


def moved_landmarks(
    images: Tensor, landmarks: Tensor, config: AugmentConfig, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """`augment` of faces without a model: images, landmarks (B, 68, C), C 2 or 3, in crop pixels of the augmented
    images, and flipped (B,) bool."""
    # The pose that does nothing holds, after the augmentation, the move itself.
    still = torch.eye(3, 4, device=images.device).expand(len(images), 3, 4)
    images, move, flipped = augment(images, still, config, seed)
    plane = landmarks[..., :2] @ move[:, :2, :2].transpose(1, 2) + move[:, None, :2, 3]
    moved = torch.cat((plane, landmarks[..., 2:] * move[:, 2:, 2, None]), -1)
    return images, torch.where(flipped[:, None, None], mirrored(moved, images.shape[-1]), moved), flipped


def mirrored(landmarks: Tensor, size: int) -> Tensor:
    """Landmarks (..., 68, C) of an image `size` wide that is mirrored left to right."""
    swapped = landmarks[..., torch.from_numpy(FLIP_68.copy()).to(landmarks.device), :]
    return torch.cat((size - 1 - swapped[..., :1], swapped[..., 1:]), -1)


_AT_ONCE = 2**22
"""Bytes of images that are changed at a time: on a CPU, fewer stay in its caches from one change to the next."""


@dataclass(frozen=True)
class _Changes:
    """What happens to each of B faces; on the CPU, but for the noise."""

    forward: Tensor
    """(B, 2, 3) maps of crop pixels to crop pixels, about the image's centre."""
    contrast: Tensor
    gain: Tensor
    brightness: Tensor
    grey: Tensor
    noise: Tensor | None
    erased: Tensor
    corner: Tensor
    """(B, 2) first row and column of an erased rectangle."""
    extent: Tensor
    filling: Tensor
    flipped: Tensor

    def split(self, step: int) -> Iterator[_Changes]:
        """Those of `step` faces at a time."""
        for start in range(0, len(self.flipped), step):
            part = slice(start, start + step)
            values: dict[str, Any] = {
                name: None if value is None else value[part] for name, value in vars(self).items()
            }
            yield replace(self, **values)


def _draw(images: Tensor, config: AugmentConfig, seed: int) -> _Changes:
    generator, count, size = torch.Generator().manual_seed(seed), len(images), images.shape[-1]

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * (high - low) + low

    # The order is that of the draws of all versions: a seed gives the same faces.
    angle = uniform(-config.rotation, config.rotation) * math.pi / 180
    scale = (1 + uniform(-config.scale, config.scale)).clamp(min=0.01)
    shift = uniform(-config.shift, config.shift, 2) * size
    gain = 1 + uniform(-config.colour, config.colour, 3, 1, 1)
    contrast = 1 + uniform(-config.colour, config.colour, 1, 1, 1)
    brightness = uniform(-config.colour, config.colour, 1, 1, 1)
    grey = uniform(0, 1, 1, 1, 1).flatten() < config.grey
    noise = None
    if config.noise > 0:
        deviation = uniform(0, config.noise / 128, 1, 1, 1)
        noise = _normal(images, generator).mul_(deviation.to(images.device))
    erased = uniform(0, 1, 1, 1).flatten() < config.erase
    extent = uniform(0.1, 0.4, 2) * size
    corner = uniform(0, 1, 2) * (size - extent)
    filling = uniform(-1, 1, 3, 1, 1)
    flipped = uniform(0, 1) < config.flip
    forward = _similarity(angle, scale, shift, size)
    return _Changes(forward, contrast, gain, brightness, grey, noise, erased, corner, extent, filling, flipped)


def _normal(images: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers of the images' shape."""
    if images.is_cuda:  # drawing and moving so many numbers would take longer than a step
        generator = torch.Generator(images.device).manual_seed(generator.initial_seed())
    return torch.randn(images.shape, generator=generator, device=images.device)


def _similarity(angle: Tensor, scale: Tensor, shift: Tensor, size: int) -> Tensor:
    """(B, 2, 3) maps of crop pixels to crop pixels, about the image's centre."""
    cosine, sine = scale * torch.cos(angle), scale * torch.sin(angle)
    linear = torch.stack((cosine, -sine, sine, cosine), 1).view(-1, 2, 2)
    centre = (size - 1) / 2
    offset = centre - linear.sum(2) * centre + shift
    return torch.cat((linear, offset[:, :, None]), 2)


def _changed(images: Tensor, changes: _Changes) -> Tensor:
    """Images (B, 3, S, S) after their changes."""
    device = images.device
    images = _warp(images.contiguous(), changes.forward.to(device))
    mean = images.mean((1, 2, 3), keepdim=True)
    images.sub_(mean).mul_(changes.contrast.to(device)).add_(mean)
    images.add_(1).mul_(changes.gain.to(device)).sub_(1).add_(changes.brightness.to(device))
    _replace(images, changes.grey, lambda chosen, _: chosen.mean(1, keepdim=True).expand_as(chosen))
    if changes.noise is not None:
        images.add_(changes.noise)
    images.clamp_(-1, 1)
    _replace(images, changes.erased, partial(_erase, changes))
    return _replace(images, changes.flipped, lambda chosen, _: chosen.flip(-1))


def _replace(images: Tensor, chosen: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Change, in place, the images (B, 3, S, S) that are chosen (B,), on the CPU; the same tensor."""
    if len(rows := chosen.nonzero()[:, 0]):
        there = rows.to(images.device)
        images[there] = change(images[there], rows)
    return images


def _erase(changes: _Changes, images: Tensor, rows: Tensor) -> Tensor:
    """Images whose rectangles are filled."""
    first, extent = changes.corner[rows].to(images.device), changes.extent[rows].to(images.device)
    line = torch.arange(images.shape[-1], device=images.device)
    down = (line >= first[:, :1]) & (line < first[:, :1] + extent[:, :1])
    across = (line >= first[:, 1:]) & (line < first[:, 1:] + extent[:, 1:])
    inside = down[:, :, None] & across[:, None, :]
    return torch.where(inside[:, None], changes.filling[rows].to(images.device), images)


def _warp(images: Tensor, forward: Tensor) -> Tensor:
    """Images moved by `forward`; grid_sample wants the inverse, in units of half the side."""
    size = images.shape[-1]
    inverse = torch.linalg.inv(forward[:, :, :2])
    line = torch.arange(size, device=images.device, dtype=torch.float32)
    # Coordinate by coordinate: a product of so many points with matrices of 2 x 2 takes far longer.
    x = line - forward[:, 0, 2, None, None]
    y = line[:, None] - forward[:, 1, 2, None, None]
    a, b, c, d = (inverse[:, row, column, None, None] for row in (0, 1) for column in (0, 1))
    grid = torch.stack((a * x + b * y, c * x + d * y), -1).add_(0.5).mul_(2 / size).sub_(1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
