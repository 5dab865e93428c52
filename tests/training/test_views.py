"""Second views: images, heatmaps and landmarks move alike."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nasface.config import ViewConfig
from nasface.faces.landmarks import FLIP_68
from nasface.training.targets.heatmap_coding import draw_heatmaps
from nasface.training.targets.views import Views, draw_views
from tests.faces.mirror import mirror_landmarks


def points(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return (torch.rand(count, 68, 2, generator=torch.Generator().manual_seed(seed)) * 0.5 + 0.25) * size


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000))
def test_heatmaps_and_landmarks_move_alike(seed: int) -> None:
    """The moved heatmap of a landmark has its centre where the landmark is in the second view."""
    views = draw_views(3, ViewConfig(), seed)
    first = points(3, 64, seed)
    moved = views.heatmaps(draw_heatmaps(first, 64, 1, 3.0))
    second = views.landmarks(first, 64)
    inside = ((second > 14) & (second < 49)).all(-1)
    line = torch.arange(64.0)
    mass = moved.sum((-1, -2))
    centre = torch.stack(((moved.sum(-2) * line).sum(-1) / mass, (moved.sum(-1) * line).sum(-1) / mass), -1)
    assert (centre - second)[inside].abs().max() < 0.15


def test_images_move_with_their_landmarks() -> None:
    views = draw_views(8, ViewConfig(), 5)
    first = points(8, 48)
    images = draw_heatmaps(first[:, 30:31], 48, 1, 2.5)  # on the tip of the nose, which has no other side
    second = views.landmarks(first, 48)[:, 30]
    best = views.images(images).flatten(1).argmax(1)
    inside = ((second > 2) & (second < 45)).all(-1)
    assert inside.sum() >= 4
    assert (torch.stack((best % 48, best // 48), -1) - second)[inside].abs().max() < 1


def test_a_mirror_renames_the_landmarks() -> None:
    mirror = Views(torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]]), torch.tensor([True]))
    first = points(1, 32)
    np.testing.assert_allclose(
        mirror.landmarks(first, 32)[0].numpy(), mirror_landmarks(first[0].numpy(), 32), rtol=0, atol=1e-4
    )
    heatmaps = torch.rand(1, 68, 8, 8)
    moved = mirror.heatmaps(heatmaps)
    torch.testing.assert_close(moved, heatmaps[:, FLIP_68.copy()].flip(-1))
    assert mirror.inside(8).all()
    torch.testing.assert_close(mirror.images(heatmaps), heatmaps.flip(-1))
    assert not torch.equal(moved, heatmaps.flip(-1))


def test_truth_is_float32_under_autocast() -> None:
    views, first = draw_views(3, ViewConfig(), 2), points(3, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (first @ first.transpose(1, 2)).dtype == torch.bfloat16, "autocast is not on: the test shows nothing"
        found = views.landmarks(first, 64)
    assert torch.equal(found, views.landmarks(first, 64))


def test_cells_from_outside_are_told() -> None:
    half = Views(torch.tensor([[[1.0, 0, 1.0], [0, 1, 0]]]), torch.tensor([False]))  # half a side to the left
    assert half.inside(8)[0, 0].tolist() == 8 * [[True] * 4 + [False] * 4]


def test_draws_follow_the_settings() -> None:
    none = ViewConfig(rotation=0, scale=0, shift=0, flip=0)
    views = draw_views(4, none, 0)
    torch.testing.assert_close(views.places, torch.eye(3)[:2].expand(4, 2, 3))
    assert not views.flipped.any()
    assert draw_views(4, ViewConfig(flip=1.0), 0).flipped.all()
    views = draw_views(500, ViewConfig(), 3)
    determinant = views.places[:, :, :2].det()
    assert torch.equal(determinant < 0, views.flipped) and 200 < views.flipped.sum() < 300
    size = 1 / determinant.abs().sqrt()  # of the second view's faces
    assert 0.8 - 1e-4 < size.min() < 0.82 and 1.18 < size.max() < 1.2 + 1e-4
    angle = torch.rad2deg(torch.atan2(views.places[:, 1, 0], views.places[:, 1, 1]))
    assert 35 < angle.abs().max() < 40.001
    assert 0.08 < views.places[:, :, 2].abs().max() <= 0.1
    again = draw_views(500, ViewConfig(), 3)
    assert torch.equal(views.places, again.places)
    assert not torch.equal(views.places, draw_views(500, ViewConfig(), 4).places)
