"""Aggregation of scales: deep layer aggregation and the scale aggregation topologies built on it.

All are one triangle of nodes. Level l of n + 1 has cells of 2^l; its first node is level l - 1's first node halved, and
it has n - l more. Node k of a level reads node k - 1 of its own level and node k - 1 of the next coarser one; in a full
scale aggregation also node k of the next finer one. The finest level's last node is the output.

Source: Guo et al., "Stacked Dense U-Nets with Dual Transformers for Robust Face Alignment", BMVC 2018, section 2.1 and
Fig. 2(c-f). The simplified node is that of insightface, alignment/heatmap/symbol/sym_heatmap.py (STA). Of the others
the paper gives a drawing and the networks' sizes only: their nodes here are deep layer aggregation's (Yu et al., CVPR
2018), a 1x1 convolution of the concatenated inputs, and reproduce these sizes within 1 %.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasface.nets.heatmap_network import MakeBlock
from nasface.nets.layers.batch_norm import Layers
from nasface.nets.layers.cab import convolution

Kind = Literal["dla", "sat", "light"]


class AggregationNode(nn.Module):
    """A node with blocks on all its inputs.

    Its own scale's block is concatenated with the block of the coarser input, doubled, plus, in a full scale
    aggregation, the finer input halved by a 3x3 convolution; a 1x1 convolution joins them.

    Args:
        width: C.
        block: makes the blocks.
        finer: it has a finer input.
    """

    def __init__(self, width: int, block: MakeBlock, finer: bool) -> None:
        super().__init__()
        self.lateral, self.up = block(width, width), block(width, width)
        self.down = convolution(width, width, stride=2) if finer else None
        self.join = convolution(2 * width, width, kernel=1)

    def forward(self, same: Tensor, coarse: Tensor, fine: Tensor | None) -> Tensor:
        """(B, C, H, W), (B, C, H / 2, W / 2) and (B, C, 2 H, 2 W) -> (B, C, H, W)."""
        other = self.up(F.interpolate(coarse, scale_factor=2.0, mode="nearest"))
        if self.down is not None and fine is not None:
            other = other + self.down(fine)
        return self.join(torch.cat((self.lateral(same), other), 1))


class LightNode(nn.Module):
    """A node of the simplified scale aggregation: the mean of its own scale and the doubled coarser one.

    Args:
        width: C.
        block: makes the block.
        depthwise: its own scale passes a depth-wise 3x3 convolution; otherwise it is direct.
        last: its level ends here: the coarser input passes a block; otherwise a transposed 2x2 convolution doubles it.
    """

    def __init__(self, width: int, block: MakeBlock, depthwise: bool, last: bool) -> None:
        super().__init__()
        self.lateral = convolution(width, width, groups=width) if depthwise else nn.Identity()
        self.up = (
            nn.Sequential(nn.UpsamplingNearest2d(scale_factor=2), block(width, width))
            if last
            else Layers(nn.ConvTranspose2d(width, width, 2, stride=2, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        )

    def forward(self, same: Tensor, coarse: Tensor, _fine: Tensor | None) -> Tensor:
        """(B, C, H, W) and (B, C, H / 2, W / 2) -> (B, C, H, W)."""
        return (self.lateral(same) + self.up(coarse)) / 2


class Aggregation(nn.Module):
    """The triangle of nodes: (B, C, H, W) -> (B, C, H, W).

    Args:
        order: n; H and W are multiples of 2^n.
        width: C.
        block: makes the blocks.
        kind: `dla`, `sat` (finer inputs, too) or `light` (the simplified scale aggregation).
    """

    def __init__(self, order: int, width: int, block: MakeBlock, kind: Kind) -> None:
        super().__init__()
        self.descents = nn.ModuleList(
            nn.Sequential(block(width, width), nn.MaxPool2d(2), block(width, width)) for _ in range(order)
        )
        self.steps = nn.ModuleList(
            nn.ModuleList(_node(order, level, step, width, block, kind) for level in range(order - step + 1))
            for step in range(1, order + 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        values = [x]
        for descend in self.descents:
            values.append(descend(values[-1]))
        for nodes in self.steps:
            fresh: list[Tensor] = []
            for level, node in enumerate(nodes.children()):
                fresh.append(node(values[level], values[level + 1], fresh[-1] if fresh else None))
            values = fresh
        return values[0]


def _node(order: int, level: int, step: int, width: int, block: MakeBlock, kind: Kind) -> nn.Module:
    if kind == "light":
        depthwise = (order - step) % 2 == 0 and level > 0
        return LightNode(width, block, depthwise, last=level + step == order)
    return AggregationNode(width, block, finer=kind == "sat" and level > 0)
