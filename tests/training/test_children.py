"""A supernet's children on threads of their own: the loss and the gradients of one routed pass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from nasface.config import MultipathConfig
from nasface.nets.multipath import Supernet
from nasface.nets.uv_output import UVOutput
from nasface.space.path_samplers import make_path_sampler
from nasface.space.space import MultipathSpace
from nasface.training.children import ChildrenThreads
from tests.helpers.toy import MAP, SIZE

SPACE = MultipathSpace(name="test", layers=4, scales=2)
IMAGE = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def make_supernet(head: str = "anchors") -> Supernet:
    torch.manual_seed(0)
    return Supernet(SPACE, MultipathConfig(input_size=SIZE, map_size=MAP, width=8, head_width=8, head=head)).train()


def children(count: int) -> np.ndarray:
    return make_path_sampler("uniform", SPACE, count, 0).sample(3)


def loss_of(output: UVOutput) -> Tensor:
    loss = (output.maps.float() - 0.3).square().mean()
    return loss if output.heatmaps is None else loss + output.heatmaps.float().softmax(-1).square().mean()


def gradients(network: Supernet) -> dict[str, Tensor]:
    return {name: one.grad for name, one in network.named_parameters() if one.grad is not None}


def side_by_side(threads: int, count: int, factor: float = 1.0, head: str = "anchors") -> tuple[Tensor, Supernet]:
    torch.set_num_threads(threads)
    network = make_supernet(head)
    loss = ChildrenThreads(network).loss(IMAGE, children(count), loss_of)
    (factor * loss).backward()
    return loss.detach(), network


@pytest.mark.parametrize("head", ["anchors", "cells"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_loss_and_gradients_are_those_of_the_routed_pass(count: int, head: str) -> None:
    routed = make_supernet(head)
    expected = loss_of(routed.output(IMAGE, children(count)))
    expected.backward()
    loss, network = side_by_side(2, count, head=head)
    torch.testing.assert_close(loss, expected.detach())
    ours, theirs = gradients(network), gradients(routed)
    assert ours.keys() == theirs.keys() and any(name.startswith("stem.") for name in ours)
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], atol=1e-6, rtol=1e-3)
    for (name, buffer), other in zip(network.named_buffers(), routed.buffers(), strict=True):
        torch.testing.assert_close(buffer, other, msg=name)  # the stem's statistics are tracked once


def test_the_number_of_threads_changes_no_bit() -> None:
    (one, first), (three, second) = side_by_side(1, 3), side_by_side(3, 3)
    assert torch.equal(one, three)
    ours, theirs = gradients(first), gradients(second)
    names = {name for name in ours if not name.startswith("stem.")}  # whose operations all threads share
    assert names and all(torch.equal(ours[name], theirs[name]) for name in names)


def test_a_loss_that_is_divided_divides_its_gradients() -> None:
    whole, half = gradients(side_by_side(2, 2)[1]), gradients(side_by_side(2, 2, factor=0.5)[1])
    assert whole and all(torch.equal(half[name], whole[name] / 2) for name in whole)


def test_children_are_in_the_precision_of_the_step() -> None:
    torch.set_num_threads(2)
    kinds = []

    def seen(output: UVOutput) -> Tensor:
        kinds.append((torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")))
        return loss_of(output)

    network = make_supernet()
    with torch.autocast("cpu", torch.bfloat16):
        ChildrenThreads(network).loss(IMAGE, children(2), seen).backward()
    assert kinds == [(True, torch.bfloat16)] * 2
    assert all(torch.isfinite(gradient).all() for gradient in gradients(network).values())


def test_an_error_in_a_child_is_the_callers() -> None:
    def fail(_: UVOutput) -> Tensor:
        raise ValueError("no loss")

    torch.set_num_threads(2)
    with pytest.raises(ValueError, match="no loss"):
        ChildrenThreads(make_supernet()).loss(IMAGE, children(2), fail)
