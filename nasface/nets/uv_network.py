"""What the fixed networks that regress a UV position map have in common: their sizes, the mean map, the last layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nasface.errors import UserError

UV_MAP = "UV position map"
"""The target's name in the registry and in tables."""


@dataclass(frozen=True)
class NetworkSpec:
    """A fixed network by its registered name, and its sizes.

    Attributes:
        name: as registered (`nasface list`).
        input_size: side S of the square input image in pixels.
        map_size: side M of the UV position map in cells.
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


class MapConv(nn.Conv2d):
    """The convolution that writes positions: small first weights, so that training starts at the mean map, and
    float32 whatever the autocast, since bfloat16 would round positions to a quarter of a pixel."""

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.01)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        # Costs are counted on meta tensors, for which there is no autocast.
        device = "cpu" if x.is_meta else x.device.type
        with torch.autocast(device, enabled=False):
            return super().forward(x.float())


class UVNetwork(nn.Module):
    """A network that maps images (B, 3, S, S) to UV position maps (B, 3, M, M) in units of half the input's side about
    its centre (`nasface.tasks.uv`).

    The map is a mean map (a buffer, the training set's mean) plus what the network adds, as in the multi-path networks.

    Args:
        spec: name and sizes.
        cells: side of the feature map that the last layer reads; it writes (M / cells)^2 positions in each cell.

    Raises:
        UserError: M is no multiple of `cells`.
    """

    def __init__(self, spec: NetworkSpec, cells: int) -> None:
        super().__init__()
        if spec.map_size % cells:
            raise UserError(
                f"network.map_size {spec.map_size} must be a multiple of {cells} for {spec.name} at"
                f" network.input_size {spec.input_size}"
            )
        self.spec = spec
        self.shuffle = nn.PixelShuffle(spec.map_size // cells)
        self.register_buffer("mean_map", torch.zeros(1, 3, spec.map_size, spec.map_size))

    @property
    def outputs(self) -> int:
        """Channels that the last layer writes."""
        return 3 * self.shuffle.upscale_factor**2

    def to_map(self, values: Tensor) -> Tensor:
        """The position map (B, 3, M, M) of the last layer's values (B, outputs, cells, cells)."""
        return self.shuffle(values) + self.mean_map

    def set_mean_map(self, mean_map: Tensor) -> None:
        """Set the map (3, M, M) around which the network regresses, in the head's units."""
        self.mean_map.copy_(mean_map[None])


def init_convolutions(network: nn.Module) -> None:
    """He et al.'s (2015) normal weights for all convolutions but those that write positions; biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not isinstance(module, MapConv):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
