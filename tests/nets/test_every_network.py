"""What every network must do: each registered baseline, and a member of a multi-path space."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nasface.config import MultipathConfig
from nasface.nets.cost import count_parameters
from nasface.nets.multipath import MemberSpec
from nasface.nets.network import HEATMAPS, PARAMETERS, UV_MAP, VOLUMES, Network, NetworkSpec
from nasface.nets.registry import BaselineSpec, get_candidate, network_names
from nasface.nets.weights import load_network, read_weights, save_weights, state_digest
from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError
from tests.nets.fixed import outputs_of, settled

SIZE, SCALE = 32, 1 / 16
SPACE = MultipathSpace(name="test", layers=4, scales=3)
NAMES = [*network_names(), "member/anchors", "member/cells"]

every_network = pytest.mark.parametrize("name", NAMES)


def spec_of(name: str, size: int = SIZE) -> NetworkSpec:
    if not name.startswith("member/"):
        return BaselineSpec(name, size, size, SCALE)
    config = MultipathConfig(input_size=size, map_size=size, width=8, head_width=8, head=name.partition("/")[2])
    return MemberSpec(SPACE.random_architecture(np.random.default_rng(0)), config)


def build(name: str, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return spec_of(name).build()


@cache
def ready(name: str) -> tuple[Network, Tensor, list[Tensor]]:
    """A network in evaluation mode, images, and what it makes of them; the tests leave them as they are."""
    network, image = settled(build(name))
    with torch.no_grad():
        return network, image, outputs_of(network, image)


@every_network
def test_the_output_is_its_targets(name: str) -> None:
    network, _, outputs = ready(name)
    shapes = [tuple(output.shape[1:]) for output in outputs]
    if network.target == UV_MAP:
        assert shapes == [(3, SIZE, SIZE)]
    elif network.target == HEATMAPS:
        side = SIZE // network.stride
        assert set(shapes) == {(68, side, side)}
    elif network.target == VOLUMES:
        side = SIZE // 4
        assert shapes[-1] == (network.layout.points, 3)
        assert all(shape[0] == network.layout.channels and shape[2:] == (side, side) for shape in shapes[:-1])
    else:
        assert network.target == PARAMETERS and shapes == [(network.vector.size,)]
    assert all(output.isfinite().all() and output.dtype == torch.float32 for output in outputs)


@every_network
def test_it_says_what_it_is(name: str) -> None:
    network, _, _ = ready(name)
    spec = spec_of(name)
    assert network.spec == spec and network.target == spec.target
    assert (network.spec.input_size, network.spec.map_size) == (SIZE, SIZE)
    if not name.startswith("member/"):
        assert spec.digest == f"{name}-x0.0625" and spec.architecture is None
        assert get_candidate(name).target == spec.target


@every_network
def test_first_weights_are_a_function_of_the_seed(name: str) -> None:
    digests = [state_digest(build(name, seed)) for seed in (3, 3, 4)]
    assert digests[0] == digests[1] != digests[2]


@every_network
def test_a_gradient_reaches_every_parameter(name: str) -> None:
    network, image, _ = ready(name)
    network = copy.deepcopy(network)
    sum((output * torch.randn_like(output)).sum() for output in outputs_of(network, image[:4])).backward()
    assert [key for key, parameter in network.named_parameters() if parameter.grad is None] == []
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@every_network
def test_weights_come_back(name: str, tmp_path: Path) -> None:
    network, image, _ = ready(name)
    save_weights(tmp_path / "n.pt", network)
    record = read_weights(tmp_path / "n.pt", "network")
    keys = ["layers", "scales", "network", "codes"] if name.startswith("member") else ["fixed"]
    assert list(record) == ["kind", *keys, "state"]
    found = load_network(tmp_path / "n.pt").eval()
    assert type(found) is type(network) and found.spec.digest == network.spec.digest
    assert state_digest(found) == state_digest(network)
    with torch.no_grad():
        one, other = (outputs_of(each, image[:2]) for each in (found, network))
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


@every_network
def test_counted_cost_is_the_measured_one(name: str) -> None:
    network, image, _ = ready(name)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image[:1])
    assert network.spec.cost() == (count_parameters(network), counter.get_total_flops() // 2)


@every_network
def test_the_memory_layout_does_not_matter(name: str) -> None:
    """Networks that are trained with channels last find the same that way."""
    network, image, outputs = ready(name)
    if not network.channels_last:
        assert any(isinstance(module, nn.Conv3d) for module in network.modules()) or name == "prnet"
        return
    moved = copy.deepcopy(network).to(memory_format=torch.channels_last)
    with torch.no_grad():
        found = outputs_of(moved, image.to(memory_format=torch.channels_last))
    for one, other in zip(found, outputs, strict=True):
        # As a whole: the coarsest features may have one cell, whose norm enlarges a rounding error.
        assert (one - other).norm() < 1e-3 * other.norm()


@every_network
def test_an_odd_size_works_or_is_one_line(name: str) -> None:
    try:
        with torch.device("meta"):
            spec = spec_of(name, 27)
            network = spec.build().eval()
    except UserError as error:
        assert "network.input_size 27" in str(error) and "\n" not in str(error)
    else:
        outputs = outputs_of(network, torch.zeros(2, 3, 27, 27, device="meta"))
        assert [output.shape[0] for output in outputs] == [2] * len(outputs)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if spec_of(name).target == UV_MAP and name != "member/anchors"]
)
def test_training_starts_at_the_mean_map(name: str) -> None:
    network, image, (plain,) = ready(name)
    network = copy.deepcopy(network)
    mean_map = torch.randn(3, SIZE, SIZE)
    network.learn(SimpleNamespace(mean=mean_map))
    with torch.no_grad():
        torch.testing.assert_close(network(image), plain + mean_map, rtol=0, atol=1e-6)
        torch.testing.assert_close(network.output(image).maps[-1], plain + mean_map, rtol=0, atol=1e-6)
    assert 1e-5 < plain.abs().mean() < 0.3
