"""What networks that regress a UV position map end in: the map around a mean map, and the layers that write it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nasface.config import MultipathConfig
from nasface.nets.anchor_head import AnchorHead
from nasface.nets.layers.batch_norm import batch_norm, each_normalised
from nasface.nets.layers.blocks import all_at_once
from nasface.nets.network import Network, NetworkSpec, full_precision
from nasface.nets.uv_output import TrainingMaps, UVOutput
from nasface.utils.errors import UserError


class PositionMap(nn.Module):
    """Values (B, outputs, cells, cells) to UV position maps (B, 3, M, M), in units of half the input's side around its
    centre.

    The map is a mean map (a buffer, the training set's mean) plus what the network writes; each cell, of a number that
    divides M, writes (M / cells)^2 positions. `base` is of the next base class.
    """

    mean_map: Tensor

    def __init__(self, map_size: int, cells: int, **base: Any) -> None:
        super().__init__(**base)
        self.shuffle = nn.PixelShuffle(map_size // cells)
        self.register_buffer("mean_map", torch.zeros(1, 3, map_size, map_size))

    @property
    def outputs(self) -> int:
        """Channels that the last layer writes."""
        return 3 * self.shuffle.upscale_factor**2

    def to_map(self, values: Tensor) -> Tensor:
        """The position map (B, 3, M, M) of the last layer's values (B, outputs, cells, cells)."""
        return self.shuffle(values) + self.mean_map

    def learn(self, maps: TrainingMaps) -> None:
        """Regress around the training set's mean."""
        self.mean_map.copy_(maps.mean[None])


class UVHead(PositionMap):
    """Output node to UV position map: (B, width, F, F) -> (B, 3, M, M).

    A learned bias per cell tells the cells apart; what follows it runs in float32 whatever the autocast.
    """

    def __init__(self, config: MultipathConfig, width: int) -> None:
        finest = config.input_size // config.stem_stride
        super().__init__(config.map_size, finest)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, config.head_width, 3, padding=1, bias=False)
        self.cell_bias = nn.Parameter(torch.zeros(1, config.head_width, finest, finest))
        self.norm2 = nn.BatchNorm2d(config.head_width)
        self.conv2 = nn.Conv2d(config.head_width, self.outputs, 1)
        start_at_mean(self.conv2)

    @property
    def last(self) -> nn.Conv2d:
        """The convolution that writes the positions, with first weights of its own."""
        return self.conv2

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.hidden(x)
        with full_precision(hidden):
            return self.to_map(self.conv2(hidden))

    def hidden(self, x: Tensor) -> Tensor:
        """Features (B, hidden, F, F) behind the head's last batch norm: in training mode, what computes them renews all
        of its running statistics."""
        x = self.conv1(batch_norm(self.norm1, x, relu=True))
        with full_precision(x):
            return batch_norm(self.norm2, x.float() + self.cell_bias, relu=True)

    def points(self, reading: Tensor) -> Callable[[Tensor], Tensor]:
        """A function from features (B, width, F, F) to points (B, 3, P) of the map, read with `reading` (M * M, P)."""
        return lambda x: self(x).flatten(2) @ reading

    def output(self, x: Tensor) -> UVOutput:
        """`forward` as the output of one network."""
        return UVOutput(self(x)[None])

    def children_output(self, features: Sequence[Tensor]) -> UVOutput:
        """`output` in training mode on each of K children's features, without running statistics."""
        features = all_at_once(self.conv1, each_normalised(self.norm1, features, relu=True))
        with full_precision(features[0]):
            features = each_normalised(self.norm2, [x.float() + self.cell_bias for x in features], relu=True)
            maps = self.to_map(self.conv2(torch.cat(features)))
        return UVOutput(maps.unflatten(0, (len(features), -1)))


def make_head(config: MultipathConfig, width: int) -> AnchorHead | UVHead:
    """The head that a multi-path network of these sizes has; `width` channels come in."""
    return AnchorHead(config, width) if config.head == "anchors" else UVHead(config, width)


class MapConv(nn.Conv2d):
    """The convolution that writes a baseline's positions: training starts at the mean map, in float32 whatever the
    autocast."""

    def reset_parameters(self) -> None:
        start_at_mean(self)

    def forward(self, x: Tensor) -> Tensor:
        with full_precision(x):
            return super().forward(x.float())


class UVNetwork(PositionMap, Network):
    """A baseline that maps images (B, 3, S, S) to UV position maps (B, 3, M, M) in units of half the input's side about
    its centre (`nasface.training.targets.uv`).

    The last layer reads a feature map of `cells` a side and writes (M / cells)^2 positions in each cell; a UserError
    where M is no multiple of that.
    """

    def __init__(self, spec: NetworkSpec, cells: int) -> None:
        if spec.map_size % cells:
            raise UserError(
                f"network.map_size {spec.map_size} must be a multiple of {cells} for {spec.name} at"
                f" network.input_size {spec.input_size}"
            )
        super().__init__(spec.map_size, cells, spec=spec)

    def trained_maps(self, image: Tensor) -> list[Tensor]:
        """All maps (B, 3, M, M) on which a loss is put in training; the last is what `forward` returns."""
        return [self(image)]

    def output(self, image: Tensor) -> UVOutput:
        """`trained_maps` as one output."""
        return UVOutput(torch.stack(self.trained_maps(image)))


def start_at_mean(last: nn.Conv2d) -> None:
    """Small first weights of the convolution that writes positions, so that training starts at the mean map."""
    nn.init.normal_(last.weight, std=0.01)
    if last.bias is not None:
        nn.init.zeros_(last.bias)
