"""What the fixed networks have in common, whatever they regress: the targets' names, their sizes, first weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from nasface.utils.errors import UserError

UV_MAP = "UV position map"
HEATMAPS = "heatmaps"
VOLUMES = "volumes"
PARAMETERS = "3DMM parameters"
"""Targets, by their names in the registry and in tables; `nasface.training.tasks` says which task trains each."""


@dataclass(frozen=True)
class NetworkSpec:
    """A fixed network by its registered name, and its sizes.

    Attributes:
        name: as registered (`nasface list`).
        input_size: side S of the square input image in pixels.
        map_size: side M of the UV position map in cells; networks with another target take no notice of it.
        scale: multiplier of all widths; 1 is the paper's network, less is for a CPU. Widths are rounded to multiples of
            4 or 8 (each network says which).
    """

    name: str
    input_size: int = 64
    map_size: int = 64
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.input_size < 1 or self.map_size < 1:
            raise UserError(f"network.input_size and network.map_size of {self.name} must be at least 1")
        if not 0 < self.scale < math.inf:
            raise UserError(f"scale must be a number greater than 0, not {self.scale}")

    @property
    def digest(self) -> str:
        """Tells a network from others of the same sizes, as `Architecture.digest` does; good for a file's name."""
        return self.name if self.scale == 1 else f"{self.name}-x{self.scale:g}"

    def require_multiple(self, stride: int) -> None:
        """Raise a UserError where the input's side is no multiple of `stride`."""
        if self.input_size % stride:
            raise UserError(f"network.input_size {self.input_size} must be a multiple of {stride} for {self.name}")


def scaled(width: int, scale: float, unit: int = 4) -> int:
    """`width` times `scale`, rounded to a positive multiple of `unit`; `width` itself at scale 1."""
    return width if scale == 1 else max(unit, unit * round(width * scale / unit))


class FixedNetwork(nn.Module):
    """A network that is not searched. Its `forward` takes images (B, 3, S, S) normalised to about [-1, 1]; what it
    returns is its task's matter.

    Args:
        spec: name and sizes.

    Attributes:
        channels_last: whether it is trained in that memory layout, which is the faster one on a CPU.
    """

    channels_last = True

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec


def init_convolutions(network: nn.Module) -> None:
    """He et al.'s (2015) normal weights for all plain 2D convolutions; biases 0. Classes derived from them keep their
    own."""
    for module in network.modules():
        if type(module) in (nn.Conv2d, nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
