"""Affine reading of maps, its inverse, and the transformer's first estimate."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nasface.nets.layers.spatial_transformer import SpatialTransformer, inverse, warp

IDENTITY = torch.eye(3)[None, :2]


def transformer() -> SpatialTransformer:
    torch.manual_seed(0)
    return SpatialTransformer(nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()), 12, 8)


def test_the_first_estimate_is_the_identity() -> None:
    image = torch.randn(3, 3, 8, 8)
    places = transformer()(image)
    torch.testing.assert_close(places, IDENTITY.expand(3, 2, 3))
    torch.testing.assert_close(warp(image, places), image)


@settings(deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=4, max_size=4))
def test_estimates_are_similarities_with_bounds(values: list[float]) -> None:
    network = transformer()
    with torch.no_grad():
        network.last.bias.copy_(torch.tensor(values))
        places = network(torch.zeros(1, 3, 8, 8))[0]
    size = places[:, :2].det().clamp(min=0).sqrt().item()
    assert 0.499 <= size <= 2.001 and places[:, 2].abs().max() <= 1
    torch.testing.assert_close(places[:, :2] @ places[:, :2].T, size**2 * torch.eye(2), rtol=1e-4, atol=1e-4)


def test_warp_is_torchs_affine_grid() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, 5, 7, generator=generator)
    places = IDENTITY + 0.3 * torch.randn(2, 2, 3, generator=generator)
    for padding in ("border", "zeros"):
        wanted = F.grid_sample(
            maps,
            F.affine_grid(places, list(maps.shape), align_corners=False),
            padding_mode=padding,
            align_corners=False,
        )
        torch.testing.assert_close(warp(maps, places, padding), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("places", [[[0.0, -1, 0], [1, 0, 0]], [[1.2, 0.3, -0.2], [-0.4, 0.9, 0.5]]])
def test_inverse(places: list[list[float]]) -> None:
    whole = torch.eye(3)
    whole[:2] = torch.tensor(places)
    torch.testing.assert_close(inverse(whole[None, :2])[0], torch.linalg.inv(whole)[:2])


def test_there_and_back_again() -> None:
    """A smooth map comes back, but for the edge."""
    line = torch.linspace(-1, 1, 32)
    maps = torch.exp(-4 * (line[:, None] ** 2 + (line[None] - 0.2) ** 2))[None, None]
    turn = math.radians(30)
    places = torch.tensor([[[math.cos(turn), -math.sin(turn), 0.1], [math.sin(turn), math.cos(turn), -0.05]]])
    back = warp(warp(maps, places), inverse(places))
    assert (back - maps)[..., 8:-8, 8:-8].abs().max() < 0.02
    assert (warp(maps, places) - maps).abs().max() > 0.1, "nothing was moved"
