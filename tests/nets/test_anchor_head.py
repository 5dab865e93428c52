from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from nasface.config import MultipathConfig
from nasface.faces.uv import reading_matrix
from nasface.nets.anchor_head import GRID, MODES, AnchorHead
from nasface.nets.uv_head import make_head

SIZE, MAP, WIDTH = 32, 16, 8
LANDMARK_UV = np.random.default_rng(0).uniform(0.1, 0.9, (68, 2))


def smooth_maps(count: int, parts: int = 6) -> Tensor:
    """Maps that few waves over the chart span, around the chart's own plane."""
    rng = np.random.default_rng(1)
    line = np.linspace(-0.6, 0.6, MAP)
    plane = np.stack([*np.meshgrid(line, line), np.zeros((MAP, MAP))])
    waves = np.stack(
        [np.cos(rng.uniform(0, 3, (3, 1, 1)) * plane[:1] * 3 + rng.uniform(0, 6, (3, 1, 1))) for _ in range(parts)]
    )
    return torch.from_numpy(plane + np.einsum("np,pcij->ncij", rng.normal(0, 0.1, (count, parts)), waves)).float()


def learnt_head(maps: Tensor) -> AnchorHead:
    torch.manual_seed(0)
    head = AnchorHead(MultipathConfig(input_size=SIZE, map_size=MAP, width=WIDTH, head_width=8), WIDTH)
    head.learn(SimpleNamespace(sample=maps, landmark_uv=LANDMARK_UV))
    return head


def test_true_anchors_give_the_true_map() -> None:
    """What is left is the error that the expected noise of the anchors costs."""
    maps = smooth_maps(200)
    head = learnt_head(maps)
    true = head.anchor_places(maps).flatten(1)
    hidden = torch.zeros(len(maps), 8)
    found = head.mean_map + head.lift(torch.cat((true - head.mean_anchors, hidden), 1)) @ head.modes
    error = (found.view_as(maps) - maps)[:, :2].square().mean().sqrt()
    assert error < 0.25 * (maps - maps.mean(0))[:, :2].square().mean().sqrt()


def test_a_heatmap_at_one_cell_is_an_anchor_there() -> None:
    head = learnt_head(smooth_maps(20))
    cell = 19
    logits = torch.zeros(8, 8)
    logits.view(-1)[cell] = 50.0
    anchors = head.cells @ logits.flatten().softmax(-1)
    # Cells of 4 pixels: number 19 is the fourth of the third row, whose middle is at pixel 13.5, 9.5 of 0..31.
    assert anchors.tolist() == pytest.approx([(13.5 - 15.5) / 16, (9.5 - 15.5) / 16])


def test_the_heatmap_loss_is_zero_at_its_target_and_positive_elsewhere() -> None:
    maps = smooth_maps(3)
    head = learnt_head(smooth_maps(20))
    true = head.anchor_places(maps).transpose(1, 2)
    distance = ((true[:, :, None] - head.cells.T) * 4).square().sum(-1)
    perfect = -distance / (2 * 0.8**2)
    assert float(head.heatmap_loss(perfect[None], maps)) == pytest.approx(0, abs=1e-5)
    uniform = torch.zeros_like(perfect)[None]
    assert 1 < float(head.heatmap_loss(uniform, maps)) < np.log(64)
    beyond = maps + 10
    assert float(head.heatmap_loss(uniform, beyond)) == 0, "no anchor lies on the image"


def test_children_are_separate_networks() -> None:
    head = learnt_head(smooth_maps(20)).train()
    features = [torch.randn(2, WIDTH, 8, 8) for _ in range(3)]
    together = head.children_output(features)
    assert together.maps.shape == (3, 2, 3, MAP, MAP) and together.heatmaps.shape == (3, 2, 68 + GRID**2, 64)
    for number, feature in enumerate(features):
        alone = head.output(feature)
        torch.testing.assert_close(together.maps[number], alone.maps[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(together.heatmaps[number], alone.heatmaps[0], rtol=0, atol=1e-5)


def test_maps_are_combinations_of_the_training_maps() -> None:
    """So they are as smooth, whatever the weights are."""
    maps = smooth_maps(200, parts=5)
    head = learnt_head(maps)
    torch.nn.init.normal_(head.lift.weight)
    torch.nn.init.normal_(head.heat.weight)
    found = head(torch.randn(4, WIDTH, 8, 8)).flatten(1) - maps.flatten(1).mean(0)
    spanned = torch.linalg.qr((maps.flatten(1) - maps.flatten(1).mean(0)).T[:, :5])[0]
    assert (found - found @ spanned @ spanned.T).norm() < 1e-3 * found.norm()


def test_fewer_maps_than_modes_are_enough() -> None:
    head = learnt_head(smooth_maps(3))
    assert torch.isfinite(head.modes).all() and torch.isfinite(head.lift.weight).all()
    assert head.modes.shape == (MODES, 3 * MAP**2)


def test_everything_is_trained() -> None:
    maps = smooth_maps(40)
    head = learnt_head(maps)
    output = head.output(torch.randn(4, WIDTH, 8, 8))
    (output.maps[0] - maps[:4]).square().mean().backward()
    head.heatmap_loss(head.output(torch.randn(4, WIDTH, 8, 8)).heatmaps, maps[:4]).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in head.parameters())


@pytest.mark.parametrize("head", ["anchors", "cells"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_points_are_those_of_the_map(head: str, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    config = MultipathConfig(input_size=SIZE, map_size=MAP, width=WIDTH, head_width=8, head=head)
    network = make_head(config, WIDTH)
    if head == "anchors":
        network.learn(SimpleNamespace(sample=smooth_maps(40), landmark_uv=LANDMARK_UV))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    network.eval().to(memory_format=layout)
    reading = torch.from_numpy(reading_matrix(LANDMARK_UV, MAP))
    features = torch.randn(4, WIDTH, 8, 8).to(memory_format=layout)
    with torch.no_grad():
        expected = network(features).flatten(2) @ reading
        torch.testing.assert_close(network.points(reading)(features), expected, rtol=1e-4, atol=1e-4)


def test_heatmaps_are_the_same_in_both_layouts() -> None:
    head = learnt_head(smooth_maps(20)).eval()
    torch.nn.init.normal_(head.heat.weight)
    torch.nn.init.normal_(head.heat.bias)
    features = torch.randn(4, WIDTH, 8, 8)
    rows = head.output(features).heatmaps
    columns = head.to(memory_format=torch.channels_last).output(features.to(memory_format=torch.channels_last)).heatmaps
    torch.testing.assert_close(columns, rows, rtol=0, atol=1e-5)
    assert columns.is_contiguous()
