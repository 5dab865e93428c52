"""Drawing heatmaps and reading them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nasface.training.targets.heatmap_coding import decode_heatmaps, draw_heatmaps


def logits_of(heatmaps: torch.Tensor) -> torch.Tensor:
    return torch.logit(heatmaps.double().clamp(1e-300, 1 - 1e-12)).float()


def test_a_drawn_heatmap_by_hand() -> None:
    # Pixel 5.5 at stride 4 is cell 1; pixel 7.5 is cell 1.5.
    found = draw_heatmaps(torch.tensor([[[5.5, 7.5, 99.0]]]), cells=4, stride=4, sigma=0.5)
    assert found.shape == (1, 1, 4, 4)
    wanted = np.exp(-((np.arange(4)[None] - 1) ** 2 + (np.arange(4)[:, None] - 1.5) ** 2) / 0.5)
    np.testing.assert_allclose(found[0, 0].numpy(), wanted, rtol=1e-5)


@settings(deadline=None)
@given(st.floats(1, 61), st.floats(1, 61), st.sampled_from([1, 2, 4]), st.floats(0.6, 2.0))
def test_reading_a_gaussian_is_exact(x: float, y: float, stride: int, sigma: float) -> None:
    points = torch.tensor([[[x, y]]])
    heatmaps = draw_heatmaps(points, 64 // stride, stride, sigma)
    torch.testing.assert_close(decode_heatmaps(logits_of(heatmaps), stride), points, rtol=0, atol=0.02 * stride)


@pytest.mark.parametrize("place", [-0.4, 0.0, 0.3, 14.8, 15.0, 15.3])
def test_reading_at_the_edge(place: float) -> None:
    points = torch.tensor([[[place, 7.2]]])
    found = decode_heatmaps(logits_of(draw_heatmaps(points, 16, 1, 1.0)), 1)
    torch.testing.assert_close(found, points, rtol=0, atol=0.02)


def test_reading_is_finer_than_the_highest_cell() -> None:
    points = torch.rand(50, 68, 2, generator=torch.Generator().manual_seed(0)) * 50 + 5
    heatmaps = draw_heatmaps(points, 16, 4, 1.0)
    best = heatmaps.flatten(-2).argmax(-1)
    coarse = torch.stack((best % 16, best // 16), -1) * 4 + 1.5
    found = decode_heatmaps(logits_of(heatmaps), 4)
    assert (found - points).norm(dim=-1).mean() < 0.01 < 1 < (coarse - points).norm(dim=-1).mean()


@settings(deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_any_heatmap_gives_a_place_near_its_highest_cell(seed: int) -> None:
    logits = 10 * torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(seed))
    found = decode_heatmaps(logits, 1)
    best = logits.flatten(-2).argmax(-1)
    cells = torch.stack((best % 7, best // 7), -1)
    assert found.isfinite().all() and (found - cells).abs().max() <= 1.5


def test_an_even_heatmap_gives_a_cell() -> None:
    found = decode_heatmaps(torch.zeros(1, 1, 4, 4), 2)
    assert found.tolist() == [[[0.5, 0.5]]]
