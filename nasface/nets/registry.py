"""Fixed networks by name: the candidates that a searched network is compared with.

A network is one file in nasface/nets/ that ends in a registered factory; files there are found by themselves:

    @register_network("mine", paper="Doe, 2030", target=UV_MAP)
    def mine(spec: NetworkSpec) -> UVNetwork:
        return Mine(spec)

A package of its own registers in the same way, where it is imported.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache

import torch

from nasface.nets.cost import NoValues, count_macs
from nasface.nets.network import FixedNetwork, NetworkSpec
from nasface.utils.errors import UserError

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


_CANDIDATES: dict[str, Candidate] = {}


def register_network(name: str, *, paper: str, target: str) -> Callable[[Factory], Factory]:
    """Make a network known under a name; decorates its factory.

    Raises:
        ValueError: the name is taken.
    """

    def register(make: Factory) -> Factory:
        if name in _CANDIDATES:
            taken = _CANDIDATES[name].make
            raise ValueError(f"the network name {name!r} is taken by {taken.__module__}.{taken.__qualname__}")
        _CANDIDATES[name] = Candidate(name, paper, target, make)
        return make

    return register


@cache
def _import_networks() -> None:
    import nasface.nets.baselines

    for module in pkgutil.iter_modules(nasface.nets.baselines.__path__, "nasface.nets.baselines."):
        importlib.import_module(module.name)


def network_names() -> tuple[str, ...]:
    """All known names, sorted."""
    _import_networks()
    return tuple(sorted(_CANDIDATES))


def get_candidate(name: str) -> Candidate:
    """The registered network of that name.

    Raises:
        UserError: unknown; the known names are listed.
    """
    if name not in network_names():
        raise UserError(f"unknown network {name!r}; known are: {', '.join(network_names())}")
    return _CANDIDATES[name]


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
