"""What every network must do: each registered baseline, and a member of a multi-path space."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nasface.config import MultipathConfig
from nasface.nets.baselines.prnet import PRNet
from nasface.nets.cost import on_meta
from nasface.nets.multipath import MemberSpec
from nasface.nets.network import UV_MAP, Network, NetworkSpec
from nasface.nets.registry import NETWORKS, BaselineSpec, register_network
from nasface.nets.weights import read_weights, save_weights
from nasface.space.space import MultipathSpace
from nasface.testing import NETWORK_CHECKS, check_network
from nasface.testing.networks import outputs_of, settled
from nasface.utils.errors import UserError

SIZE, SCALE = 32, 1 / 16
SPACE = MultipathSpace(name="test", layers=4, scales=3)
NAMES = [*NETWORKS.names(), "member/anchors", "member/cells"]

every_network = pytest.mark.parametrize("name", NAMES)


def spec_of(name: str, size: int = SIZE) -> NetworkSpec:
    if not name.startswith("member/"):
        return BaselineSpec(name, size, size, SCALE)
    config = MultipathConfig(input_size=size, map_size=size, width=8, head_width=8, head=name.partition("/")[2])
    return MemberSpec(SPACE.random_architecture(np.random.default_rng(0)), config)


@cache
def ready(name: str) -> tuple[Network, Tensor, list[Tensor]]:
    """A network in evaluation mode, images, and what it makes of them; the tests leave them as they are."""
    torch.manual_seed(0)
    network, image = settled(spec_of(name).build())
    with torch.no_grad():
        return network, image, outputs_of(network, image)


@every_network
@pytest.mark.parametrize("check", NETWORK_CHECKS)
def test_contract(name: str, check: Callable[[Network, Tensor], None]) -> None:
    network, image, _ = ready(name)
    check(network, image)


@every_network
def test_it_says_what_it_is(name: str, tmp_path: Path) -> None:
    network, _, _ = ready(name)
    spec = spec_of(name)
    assert network.spec == spec and network.target == spec.target
    assert (network.spec.input_size, network.spec.map_size) == (SIZE, SIZE)
    if not name.startswith("member/"):
        assert spec.digest == f"{name}-x0.0625" and spec.architecture is None
        assert NETWORKS.get(name).target == spec.target
    save_weights(tmp_path / "n.pt", network)
    keys = ["layers", "scales", "network", "codes"] if name.startswith("member") else ["fixed"]
    assert list(read_weights(tmp_path / "n.pt", "network")) == ["kind", *keys, "state"]


class Numb(PRNet):
    """A network with a parameter that moves nothing."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.idle = nn.Parameter(torch.zeros(1))


class Half(PRNet):
    """A network whose map is not of its size."""

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image)[..., ::2]


class Twice(PRNet):
    """A network that runs its layers twice in training and uses one run."""

    def forward(self, image: Tensor) -> Tensor:
        super().forward(image)
        return super().forward(image)


class Costly(BaselineSpec):
    """A spec that counts the cost wrong."""

    def cost(self) -> tuple[int, int]:
        parameters, macs = super().cost()
        return parameters, 2 * macs


@pytest.mark.parametrize(
    ("broken", "spec", "words"),
    [
        (Numb, BaselineSpec, "no gradient reaches idle"),
        (Half, BaselineSpec, "map"),
        (Twice, BaselineSpec, "tracks 2 times a training forward, not 1"),
        (PRNet, Costly, "another cost"),
    ],
)
def test_the_contract_finds_what_breaks_it(broken: type[PRNet], spec: type[BaselineSpec], words: str) -> None:
    with NETWORKS.scope():
        register_network("broken", paper="none", target=UV_MAP)(broken)
        with pytest.raises(AssertionError, match=words):
            check_network(spec("broken", SIZE, SIZE, SCALE))


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
        with on_meta():
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
