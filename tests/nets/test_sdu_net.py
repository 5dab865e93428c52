"""Stacked dense U-Nets: the sizes of Table 1, shapes, what tells the rows apart."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from nasface.nets.baselines.hourglass import Residual
from nasface.nets.baselines.sdu_net import TABLE_1, SDULayout, SDUNet
from nasface.nets.cost import count_macs, count_parameters
from nasface.nets.heatmap_network import HeatmapNetwork
from nasface.nets.layers.blocks import HPM
from nasface.nets.layers.cab import CAB
from nasface.nets.layers.deformable import DeformableConv
from nasface.nets.layers.hpm import hpm
from nasface.nets.layers.inception import InceptionResidual
from nasface.nets.layers.spatial_transformer import warp
from nasface.nets.network import HEATMAPS
from nasface.nets.registry import NETWORKS, BaselineSpec, create_network
from nasface.utils.errors import UserError
from tests.nets.fixed import check_export, check_gradients, on_meta
from tests.nets.overfit import learn_by_heart, overfit

# Model sizes in MB (1e6 bytes, 4 a parameter): counted on the authors' code where it builds the row, else as printed.
COUNTED = {
    "sdu-hourglass-resnet-1": 13.7,
    "sdu-hourglass-resnet-2": 26.3,
    "sdu-hourglass-inception-2": 38.2,
    "sdu-hourglass-hpm-2": 48.4,
    "sdu-hourglass-cab-2": 46.5,
    "sdu-hourglass-hpm-2-down3": 38.6,
    "sdu-hourglass-cab-2-down3": 37.1,
    "sdu-sat3-cab-2-down3": 40.4,
    "sdu-inside": 48.9,
    "sdu-outside": 40.4,
    "sdu-dual": 48.9,
}
PRINTED = {
    "sdu-unet-cab-2": 36,
    "sdu-dla-cab-2": 103,
    "sdu-sat1-cab-2": 131,
    "sdu-sat2-cab-2-down3": 83,
    "sdu-stn": 116,
}


def small(name: str, input_size: int = 32, scale: float = 1 / 16) -> SDUNet:
    torch.manual_seed(0)
    network = create_network(name, input_size, 32, scale)
    assert isinstance(network, SDUNet)
    return network


@cache
def row(name: str) -> SDUNet:
    """A row of the table in its size there, for what needs no values; the tests leave it as it is."""
    return on_meta(lambda: create_network(name, 128, 128))


def test_every_row_is_registered() -> None:
    assert COUNTED.keys() | PRINTED.keys() == TABLE_1.keys()
    assert {name for name in NETWORKS.names() if name.startswith("sdu-")} == set(TABLE_1)
    assert all(NETWORKS.get(name).target == HEATMAPS for name in TABLE_1)


@pytest.mark.parametrize(("name", "size"), sorted((COUNTED | PRINTED).items()))
def test_model_sizes(name: str, size: float) -> None:
    assert 4e-6 * count_parameters(row(name)) == pytest.approx(size, rel=0.02)


@pytest.mark.parametrize(("name", "published"), [("sdu-sat3-cab-2-down3", 17.6), ("sdu-dual", 26.3)])
def test_macs(name: str, published: float) -> None:
    assert count_macs(row(name), 128) / 1e9 == pytest.approx(published, rel=0.02)


def test_the_hpm_block() -> None:
    assert count_parameters(on_meta(lambda: hpm(256, 256))) == 406_400
    block = hpm(8, 16)
    assert block(torch.randn(2, 8, 4, 4)).shape == (2, 16, 4, 4)
    with torch.no_grad():
        for _, conv in block.stages:
            conv.weight.zero_()
        x = torch.randn(2, 8, 4, 4)
        torch.testing.assert_close(block(x), block.skip(x), msg="the input is added through the 1x1 convolution")


def test_the_inception_block() -> None:
    block = InceptionResidual(16).eval()
    x = torch.randn(1, 16, 9, 9)
    output = block(x)
    assert output.shape == x.shape and output.min() >= 0
    moved = x.clone()
    moved[..., 4, 4] += 5
    rows, columns = (block(moved) != output).any(1)[0].nonzero(as_tuple=True)
    assert rows.min() >= 2 and rows.max() <= 6 and columns.min() >= 2 and columns.max() <= 6, "it sees five cells"


@pytest.mark.parametrize("name", sorted(TABLE_1))
def test_shapes(name: str) -> None:
    outputs = row(name)(torch.zeros(2, 3, 128, 128, device="meta"))
    assert [output.shape for output in outputs] == TABLE_1[name].stacks * [(2, 68, 64, 64)]


@pytest.mark.parametrize("name", ["sdu-hourglass-cab-2", "sdu-stn"])
@pytest.mark.parametrize(("input_size", "cells"), [(32, 16), (128, 64), (256, 64)])
def test_heatmaps_have_64_cells_at_most(name: str, input_size: int, cells: int) -> None:
    network = on_meta(lambda: small(name, input_size))
    assert isinstance(network, HeatmapNetwork) and network.stride == input_size // cells
    outputs = network(torch.zeros(2, 3, input_size, input_size, device="meta"))
    assert [output.shape for output in outputs] == 2 * [(2, 68, cells, cells)]


def test_other_sizes_are_refused() -> None:
    for name, size, unit in (("sdu-hourglass-cab-2", 48, 32), ("sdu-dual", 40, 16), ("sdu-dla-cab-2", 288, 64)):
        with pytest.raises(UserError, match=f"network.input_size {size} must be a multiple of {unit} for {name}"):
            create_network(name, size, 32)


@pytest.mark.parametrize(("scale", "width"), [(1, 256), (0.5, 128), (0.1, 32), (0.001, 16)])
def test_widths(scale: float, width: int) -> None:
    assert on_meta(lambda: small("sdu-dual", scale=scale)).stacks[0].head.in_channels == width


@pytest.mark.parametrize(
    ("block", "kinds"),
    [
        ("resnet", {Residual}),
        ("inception", {InceptionResidual, Residual}),
        ("hpm", {HPM}),
        ("cab", {CAB, HPM}),
    ],
)
def test_blocks(block: str, kinds: set[type]) -> None:
    layout = SDULayout(stacks=1, block=block, halvings=3)
    network = on_meta(lambda: SDUNet(BaselineSpec("any", 32, 32, 1 / 16), layout))
    found = {type(module) for module in network.modules()}
    for kind in (Residual, InceptionResidual, HPM, CAB):
        assert any(issubclass(other, kind) for other in found) == (kind in kinds)


def test_transformers() -> None:
    for name, layout in TABLE_1.items():
        network = row(name)
        deformable = sum(isinstance(module, DeformableConv) for module in network.modules())
        assert deformable == (2 * 2 + 1 if layout.inside == "deformable" else 0)
        assert (network.transformer is not None) == (name == "sdu-stn")
        assert network.coherent == (name in ("sdu-outside", "sdu-dual"))


def test_the_spatial_transformer_moves_image_and_heatmaps() -> None:
    """With heatmaps that are the image's colours, a turned network gives the image again."""
    network = small("sdu-stn").eval()

    class Colours(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x

    network.stem, network.stacks = nn.Identity(), nn.ModuleList([Colours()])
    line = torch.linspace(-1, 1, 32)
    image = torch.exp(-6 * (line[:, None] ** 2 + (line[None] - 0.1) ** 2)).expand(1, 3, 32, 32)
    with torch.no_grad():
        network.transformer.last.bias.copy_(torch.tensor([0.2, 0.3, 0.1, 0.0]))
        places = network.transformer(image)
        (found,) = network(image)
    assert (warp(image, places) - image).abs().max() > 0.1
    assert (found - image).abs().max() < 0.03


# Three halvings: at 32 pixels a fourth would leave one cell, whose statistics over 16 images are no measure.
SHORT = {
    "unet": SDULayout("unet", 1, halvings=3),
    "inception": SDULayout("hourglass", 1, "inception", 3),
    "sat": SDULayout("sat2", 1, halvings=3),
    "stn": SDULayout("sat3", 1, halvings=3, inside="stn"),
    "deformable": SDULayout("sat3", 2, halvings=3, inside="deformable"),
}


def short(kind: str) -> SDUNet:
    torch.manual_seed(0)
    return SDUNet(BaselineSpec("sdu-dual", 32, 32, 1 / 16), SHORT[kind])


@pytest.mark.parametrize("kind", ["unet", "inception", "sat", "deformable"])
def test_a_gradient_reaches_every_parameter(kind: str) -> None:
    network = short(kind)
    for module in network.modules():
        if isinstance(module, DeformableConv):  # at offset 0 the gradient of an offset may be that of a corner
            nn.init.uniform_(module.offset.bias, 0.1, 0.4)
    check_gradients(network)


def test_first_heatmaps_are_almost_empty() -> None:
    network = small("sdu-dual").eval()
    with torch.no_grad():
        for logits in network(torch.randn(2, 3, 32, 32)):
            assert 0.005 < logits.sigmoid().mean() < 0.05


@pytest.mark.parametrize("kind", sorted(SHORT))
def test_export(kind: str) -> None:
    check_export(short(kind))


def test_eight_faces_are_learned_by_heart_by_a_row() -> None:
    check_learning(*overfit("sdu-hourglass-resnet-1", 1 / 16, 60, 0.02))


@pytest.mark.parametrize("kind", sorted(SHORT))
def test_eight_faces_are_learned_by_heart(kind: str) -> None:
    check_learning(*learn_by_heart(short(kind), 40, 0.01 if kind == "deformable" else 0.02))


def check_learning(first: float, last: float, error: float) -> None:
    assert last < 0.25 * first
    assert error < 2, "pixels, a cell; untrained it is more than ten"
