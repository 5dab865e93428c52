"""Fixed networks by name: the candidates that a searched network is compared with.

A network is one file in nasface/nets/baselines/ that ends in a registered factory; files there are found by themselves:

    @register_network("mine", paper="Doe, 2030", target=UV_MAP)
    def mine(spec: BaselineSpec) -> UVNetwork:
        return Mine(spec)

Another package registers in the same way, in a module that its entry point in `nasface.networks` names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from nasface.nets.network import Network, NetworkSpec
from nasface.utils.errors import UserError
from nasface.utils.registry import Registry

Factory = Callable[["BaselineSpec"], Network]


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
    """Make a network known under a name; decorates its factory. A ValueError where the name is taken."""

    def register(make: Factory) -> Factory:
        NETWORKS.add(name, Candidate(name, paper, target, make), source=make)
        return make

    return register


@dataclass(frozen=True)
class BaselineSpec(NetworkSpec):
    """A baseline by its registered name, and its sizes.

    Attributes:
        name: as registered (`nasface list`).
        input_size, map_size: see `NetworkSpec`.
        scale: multiplier of all widths; 1 is the paper's network, less is for a CPU. Widths are rounded to multiples of
            4 or 8 (each network says which).
    """

    name: str
    input_size: int = 64
    map_size: int = 64
    scale: float = 1.0
    architecture: ClassVar[None] = None  # type: ignore[misc]  # of no baseline

    def __post_init__(self) -> None:
        if self.input_size < 1 or self.map_size < 1:
            raise UserError(f"network.input_size and network.map_size of {self.name} must be at least 1")
        if not 0 < self.scale < math.inf:
            raise UserError(f"the scale of {self.name} must be a number greater than 0, not {self.scale}")

    @property
    def digest(self) -> str:  # type: ignore[override]  # the base only says that it can be read
        return self.name if self.scale == 1 else f"{self.name}-x{self.scale:g}"

    @property
    def target(self) -> str:  # type: ignore[override]  # the base only says that it can be read
        return NETWORKS.get(self.name).target

    def build(self) -> Network:
        return NETWORKS.get(self.name).make(self)

    def description(self) -> dict[str, Any]:
        return {"fixed": asdict(self)}

    def require_multiple(self, stride: int) -> None:
        """Raise a UserError where the input's side is no multiple of `stride`."""
        if self.input_size % stride:
            raise UserError(f"network.input_size {self.input_size} must be a multiple of {stride} for {self.name}")


def create_network(name: str, input_size: int = 64, map_size: int = 64, scale: float = 1.0) -> Network:
    """A fresh baseline, see `BaselineSpec`; a UserError where the name is unknown, or the network has no such size."""
    return BaselineSpec(name, input_size, map_size, scale).build()
