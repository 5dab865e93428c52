"""The HPM block as one function beside the block of its layers."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nasface.nets.layers import batch_norm, blocks
from nasface.nets.layers.blocks import HPM
from nasface.nets.network import channels_last
from nasface.utils.compute_threads import torch_threads
from tests.nets.test_batch_norm import maps_of


def block_of(channels: int, seed: int = 0) -> HPM:
    torch.manual_seed(seed)
    block = channels_last(HPM(channels))
    with torch.no_grad():
        for norm, _ in block.stages:
            norm.weight.normal_()
            norm.bias.normal_()
    return block


def pass_of(block: HPM, x: Tensor, gradient: Tensor) -> list[Tensor]:
    """The result, and the gradients of the input and of all parameters."""
    x = x.detach().requires_grad_()
    found = block(x)
    return [found.detach(), *torch.autograd.grad(found, [x, *block.parameters()], gradient)]


@pytest.fixture(autouse=True)
def small_maps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Maps of any size go the way of large ones."""
    monkeypatch.setattr(batch_norm, "_FEWEST", 1)
    with torch_threads(1):
        yield


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The inputs that the one function was given."""
    taken: list[Tensor] = []
    whole = blocks.hpm_on_cpu

    def counting(x: Tensor, stages: object) -> Tensor:
        taken.append(x)
        return whole(x, stages)  # type: ignore[arg-type]

    monkeypatch.setattr(blocks, "hpm_on_cpu", counting)
    return taken


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(2, 5),
    quarter=st.integers(1, 18),
    height=st.integers(2, 9),
    width=st.integers(2, 9),
    seed=st.integers(0, 99),
)
def test_finds_what_the_layers_find(
    counted: list[Tensor], count: int, quarter: int, height: int, width: int, seed: int
) -> None:
    block = block_of(4 * quarter, seed)
    twin = copy.deepcopy(block).double()
    x, gradient = (maps_of(count, 4 * quarter, height, width, seed=seed + more) for more in (0, 1000))
    before = len(counted)
    found = pass_of(block, x, gradient)
    assert len(counted) == before + 1
    for one, other in zip(found, pass_of(twin, x.double(), gradient.double()), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=2e-3, atol=2e-4 * max(1.0, other.abs().max().item()))
    assert len(counted) == before + 1  # not in double precision
    for (name, one), other in zip(block.named_buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("threads", [2, 5])
def test_any_number_of_threads_finds_the_same_sums(threads: int, counted: list[Tensor]) -> None:
    block, x = block_of(20), maps_of(6, 20, 9, 9)
    alone = block(x)
    with torch_threads(threads):
        torch.testing.assert_close(block(x), alone)  # the convolutions' order of sums may differ
    assert len(counted) == 2


def test_a_gradient_in_any_layout() -> None:
    block, x = block_of(8), maps_of(3, 8, 5, 5)
    for gradient in (torch.randn(3, 8, 5, 5), maps_of(3, 16, 5, 5)[:, 8:], torch.ones(()).expand(3, 8, 5, 5)):
        plain = gradient.contiguous(memory_format=torch.channels_last)
        for one, other in zip(pass_of(block, x, gradient), pass_of(block, x, plain), strict=True):
            assert torch.equal(one, other)


def test_the_layers_are_used_everywhere_else(counted: list[Tensor]) -> None:
    block, x = block_of(8), maps_of(3, 8, 5, 5)
    with torch.autocast("cpu", torch.bfloat16):
        block(x)
    block(x.contiguous())
    block.eval()(x)
    block.train().norm2.momentum = None
    block(x)
    assert not counted


def test_what_is_not_trained_has_no_gradient(counted: list[Tensor]) -> None:
    block, x = block_of(8), maps_of(3, 8, 5, 5)
    block.requires_grad_(False)
    assert not block(x).requires_grad
    block.conv2.requires_grad_(True)
    block(x).sum().backward()
    assert len(counted) == 2
    assert [name for name, value in block.named_parameters() if value.grad is not None] == ["conv2.weight"]
