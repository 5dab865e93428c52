"""Stacked hourglasses: halve and double again, with a skip at every scale, several times in a row.

Newell et al., "Stacked Hourglass Networks for Human Pose Estimation", ECCV 2016; layers as in the authors'
pose-hg-train (src/models/hg.lua with one module per place), with a UV position map for heatmaps.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasface.nets.layers.batch_norm import Layers, batch_norm
from nasface.nets.network import UV_MAP, init_convolutions, scaled
from nasface.nets.registry import BaselineSpec, register_network
from nasface.nets.uv_head import MapConv, UVNetwork

_STRIDE = 4
_ORDER = 4
_PAPER = "Newell et al., ECCV 2016"


class Residual(nn.Module):
    """Pre-activated 1x1, 3x3 and 1x1 convolution through half the width: (B, C_in, H, W) -> (B, C_out, H, W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.layers = Layers(*_activated(inputs, half, 1), *_activated(half, half, 3), *_activated(half, outputs, 1))
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) + self.skip(x)


class Hourglass(nn.Module):
    """One hourglass: (B, C, H, W) -> (B, C, H, W).

    Args:
        order: how often it halves; H and W are multiples of 2^order.
        width: C.
        block: makes a block of so many channels in and out.
        pool: halves H and W.
    """

    def __init__(
        self,
        order: int,
        width: int,
        block: Callable[[int, int], nn.Module] = Residual,
        pool: Callable[[Tensor, int], Tensor] = F.max_pool2d,
    ) -> None:
        super().__init__()
        self.pool = pool
        self.skip = block(width, width)
        self.before = block(width, width)
        self.inner = Hourglass(order - 1, width, block, pool) if order > 1 else block(width, width)
        self.after = block(width, width)

    def forward(self, x: Tensor) -> Tensor:
        low = self.after(self.inner(self.before(self.pool(x, 2))))
        return self.skip(x) + F.interpolate(low, scale_factor=2.0, mode="nearest")


class Stack(nn.Module):
    """An hourglass, its output, and (but for the last) the way of both into the next stack."""

    def __init__(self, order: int, width: int, last: nn.Conv2d, cells: int | None, merge: bool) -> None:
        super().__init__()
        self.hourglass = nn.Sequential(Hourglass(order, width), Residual(width, width), nn.Conv2d(width, width, 1))
        self.norm = nn.BatchNorm2d(width)
        self.cell_bias = nn.Parameter(torch.zeros(1, width, cells, cells)) if cells else None
        self.last = last
        self.merge_features = nn.Conv2d(width, width, 1) if merge else None
        self.merge_output = nn.Conv2d(last.out_channels, width, 1) if merge else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Output (B, outputs, H, W) and the next stack's input (B, width, H, W)."""
        features = batch_norm(self.norm, self.hourglass(x), relu=self.cell_bias is None)
        if self.cell_bias is not None:
            features = torch.relu(features + self.cell_bias)
        output = self.last(features)
        if self.merge_features is None or self.merge_output is None:
            return output, x
        return output, x + self.merge_features(features) + self.merge_output(output)


class StackedHourglass(nn.Module):
    """The network: (B, 3, S, S) -> one (B, outputs, S / 4, S / 4) per stack.

    Args:
        stacks: hourglasses in a row.
        last: makes the convolution (kernel 1) that writes a stack's outputs from so many channels.
        width: channels, a multiple of 4.
        order: how often each hourglass halves.
        cells: S / 4, to give every cell a learned bias before the last convolution, or None as published.
    """

    def __init__(
        self,
        stacks: int,
        last: Callable[[int], nn.Conv2d],
        width: int = 256,
        order: int = _ORDER,
        cells: int | None = None,
    ) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        self.stem = Layers(
            nn.Conv2d(3, quarter, 7, 2, padding=3),
            nn.BatchNorm2d(quarter),
            nn.ReLU(),
            Residual(quarter, half),
            nn.MaxPool2d(2),
            Residual(half, half),
            Residual(half, width),
        )
        self.stacks = nn.ModuleList(
            Stack(order, width, last(width), cells, merge=stack < stacks - 1) for stack in range(stacks)
        )
        init_convolutions(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        x, outputs = self.stem(image), []
        for stack in self.stacks:
            output, x = stack(x)
            outputs.append(output)
        return outputs


class HourglassUV(UVNetwork):
    """Stacked hourglasses that write a UV position map in place of heatmaps.

    Each of the S / 4 x S / 4 last cells writes (4 M / S)^2 positions; a learned bias per cell, as in the multi-path
    networks' head, tells the cells apart. Every stack writes a map, which reaches the next stack and is trained as
    published (intermediate supervision); `forward` returns the last stack's alone.

    Args:
        spec: the input's side is a multiple of 8, the map's of S / 4. The paper's hourglasses halve four times, which
            takes a multiple of 64; others halve as often as S / 4 can be halved (three times at 32 pixels). The width,
            256 at scale 1, is a multiple of 8.
        stacks: hourglasses in a row.

    Raises:
        UserError: other sizes.
    """

    def __init__(self, spec: BaselineSpec, stacks: int) -> None:
        spec.require_multiple(2 * _STRIDE)
        cells = spec.input_size // _STRIDE
        super().__init__(spec, cells)
        outputs = self.outputs
        self.body = StackedHourglass(
            stacks,
            lambda channels: MapConv(channels, outputs, 1),
            scaled(256, spec.scale, 8),
            min(_ORDER, (cells & -cells).bit_length() - 1),
            cells,
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.to_map(self.body(image)[-1])

    def trained_maps(self, image: Tensor) -> list[Tensor]:
        return [self.to_map(output) for output in self.body(image)]


def _activated(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    """Batch norm, ReLU, convolution; H and W stay."""
    return [nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)]


@register_network("hourglass1", paper=_PAPER, target=UV_MAP)
def hourglass1(spec: BaselineSpec) -> HourglassUV:
    """One hourglass."""
    return HourglassUV(spec, stacks=1)


@register_network("hourglass2", paper=_PAPER, target=UV_MAP)
def hourglass2(spec: BaselineSpec) -> HourglassUV:
    """Two stacked hourglasses."""
    return HourglassUV(spec, stacks=2)


@register_network("hourglass4", paper=_PAPER, target=UV_MAP)
def hourglass4(spec: BaselineSpec) -> HourglassUV:
    """Four stacked hourglasses."""
    return HourglassUV(spec, stacks=4)
