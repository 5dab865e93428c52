"""What the fixed networks that regress a UV position map have in common: the mean map and the last layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasface.nets.network import FixedNetwork, NetworkSpec
from nasface.utils.errors import UserError


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


class UVNetwork(FixedNetwork):
    """A network that maps images (B, 3, S, S) to UV position maps (B, 3, M, M) in units of half the input's side about
    its centre (`nasface.training.targets.uv`).

    The map is a mean map (a buffer, the training set's mean) plus what the network adds, as in the multi-path networks.

    Args:
        spec: name and sizes.
        cells: side of the feature map that the last layer reads; it writes (M / cells)^2 positions in each cell.

    Raises:
        UserError: M is no multiple of `cells`.
    """

    def __init__(self, spec: NetworkSpec, cells: int) -> None:
        super().__init__(spec)
        if spec.map_size % cells:
            raise UserError(
                f"network.map_size {spec.map_size} must be a multiple of {cells} for {spec.name} at"
                f" network.input_size {spec.input_size}"
            )
        self.shuffle = nn.PixelShuffle(spec.map_size // cells)
        self.register_buffer("mean_map", torch.zeros(1, 3, spec.map_size, spec.map_size))

    @property
    def outputs(self) -> int:
        """Channels that the last layer writes."""
        return 3 * self.shuffle.upscale_factor**2

    def to_map(self, values: Tensor) -> Tensor:
        """The position map (B, 3, M, M) of the last layer's values (B, outputs, cells, cells)."""
        return self.shuffle(values) + self.mean_map

    def trained_maps(self, image: Tensor) -> list[Tensor]:
        """All maps (B, 3, M, M) on which a loss is put in training; the last is what `forward` returns."""
        return [self(image)]

    def set_mean_map(self, mean_map: Tensor) -> None:
        """Set the map (3, M, M) around which the network regresses, in the head's units."""
        self.mean_map.copy_(mean_map[None])
