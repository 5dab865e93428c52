"""Stacked hourglasses: counts of published descendants, how the stacks join, the UV map's end."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nasface.nets.baselines.hourglass import Hourglass, HourglassUV, Residual, StackedHourglass
from nasface.nets.cost import count_macs, count_parameters
from nasface.nets.registry import BaselineSpec
from nasface.utils.errors import UserError
from tests.nets.fixed import check_export, check_gradients, on_meta
from tests.nets.overfit import overfit


def small(stacks: int = 2, input_size: int = 32, map_size: int = 32) -> HourglassUV:
    torch.manual_seed(0)
    return HourglassUV(BaselineSpec(f"hourglass{stacks}", input_size, map_size, 1 / 16), stacks)


def heatmaps(*outputs: int) -> StackedHourglass:
    """A stack for each number of outputs."""
    waiting = iter(outputs)
    return StackedHourglass(len(outputs), lambda width: nn.Conv2d(width, next(waiting), 1))


@pytest.mark.parametrize(("outputs", "millions"), [((64,), 3.60), ((1, 2, 4, 64), 13.01)])
def test_published_counts(outputs: tuple[int, ...], millions: float) -> None:
    """JVCR's volume estimators of one and of four stacks.

    Their stem has residuals of 256 and 256 channels where the authors' own has 128 and 256; nothing else differs.
    """
    network = on_meta(lambda: heatmaps(*outputs))
    wider, own = (on_meta(lambda width=width: Residual(width, width)) for width in (256, 128))
    stem = count_parameters(wider) - count_parameters(own)
    assert round((count_parameters(network) + stem) / 1e6, 2) == millions


def test_published_macs() -> None:
    network = on_meta(lambda: heatmaps(1, 2, 4, 64))
    weights = [
        sum(
            m.weight.numel()
            for m in on_meta(lambda width=width: Residual(width, width)).modules()
            if hasattr(m, "kernel_size")
        )
        for width in (256, 128)
    ]
    stem = 64**2 * (weights[0] - weights[1])
    assert round((count_macs(network, 256) + stem) / 1e9, 2) == 15.32


@pytest.mark.parametrize(
    ("stacks", "input_size", "map_size"), [(1, 256, 256), (2, 64, 64), (4, 32, 32), (1, 64, 16), (1, 40, 40), (1, 8, 4)]
)
def test_shapes(stacks: int, input_size: int, map_size: int) -> None:
    network = on_meta(lambda: HourglassUV(BaselineSpec("hourglass", input_size, map_size, 0.25), stacks))
    assert network(torch.zeros(2, 3, input_size, input_size, device="meta")).shape == (2, 3, map_size, map_size)
    halvings = sum(isinstance(module, Hourglass) for module in network.modules()) // stacks
    assert halvings == {256: 4, 64: 4, 32: 3, 40: 1, 8: 1}[input_size]


@pytest.mark.parametrize(("scale", "width"), [(1, 256), (0.5, 128), (0.1, 24), (0.001, 8)])
def test_widths(scale: float, width: int) -> None:
    body = on_meta(lambda: HourglassUV(BaselineSpec("hourglass1", 32, 32, scale), 1)).body
    assert body.stacks[0].last.in_channels == width and body.stem[0].out_channels == width // 4


@pytest.mark.parametrize(("input_size", "map_size"), [(36, 36), (64, 24), (64, 8)])
def test_other_sizes_are_refused(input_size: int, map_size: int) -> None:
    with pytest.raises(
        UserError, match="network.(input_size 36|map_size (24|8)) must be a multiple of (8|16) for hourglass1"
    ):
        HourglassUV(BaselineSpec("hourglass1", input_size, map_size), 1)


def test_every_stack_has_an_output_and_the_map_is_the_last() -> None:
    network = small(4).eval()
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        outputs = network.body(image)
        assert len(outputs) == 4
        assert torch.equal(network(image), network.to_map(outputs[-1]))
        before = network(image)
        network.body.stacks[0].last.bias.add_(1.0)
        assert not torch.equal(network(image), before), "the first stack's output is not used by the next"


def test_every_stacks_map_is_trained() -> None:
    network = small(4)
    image = torch.randn(4, 3, 32, 32)
    maps = network.trained_maps(image)
    assert [m.shape for m in maps] == 4 * [(4, 3, 32, 32)]
    network.eval()
    with torch.no_grad():
        maps = network.trained_maps(image)
        assert torch.equal(maps[-1], network(image)) and not torch.equal(maps[0], maps[1])


def test_a_gradient_reaches_every_parameter() -> None:
    check_gradients(small())


def test_export() -> None:
    check_export(small())


def test_eight_faces_are_learned_by_heart() -> None:
    first, last, error = overfit("hourglass2", 0.1, 80, lr=0.005)
    assert last < 0.35 * first
    assert error < 0.6, "pixels"
