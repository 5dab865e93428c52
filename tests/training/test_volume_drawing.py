"""Volumes and heatmaps, against the paper's equations written out voxel by voxel."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nasface.training.targets import volume_drawing
from nasface.training.targets.volume_drawing import (
    draw_heatmap,
    draw_volume,
    gaussian_peak,
    grey,
    landmark_colours,
    marginal,
)

SIDE = 12


def some_points(seed: int, faces: int, count: int, axes: int = 3, margin: float = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(faces, count, axes, generator=generator) * (SIDE - 1 + 2 * margin) - margin


def by_the_equations(points: Tensor, colours: Tensor, sigma: float) -> Tensor:
    """Eq. (1) and (2), or (3), for one face: every landmark in every cell, with the equations' own constants."""
    axes = points.shape[1]
    line = torch.arange(SIDE, dtype=torch.float64)
    grids = torch.meshgrid(*axes * [line], indexing="ij")[::-1]  # x is the last index
    values = []
    for point, colour in zip(points.double(), colours.double(), strict=True):
        distance = sum((grid - coordinate) ** 2 for grid, coordinate in zip(grids, point, strict=True))
        density = torch.exp(-distance / (2 * sigma**2)) / ((2 * math.pi) ** (axes / 2) * sigma**axes)
        values.append(colour.view(-1, *axes * [1]) * density)
    return torch.stack(values).amax(0)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([0.5, 1.0, 2.0, 5.0]), st.sampled_from([1, 2, 7]))
def test_volumes_are_those_of_equations_1_and_2(seed: int, sigma: float, count: int) -> None:
    points = some_points(seed, 2, count)
    for colours in (landmark_colours(count), grey(count)):
        found = draw_volume(points, colours, SIDE, sigma)
        for face, volume in zip(points, found, strict=True):
            expected = by_the_equations(face, colours, sigma) / gaussian_peak(sigma)
            torch.testing.assert_close(volume.double(), expected, rtol=0, atol=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([0.5, 1.0, 2.0, 5.0]), st.sampled_from([1, 2, 7]))
def test_heatmaps_are_those_of_equation_3(seed: int, sigma: float, count: int) -> None:
    points, colours = some_points(seed, 2, count, axes=2), landmark_colours(count)
    found = draw_heatmap(points, colours, SIDE, sigma)
    for face, heatmap in zip(points, found, strict=True):
        expected = by_the_equations(face, colours, sigma) / gaussian_peak(sigma)
        torch.testing.assert_close(heatmap.double(), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("depth", [1, 2, 4, 12])
def test_the_heatmap_is_the_volume_summed_over_depth(depth: int) -> None:
    """Eq. (4), exact for landmarks that do not overlap, at every depth resolution."""
    points = torch.tensor([[[1.0, 1.0, 5.0], [9.3, 2.1, 6.4], [4.6, 9.2, 5.5]]])
    colours = torch.tensor([[1.0, 0.5, 0.25], [0.2, 0.4, 0.6], [0.3, 0.9, 0.1]])
    heatmap = draw_heatmap(points[..., :2], colours, SIDE, 0.8)
    volume = draw_volume(points, colours, SIDE, 0.8, depth)
    assert volume.shape == (1, 3, depth, SIDE, SIDE)
    assert heatmap.amax() > 1.5
    torch.testing.assert_close(volume.sum(2), heatmap, rtol=0, atol=2e-3)
    torch.testing.assert_close(marginal(volume, 1)[:, :, 0], volume.sum(2))


def test_one_slice_is_the_heatmap() -> None:
    """Also where landmarks overlap: faces with depth and without have one target for one map."""
    points, colours = some_points(1, 2, 20), landmark_colours(20)
    flat = draw_volume(points, colours, SIDE, 1.0, depth=1)
    torch.testing.assert_close(flat[:, :, 0], draw_heatmap(points[..., :2], colours, SIDE, 1.0))


@pytest.mark.parametrize("depth", [2, 3, 6])
def test_a_coarse_volume_is_drawn_on_its_own_grid(depth: int) -> None:
    """Eq. (1) and (2) with z in slices, each landmark's share of them written out."""
    points, colours = some_points(3, 1, 9, margin=0), landmark_colours(9)
    found = draw_volume(points, colours, SIDE, 1.0, depth)[0]
    flat = torch.stack([draw_heatmap(points[:, [k], :2], colours[[k]], SIDE, 1.0)[0] for k in range(9)])
    places = (points[0, :, 2] + 0.5) * depth / SIDE - 0.5
    shares = torch.stack([torch.exp(-((places - level) ** 2) / 2) for level in range(depth)], 1)
    shares /= shares.sum(1, keepdim=True)
    expected = torch.stack([(flat * shares[:, level].view(-1, 1, 1, 1)).amax(0) for level in range(depth)], 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


def test_a_landmark_is_where_it_should_be() -> None:
    points = torch.tensor([[[2.0, 7.0, 10.0]]])
    volume = draw_volume(points, torch.tensor([[0.25, 1.0]]), SIDE, 1.0)
    assert volume[0, 0, 10, 7, 2] == 0.25 and volume[0, 1, 10, 7, 2] == 1.0
    assert volume[0, 1].amax() == 1.0
    heatmap = draw_heatmap(points[..., :2], torch.tensor([[1.0]]), SIDE, 1.0)
    assert heatmap.flatten().argmax() == 7 * SIDE + 2


def test_a_landmark_far_outside_draws_nothing() -> None:
    volume = draw_volume(torch.tensor([[[-30.0, 5.0, 5.0], [5.0, 5.0, 99.0]]]), grey(2), SIDE, 1.0)
    assert not volume.any()


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points, colours = some_points(2, 3, 9), landmark_colours(9)
    whole = draw_volume(points, colours, SIDE, 1.0)
    monkeypatch.setattr(volume_drawing, "_CHUNK", 1)
    assert torch.equal(draw_volume(points, colours, SIDE, 1.0), whole)


def test_colours_tell_landmarks_apart() -> None:
    colours = landmark_colours(68)
    assert colours.shape == (68, 3) and colours.min() == 0 and colours.max() == 1
    assert (torch.cdist(colours, colours) + torch.eye(68)).min() > 0.02
    neighbours = (colours[1:] - colours[:-1]).norm(dim=1)
    assert neighbours.max() < 0.1, "sorted colours change little from one landmark to the next"


def test_random_colours_are_the_sorted_ones_in_an_order_of_the_seed() -> None:
    ordered, one, other = (landmark_colours(68), landmark_colours(68, "random", 1), landmark_colours(68, "random", 2))
    assert torch.equal(one, landmark_colours(68, "random", 1))
    assert not torch.equal(one, other)
    for colours in (one, other):
        assert sorted(map(tuple, colours.tolist())) == sorted(map(tuple, ordered.tolist()))
