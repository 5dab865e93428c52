"""3D diffusion heat maps against loops over pixels and landmarks."""

from __future__ import annotations

import math

import numpy as np
import torch

from nasface.nets.layers.diffusion import diffusion_maps, landmark_maps


def slow(landmarks: np.ndarray, size: int, sigma: float) -> np.ndarray:
    """Eq. 3 for one face, point by point."""
    maps, covered = np.zeros((3, size, size)), np.zeros((size, size))
    for axis in range(3):
        values = landmarks[:, axis] - landmarks[:, axis].min()
        values = values / values.max()
        for (x, y, _), value in zip(landmarks, values, strict=True):
            for row in range(size):
                for column in range(size):
                    away = (column - x) ** 2 + (row - y) ** 2
                    maps[axis, row, column] += value * math.exp(-away / (2 * sigma**2))
                    covered[row, column] += math.exp(-away / (2 * sigma**2)) / 3
    return maps / np.maximum(covered, 1)


def test_maps_are_the_slow_ones() -> None:
    landmarks = np.random.default_rng(0).uniform(-2, 14, (2, 9, 3))
    for sigma in (1.0, 2.5):
        found = diffusion_maps(torch.from_numpy(landmarks), 12, sigma).numpy()
        np.testing.assert_allclose(found, [slow(face, 12, sigma) for face in landmarks], atol=1e-9)


def test_a_lone_landmark_has_its_coordinates_as_colour() -> None:
    landmarks = torch.tensor([[[2.0, 3.0, 0.0], [12.0, 8.0, 10.0], [7.0, 13.0, 5.0]]])
    maps = diffusion_maps(landmarks, 16)[0]
    assert torch.allclose(maps[:, 8, 12], torch.tensor([1.0, 0.5, 1.0]), atol=1e-4)
    assert torch.allclose(maps[:, 13, 7], torch.tensor([0.5, 1.0, 0.5]), atol=1e-4)
    flat = landmark_maps(landmarks, 16)[0, 0]
    assert [round(float(flat[y, x]), 4) for x, y in ((2, 3), (12, 8), (7, 13), (1, 15))] == [1, 1, 1, 0]


def test_colours_stay_within_0_and_1_in_small_images() -> None:
    """68 landmarks in 16 pixels: sums would be far beyond."""
    landmarks = torch.rand(4, 68, 3, generator=torch.Generator().manual_seed(0)) * 15
    assert diffusion_maps(landmarks, 16, shared=0.0).amax() > 2
    for maps in (diffusion_maps(landmarks, 16), landmark_maps(landmarks, 16)):
        assert 0.9 < maps.amax() <= 1 + 1e-6 and maps.amin() >= 0


def test_gradients_are_those_of_small_steps() -> None:
    torch.manual_seed(0)
    landmarks = (torch.rand(1, 5, 3, dtype=torch.float64) * 10).requires_grad_()
    assert torch.autograd.gradcheck(lambda points: diffusion_maps(points, 10), landmarks, atol=1e-5)
    assert torch.autograd.gradcheck(lambda points: landmark_maps(points, 10), landmarks, atol=1e-5)


def test_a_face_without_extent_is_drawn_without_nan() -> None:
    landmarks = torch.full((1, 4, 3), 3.0, requires_grad=True)
    maps = diffusion_maps(landmarks, 8)
    maps.sum().backward()
    assert torch.isfinite(maps).all() and torch.isfinite(landmarks.grad).all()
