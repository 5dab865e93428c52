"""Batch norm by compiled loops beside PyTorch's."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nasface.nets.layers import batch_norm as layer
from nasface.nets.layers.batch_norm import Layers, batch_norm, each_normalised
from nasface.nets.network import channels_last
from nasface.utils.compute_threads import torch_threads


def norm_of(channels: int, seed: int = 0) -> nn.BatchNorm2d:
    generator = torch.Generator().manual_seed(seed)
    norm = nn.BatchNorm2d(channels)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(channels, generator=generator))
        norm.bias.copy_(torch.randn(channels, generator=generator))
    return norm


def maps_of(*shape: int, seed: int = 0, about: float = 0.0) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + about
    return values.contiguous(memory_format=torch.channels_last)


def in_doubles(norm: nn.BatchNorm2d, x: Tensor, gradient: Tensor, relu: bool) -> list[Tensor]:
    """What PyTorch finds in double precision: the result, and the gradients of maps, weight and bias."""
    inputs = [value.detach().double().requires_grad_() for value in (x, norm.weight, norm.bias)]
    found = F.batch_norm(inputs[0], None, None, inputs[1], inputs[2], training=True, eps=norm.eps)
    found = F.relu(found) if relu else found
    return [found, *torch.autograd.grad(found, inputs, gradient.double())]


def by_loops(norm: nn.BatchNorm2d, x: Tensor, gradient: Tensor, relu: bool) -> list[Tensor]:
    x = x.detach().requires_grad_()
    found = batch_norm(norm, x, relu)
    return [found, *torch.autograd.grad(found, [x, norm.weight, norm.bias], gradient)]


def assert_near(found: list[Tensor], true: list[Tensor]) -> None:
    for one, other in zip(found, true, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5 * max(1.0, other.abs().max().item()))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The calls of the compiled loops."""
    calls: list[Any] = []
    apply = layer._apply

    def counting(*given: Any) -> Tensor:
        calls.append(given)
        return apply(*given)

    monkeypatch.setattr(layer, "_apply", counting)
    return calls


@pytest.fixture(autouse=True)
def small_maps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The loops take maps of any size; on one thread, but where a test says otherwise."""
    monkeypatch.setattr(layer, "_FEWEST", 1)
    with torch_threads(1):
        yield


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # the loops are compiled in the first case
@given(
    count=st.integers(1, 5),
    channels=st.integers(1, 70),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    relu=st.booleans(),
    seed=st.integers(0, 99),
)
def test_finds_what_pytorch_finds(count: int, channels: int, height: int, width: int, relu: bool, seed: int) -> None:
    if count * height * width < 3:
        return  # of two values the results are 1 and -1, and the gradients rounding
    x, gradient = (maps_of(count, channels, height, width, seed=seed + more) for more in (0, 1000))
    norm = norm_of(channels, seed)
    assert_near(by_loops(norm, x, gradient, relu), in_doubles(norm, x, gradient, relu))


@pytest.mark.parametrize("about", [100.0, -3000.0])
def test_a_small_deviation_beside_a_large_mean_is_found(about: float) -> None:
    norm, x = norm_of(12), maps_of(8, 12, 8, 8, about=about)
    found = batch_norm(norm, x)
    true = F.batch_norm(x.double(), None, None, norm.weight.double(), norm.bias.double(), training=True)
    torch.testing.assert_close(found.double(), true, rtol=0, atol=1e-6 * abs(about) + 1e-5)


@pytest.mark.parametrize("momentum", [0.1, 1.0])
def test_running_statistics_are_pytorchs(momentum: float, counted: list[Any]) -> None:
    norms = [norm_of(20), norm_of(20)]
    for norm in norms:
        norm.momentum = momentum
    for step in range(3):
        x = maps_of(4, 20, 6, 6, seed=step, about=2.0)
        batch_norm(norms[0], x, relu=True)
        norms[1](x)
    assert len(counted) == 3
    for (name, one), other in zip(norms[0].named_buffers(), norms[1].buffers(), strict=True):
        torch.testing.assert_close(one, other, msg=name)


def test_children_leave_the_running_statistics_alone(counted: list[Any]) -> None:
    norm, features = norm_of(8), [maps_of(4, 8, 6, 6, seed=seed) for seed in range(2)]
    for x, found in zip(features, each_normalised(norm, features, relu=True), strict=True):
        assert_near([found], in_doubles(norm, x, x, relu=True)[:1])
    assert len(counted) == 2
    assert all(map(torch.equal, norm.buffers(), nn.BatchNorm2d(8).buffers()))


def test_a_gradient_in_any_layout() -> None:
    norm, x = norm_of(6), maps_of(3, 6, 5, 5)
    for gradient in (torch.randn(3, 6, 5, 5), maps_of(3, 12, 5, 5)[:, 6:], torch.ones(()).expand(3, 6, 5, 5)):
        assert_near(by_loops(norm, x, gradient, relu=True), in_doubles(norm, x, gradient, relu=True))


def test_what_is_no_number_stays_none() -> None:
    x = maps_of(3, 32, 4, 4)
    x[1, 5, 2, 2] = float("nan")
    for relu in (False, True):
        found = batch_norm(norm_of(32), x, relu)
        assert found[:, 5].isnan().all()
        assert found.isnan().sum() == found[:, 5].numel()


def test_threads_side_by_side_find_the_same() -> None:
    norm, inputs = norm_of(24), [maps_of(8, 24, 8, 8, seed=seed) for seed in range(8)]
    alone = [by_loops(norm, x, x, relu=True) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(lambda x: by_loops(norm, x, x, relu=True), inputs))
    for one, other in zip(alone, beside, strict=True):
        assert all(map(torch.equal, one, other))


OTHERS = ["evaluation", "layout", "precision", "meta", "average", "fixed", "alone", "plain", "few", "threads"]


@pytest.mark.parametrize("kind", OTHERS)
def test_pytorch_takes_everything_else(kind: str, counted: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    momentum = {"average": None, "fixed": 0.0}.get(kind, 0.1)
    norms = [
        nn.BatchNorm2d(8, momentum=momentum, affine=kind != "plain", track_running_stats=kind != "alone")
        .train(kind != "evaluation")
        .to("meta" if kind == "meta" else "cpu", torch.float64 if kind == "precision" else torch.float32)
        for _ in range(2)
    ]
    x = maps_of(4, 8, 6, 6)
    x = x.contiguous() if kind == "layout" else x.to(norms[0].weight if kind in ("meta", "precision") else x)
    if kind == "few":
        monkeypatch.setattr(layer, "_FEWEST", x.numel() + 1)
    if kind == "threads":  # that are not to be had
        monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
        monkeypatch.setattr(layer, "has_team", lambda: False)
    found, true = batch_norm(norms[0], x, relu=True), F.relu(norms[1](x))
    assert not counted
    assert found.shape == true.shape
    assert kind == "meta" or torch.equal(found, true)


@pytest.mark.parametrize("threads", [2, 3, 20])
@pytest.mark.parametrize("shape", [(8, 24, 16, 16), (5, 10, 7, 9), (2, 3, 1, 1), (1, 200, 40, 40)])
def test_any_number_of_threads_finds_the_same(threads: int, shape: tuple[int, ...], counted: list[Any]) -> None:
    norm, x, gradient = norm_of(shape[1]), maps_of(*shape), maps_of(*shape, seed=1)
    alone = by_loops(norm, x, gradient, relu=True)
    with torch_threads(threads):
        beside = by_loops(norm, x, gradient, relu=True)
    assert len(counted) == 2
    for one, other in zip(alone, beside, strict=True):
        assert torch.equal(one, other)


def test_one_value_has_no_statistics() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        batch_norm(norm_of(8), maps_of(1, 8, 1, 1))


def test_layers_in_a_row(counted: list[Any]) -> None:
    def made(kind: type[nn.Sequential]) -> nn.Sequential:
        torch.manual_seed(0)
        conv, after = nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 8, 1, bias=False)
        rows = kind(conv, nn.BatchNorm2d(8), nn.ReLU(), nn.BatchNorm2d(8), after, nn.BatchNorm2d(8))
        return channels_last(rows)

    x = maps_of(4, 3, 8, 8)
    one, other = made(Layers), made(nn.Sequential)
    torch.testing.assert_close(one(x), other(x), rtol=1e-4, atol=1e-5)
    assert [given[2] for given in counted] == [True, False, False]
    assert list(one.state_dict()) == list(other.state_dict())
    torch.testing.assert_close(one.eval()(x), other.eval()(x), rtol=1e-4, atol=1e-5)
