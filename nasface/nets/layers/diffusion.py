"""3D diffusion heat maps: a face's landmarks drawn into an image, coloured by where they are in space.

Sun et al., "Deep Evolutionary 3D Diffusion Heat Maps for Large-pose Face Alignment", BMVC 2018, section 3.1, Eq. 3 and
Algorithm 1.
"""

from __future__ import annotations

import torch
from torch import Tensor


def diffusion_maps(landmarks: Tensor, size: int, sigma: float = 1.0, shared: float | Tensor = 1.0) -> Tensor:
    """3D diffusion heat maps (B, 3, size, size) of landmarks (B, P, 3) in pixels, differentiable in them.

    Each channel is one coordinate, brought to [0, 1] over the face's landmarks (Eq. 3, after the subtraction of
    Algorithm 1), and spread from each landmark's place by a Gaussian of height 1 and deviation `sigma` in pixels. Where
    Gaussians meet and come to more than 1, a pixel has their mean: a colour stays one. (The paper's 224 pixels hardly
    have such places, small images have many.)

    Args:
        shared: 1; 0 for the sums that networks of nasface 0.1 were trained on.
    """
    low, high = landmarks.amin(1, keepdim=True), landmarks.amax(1, keepdim=True)
    return _spread(landmarks, (landmarks - low) / (high - low).clamp(min=1e-6), size, sigma, shared)


def landmark_maps(landmarks: Tensor, size: int, sigma: float = 1.0, shared: float | Tensor = 1.0) -> Tensor:
    """The same without the third dimension (B, 1, size, size): a Gaussian of height 1 at each landmark's place. What
    the paper's ablation 2D-RNN sees."""
    return _spread(landmarks, torch.ones_like(landmarks[..., :1]), size, sigma, shared)


def _spread(landmarks: Tensor, values: Tensor, size: int, sigma: float, shared: float | Tensor) -> Tensor:
    """Values (B, P, C) times each point's Gaussian, a product of one along x and one along y: (B, C, size, size)."""
    line = torch.arange(size, device=landmarks.device, dtype=landmarks.dtype)
    x, y = (torch.exp(-(landmarks[..., axis, None] - line).square() / (2 * sigma**2)) for axis in (0, 1))
    weighted = values.transpose(1, 2)[..., None] * y[:, None]
    covered = y.transpose(1, 2) @ x
    return weighted.transpose(2, 3) @ x[:, None] / (1 + shared * (covered - 1).clamp(min=0))[:, None]
