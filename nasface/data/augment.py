"""Augmentation of a batch of faces: similarity, mirror, colours and erased rectangles, drawn for each face."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from nasface.config import AugmentConfig
from nasface.faces.landmarks import FLIP_68

MEAN, STD = 127.5, 128
"""Of the colours that networks take: (x - 127.5) / 128, as 3DDFA."""


def normalise(images: Tensor) -> Tensor:
    """uint8 images (B, S, S, 3) RGB to network input (B, 3, S, S) float32: (x - 127.5) / 128, as 3DDFA."""
    return (images.permute(0, 3, 1, 2).float() - MEAN) / STD


def augment(images: Tensor, pose: Tensor, config: AugmentConfig, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Augment normalised images (B, 3, S, S) and their poses (B, 3, 4), model to crop pixels: images, pose after the
    similarity but before the mirror, and flipped (B,) bool.

    A pure function of its arguments and, from the noise on, of the device's kind; `seed` is of every draw. The
    similarity moves image and pose alike; the mirror moves the image only: the caller re-indexes its labels.
    """
    generator = torch.Generator().manual_seed(seed)
    count, size = len(images), images.shape[-1]
    draw = _Draw(generator, count, images.device)
    forward = _similarity(draw, config, size)
    images = _warp(images, forward)
    rotation = F.pad(forward[:, :, :2], (0, 1))
    depth = forward[:, :, :2].norm(dim=1)[:, :1, None]
    pose = torch.cat((rotation @ pose, depth * pose[:, 2:]), 1) + F.pad(
        torch.cat((forward[:, :, 2:], torch.zeros_like(depth)), 1), (3, 0)
    )
    images = _colours(images, draw, config, generator)
    images = _erase(images, draw, config)
    flipped = draw.uniform(0, 1) < config.flip
    images = torch.where(flipped[:, None, None, None], images.flip(-1), images)
    return images, pose, flipped


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


class _Draw:
    """Numbers for every face of a batch; drawn on the CPU."""

    def __init__(self, generator: torch.Generator, count: int, device: torch.device) -> None:
        self.generator, self.count, self.device = generator, count, device

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        values = torch.rand(self.count, *shape, generator=self.generator)
        return (values * (high - low) + low).to(self.device)


def _similarity(draw: _Draw, config: AugmentConfig, size: int) -> Tensor:
    """(B, 2, 3) maps of crop pixels to crop pixels, about the image's centre."""
    angle = draw.uniform(-config.rotation, config.rotation) * math.pi / 180
    scale = (1 + draw.uniform(-config.scale, config.scale)).clamp(min=0.01)
    shift = draw.uniform(-config.shift, config.shift, 2) * size
    cosine, sine = scale * torch.cos(angle), scale * torch.sin(angle)
    linear = torch.stack((cosine, -sine, sine, cosine), 1).view(-1, 2, 2)
    centre = (size - 1) / 2
    offset = centre - linear.sum(2) * centre + shift
    return torch.cat((linear, offset[:, :, None]), 2)


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


def _colours(images: Tensor, draw: _Draw, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    gain = 1 + draw.uniform(-config.colour, config.colour, 3, 1, 1)
    contrast = 1 + draw.uniform(-config.colour, config.colour, 1, 1, 1)
    brightness = draw.uniform(-config.colour, config.colour, 1, 1, 1)
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * contrast + mean
    images = (images + 1) * gain - 1 + brightness
    grey = draw.uniform(0, 1, 1, 1, 1) < config.grey
    images = torch.where(grey, images.mean(1, keepdim=True), images)
    if config.noise > 0:
        deviation = draw.uniform(0, config.noise / 128, 1, 1, 1)
        if images.is_cuda:  # drawing and moving so many numbers would take longer than a step
            generator = torch.Generator(images.device).manual_seed(generator.initial_seed())
        images = images + torch.randn(images.shape, generator=generator, device=images.device) * deviation
    return images.clamp(-1, 1)


def _erase(images: Tensor, draw: _Draw, config: AugmentConfig) -> Tensor:
    size = images.shape[-1]
    chosen = draw.uniform(0, 1, 1, 1) < config.erase
    extent = draw.uniform(0.1, 0.4, 2) * size
    start = draw.uniform(0, 1, 2) * (size - extent)
    line = torch.arange(size, device=images.device)
    rows = (line >= start[:, :1]) & (line < start[:, :1] + extent[:, :1])
    columns = (line >= start[:, 1:]) & (line < start[:, 1:] + extent[:, 1:])
    inside = rows[:, :, None] & columns[:, None, :] & chosen
    filling = draw.uniform(-1, 1, 3, 1, 1)
    return torch.where(inside[:, None], filling, images)
