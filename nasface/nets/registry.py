"""Fixed networks by name: the candidates that a searched network is compared with.

A network is one file in nasface/nets/baselines/ that ends in a registered factory; files there are found by themselves:

    @register_network("mine", paper="Doe, 2030", target=UV_MAP)
    def mine(spec: NetworkSpec) -> UVNetwork:
        return Mine(spec)

Another package registers in the same way, in a module that its entry point in `nasface.networks` names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch

from nasface.nets.cost import NoValues, count_macs
from nasface.nets.network import FixedNetwork, NetworkSpec
from nasface.utils.registry import Registry

Factory = Callable[[NetworkSpec], FixedNetwork]


@dataclass(frozen=True)
class Candidate:
    """A registered network.

    Attributes:
        name: what `--arch` and `create_network` take.
        paper: authors and year.
        target: what it regresses.
        make: builds it from its name and sizes.
    """

    name: str
    paper: str
    target: str
    make: Factory


NETWORKS: Registry[Candidate] = Registry("network", "nasface.networks", "nasface.nets.baselines")


def register_network(name: str, *, paper: str, target: str) -> Callable[[Factory], Factory]:
    """Make a network known under a name; decorates its factory.

    Raises:
        ValueError: the name is taken.
    """

    def register(make: Factory) -> Factory:
        NETWORKS.add(name, Candidate(name, paper, target, make), source=make)
        return make

    return register


def network_names() -> tuple[str, ...]:
    """All known names, sorted."""
    return NETWORKS.names()


def get_candidate(name: str) -> Candidate:
    """The registered network of that name.

    Raises:
        UserError: unknown; the known names are listed.
    """
    return NETWORKS.get(name)


def create_network(name: str, input_size: int = 64, map_size: int = 64, scale: float = 1.0) -> FixedNetwork:
    """A fresh network, randomly initialised by torch's generator.

    Args:
        name: as registered.
        input_size, map_size, scale: see `NetworkSpec`.

    Raises:
        UserError: the name is unknown, or the network has no such size.
    """
    return get_candidate(name).make(NetworkSpec(name, input_size, map_size, scale))


def network_cost(spec: NetworkSpec) -> tuple[int, int]:
    """Parameters, and multiply-adds for one image, of a fixed network; counted without computing anything.

    Raises:
        UserError: as `create_network`.
    """
    with torch.device("meta"), NoValues():
        network = create_network(**asdict(spec)).eval()
    return sum(parameter.numel() for parameter in network.parameters()), count_macs(network, spec.input_size)
