"""What all networks have in common, whatever they regress: their description, the targets' names, first weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from nasface.nets.cost import count_macs, count_parameters, on_meta
from nasface.space.space import Architecture

M = TypeVar("M", bound=nn.Module)

UV_MAP = "UV position map"
HEATMAPS = "heatmaps"
VOLUMES = "volumes"
PARAMETERS = "3DMM parameters"
"""Targets, by their names in the registry and in tables; `nasface.training.tasks` says which task trains each."""


class NetworkSpec(ABC):
    """A network before it is built: what it is, how large, and what it regresses.

    `nasface.nets.registry.BaselineSpec` describes a baseline by its name, `nasface.nets.multipath.MemberSpec` a member
    of a multi-path space by its architecture.

    Attributes:
        name: what messages call it.
        input_size: side S of the square input image in pixels.
        map_size: side M of the UV position map in cells; networks with another target ignore it.
        target: what it regresses.
        architecture: of a member of a multi-path space, None of a baseline.
        digest: tells a network from others of the same sizes; good for a file's name.
        learning_rate: of a training whose settings give none.
        optimizer: of such a training, as `OptimizerConfig.kind` names it.
        warmup: of such a training, the share of its steps over which the learning rate rises.
    """

    learning_rate: ClassVar[float] = 2e-3
    optimizer: ClassVar[str] = "adamw"
    warmup: ClassVar[float] = 0.05

    name: str
    input_size: int
    map_size: int
    target: str
    architecture: Architecture | None
    digest: str

    @abstractmethod
    def build(self) -> Network:
        """A fresh network, randomly initialised by torch's generator; a UserError where none has these sizes."""

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """Plain values from which `nasface.nets.weights.load_network` makes the spec again."""

    def cost(self) -> tuple[int, int]:
        """Parameters, and multiply-adds for one image; counted without computing anything. Errors as of `build`."""
        with on_meta():
            network = self.build().eval()
        return count_parameters(network), count_macs(network, self.input_size)


class Network(nn.Module):
    """A network for faces, built from a `spec`. Its `forward` takes images (B, 3, S, S) normalised to about [-1, 1];
    what it returns depends on its target.

    Attributes:
        channels_last: whether it is trained in that memory layout, which is faster on a CPU but only for 2D
            convolutions.
        repeated: modules, by name, that a forward runs more than once by design, and how often: their batch norms
            average over all of it. Every other module runs once.
    """

    channels_last = True
    repeated: Mapping[str, int] = MappingProxyType({})

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec

    @property
    def target(self) -> str:
        """What it regresses."""
        return self.spec.target

    def description(self) -> dict[str, Any]:
        """What a file of its weights says of it."""
        return {"kind": "network", **self.spec.description()}


def channels_last(network: M) -> M:
    """The network in that memory layout, in which 2D convolutions are faster on a CPU."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stub


def contiguous(network: M) -> M:
    """The network in torch's own memory layout."""
    return network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # not in its stub


def scaled(width: int, scale: float, unit: int = 4) -> int:
    """`width` times `scale`, rounded to a positive multiple of `unit`; `width` itself at scale 1."""
    return width if scale == 1 else max(unit, unit * round(width * scale / unit))


def init_convolutions(network: nn.Module) -> None:
    """He et al.'s (2015) normal weights for all plain 2D convolutions; biases 0. Classes derived from them keep their
    own."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and type(module) in (nn.Conv2d, nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def full_precision(tensor: Tensor) -> torch.autocast:
    """Switch autocast off: bfloat16 would round positions to a quarter of a pixel."""
    # Costs are counted on meta tensors, for which there is no autocast.
    return torch.autocast("cpu" if tensor.is_meta else tensor.device.type, enabled=False)
