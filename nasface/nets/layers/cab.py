"""The channel aggregation block: narrower and narrower convolutions whose outputs are joined on the way back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasface.nets.layers.batch_norm import Layers

_LEVELS = 4


class CAB(nn.Module):
    """Channel aggregation block: (B, C, H, W) -> (B, C, H, W).

    Three 3x3 convolutions halve the channels, C to C/8; then, step by step, every width takes the mean of what it has
    (through a depth-wise 3x3 convolution in the first step) and of the next narrower one, doubled by repetition, until
    the full width is all that is left. There is no other skip. It has 389,632 parameters at C = 256.

    Source: Guo et al., "Stacked Dense U-Nets with Dual Transformers for Robust Face Alignment", BMVC 2018, section
        2.2 and Fig. 3(d); which nodes have convolutions as in insightface, alignment/heatmap/symbol/sym_heatmap.py.

    Args:
        channels: C, a multiple of 8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels % 2 ** (_LEVELS - 1):
            raise ValueError(f"a CAB needs a multiple of {2 ** (_LEVELS - 1)} channels, not {channels}")
        widths = [channels >> level for level in range(_LEVELS)]
        self.narrower = nn.ModuleList(
            convolution(wide, narrow) for wide, narrow in zip(widths, widths[1:], strict=False)
        )
        self.depthwise = nn.ModuleList(convolution(width, width, groups=width) for width in widths[1:-1])

    def forward(self, x: Tensor) -> Tensor:
        values = [x]
        for layer in self.narrower:
            values.append(layer(values[-1]))
        kept = [x, *(layer(value) for layer, value in zip(self.depthwise, values[1:], strict=False))]
        while len(values) > 1:
            kept = values = [
                (wide + torch.cat((narrow, narrow), 1)) / 2 for wide, narrow in zip(kept, values[1:], strict=False)
            ]
        return values[0]


def convolution(inputs: int, outputs: int, groups: int = 1, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution, batch norm, ReLU; H and W stay at stride 1."""
    return Layers(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
