"""FAN: published counts and shapes."""

from __future__ import annotations

import pytest
import torch

from nasface.nets.baselines.fan import FAN
from nasface.nets.baselines.hourglass import Hourglass
from nasface.nets.cost import count_macs, count_parameters
from nasface.nets.registry import BaselineSpec, create_network
from nasface.utils.errors import UserError
from tests.nets.fixed import check_export, check_gradients, on_meta
from tests.nets.overfit import overfit


def small(input_size: int = 32) -> FAN:
    torch.manual_seed(0)
    network = create_network("fan", input_size, 32, 1 / 16)
    assert isinstance(network, FAN)
    return network


@pytest.mark.parametrize(
    ("stacks", "parameters", "millions", "macs"),
    [(1, 6_249_668, 6.25, 8.27), (2, 12_106_504, 12.11, 13.92), (4, 23_820_176, 23.82, 25.24)],
)
def test_published_counts(stacks: int, parameters: int, millions: float, macs: float) -> None:
    network = on_meta(lambda: FAN(BaselineSpec("fan", 256), stacks))
    assert count_parameters(network) == parameters and round(parameters / 1e6, 2) == millions
    assert round(count_macs(network, 256) / 1e9, 2) == macs


@pytest.mark.parametrize(("input_size", "order"), [(256, 4), (64, 4), (32, 3), (40, 1)])
def test_shapes(input_size: int, order: int) -> None:
    network = on_meta(lambda: small(input_size))
    outputs = network(torch.zeros(2, 3, input_size, input_size, device="meta"))
    assert [output.shape for output in outputs] == 4 * [(2, 68, input_size // 4, input_size // 4)]
    assert sum(isinstance(module, Hourglass) for module in network.modules()) == 4 * order


def test_other_sizes_are_refused() -> None:
    with pytest.raises(UserError, match="network.input_size 36 must be a multiple of 8 for fan"):
        create_network("fan", 36)


def test_it_pools_by_averages() -> None:
    """A single bright pixel below the first pooling fades; a maximum would keep it."""
    hourglass = small().stacks[0].body[0]
    x = torch.zeros(1, 16, 8, 8)
    x[..., 0, 0] = 1
    assert hourglass.pool(x, 2)[0, 0, 0, 0] == 0.25


def test_a_gradient_reaches_every_parameter() -> None:
    check_gradients(small())


def test_export() -> None:
    check_export(small())


def test_eight_faces_are_learned_by_heart() -> None:
    first, last, error = overfit("fan", 1 / 8, 60, lr=0.02)
    assert last < 0.1 * first
    assert error < 1.5, "pixels, of cells of four"
