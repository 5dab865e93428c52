"""Stacked dense U-Nets: the networks of Guo et al.'s ablation (their Table 1), with and without transformers.

Guo et al., "Stacked Dense U-Nets with Dual Transformers for Robust Face Alignment", BMVC 2018; layers as in
insightface, alignment/heatmap/symbol/sym_heatmap.py. The paper's input is 128 x 128.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from nasface.nets.baselines.aggregation import Aggregation
from nasface.nets.baselines.hourglass import Hourglass, Residual
from nasface.nets.baselines.unet import UNet
from nasface.nets.heatmap_network import (
    HeatmapNetwork,
    HeatmapStack,
    MakeBlock,
    heatmap_stem,
    plain_convolution,
    run_stacks,
)
from nasface.nets.layers.cab import CAB
from nasface.nets.layers.deformable import DeformableConv
from nasface.nets.layers.hpm import hpm
from nasface.nets.layers.inception import InceptionResidual
from nasface.nets.layers.spatial_transformer import SpatialTransformer, inverse, warp
from nasface.nets.network import HEATMAPS, init_convolutions, scaled
from nasface.nets.registry import BaselineSpec, register_network

_PAPER = "Guo et al., BMVC 2018"
_STRIDE_4_FROM = 256  # pixels; smaller images go to half their side, as the paper's of 128
_WIDTH, _UNIT = 256, 16
_HIDDEN = 1024  # of the spatial transformer

Topology = Literal["unet", "hourglass", "dla", "sat1", "sat2", "sat3"]
Block = Literal["resnet", "inception", "hpm", "cab"]
Inside = Literal["none", "stn", "deformable"]


def _same_or(block: Callable[[int], nn.Module], other: MakeBlock) -> MakeBlock:
    """`block` where the width stays, `other` where it changes."""
    return lambda inputs, outputs: block(outputs) if inputs == outputs else other(inputs, outputs)


BLOCKS: dict[str, MakeBlock] = {
    "resnet": Residual,
    "inception": _same_or(InceptionResidual, Residual),
    "hpm": hpm,
    "cab": _same_or(CAB, hpm),
}
"""Building blocks (Fig. 3) by name."""

TOPOLOGIES: dict[str, Callable[[int, int, MakeBlock], nn.Module]] = {
    "unet": UNet,
    "hourglass": Hourglass,
    "dla": lambda order, width, block: Aggregation(order, width, block, "dla"),
    "sat1": lambda order, width, block: Aggregation(order, width, block, "sat"),
    "sat2": lambda order, width, block: Aggregation(order, width, block, "sat"),
    "sat3": lambda order, width, block: Aggregation(order, width, block, "light"),
}
"""Topologies (Fig. 2) by name. SAT (II) is SAT (I) with three halvings, SAT (III) the simplified one."""


@dataclass(frozen=True)
class SDULayout:
    """A row of Table 1.

    Attributes:
        topology: of each stack.
        stacks: in a row.
        block: building block.
        halvings: of each stack's input.
        inside: transformer inside the network: a spatial transformer of the image, or deformable convolutions at the
            stacks' ends and between them.
        outside: trained for coherence between two views.
    """

    topology: Topology = "hourglass"
    stacks: int = 2
    block: Block = "cab"
    halvings: int = 4
    inside: Inside = "none"
    outside: bool = False


class SDUNet(HeatmapNetwork):
    """Stacked U-Nets of any of the paper's kinds.

    Args:
        spec: the input's side is a multiple of 2^(1 + halvings) (from 256 pixels on, where the heatmaps have a quarter
            of the side, of twice that). The width, 256 at scale 1, is a multiple of 16.
        layout: which.

    Raises:
        UserError: other sizes.
    """

    spec: BaselineSpec

    def __init__(self, spec: BaselineSpec, layout: SDULayout) -> None:
        stride = 4 if spec.input_size >= _STRIDE_4_FROM else 2
        spec.require_multiple(stride * 2**layout.halvings)
        super().__init__(spec, stride, coherent=layout.outside)
        self.layout = layout
        width = scaled(_WIDTH, spec.scale, _UNIT)
        block = BLOCKS[layout.block]
        self.transformer = self._transformer(width, block) if layout.inside == "stn" else None
        self.stem = heatmap_stem(stride, width, block, nn.MaxPool2d(2))
        self.stacks = nn.ModuleList(self._stack(width, block, stack) for stack in range(layout.stacks))
        init_convolutions(self)
        for module in self.modules():
            if isinstance(module, DeformableConv):
                module.start_plain()
        for stack in self.stacks:
            assert isinstance(stack, HeatmapStack)
            stack.start_empty()

    def _stack(self, width: int, block: MakeBlock, stack: int) -> HeatmapStack:
        merge = stack < self.layout.stacks - 1
        body = nn.Sequential(TOPOLOGIES[self.layout.topology](self.layout.halvings, width, block), block(width, width))
        if self.layout.inside != "deformable":
            return HeatmapStack(body, width, plain_convolution, merge)
        return HeatmapStack(body, width, DeformableConv, merge, DeformableConv(width, width) if merge else None)

    def _transformer(self, width: int, block: MakeBlock) -> SpatialTransformer:
        """The paper gives its size only: here the stem once more, three halvings with a block each, a hidden layer."""
        layers: list[nn.Module] = [heatmap_stem(self.stride, width, block, nn.MaxPool2d(2))]
        cells = self.spec.input_size // self.stride
        for _ in range(3):
            layers += [nn.MaxPool2d(2), block(width, width)]
        inputs = width * (cells // 8) ** 2
        return SpatialTransformer(
            nn.Sequential(*layers, block(width, width), nn.Flatten()), inputs, scaled(_HIDDEN, self.spec.scale)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        if self.transformer is None:
            return run_stacks(self.stacks, self.stem(image))
        places = self.transformer(image)
        moved = run_stacks(self.stacks, self.stem(warp(image, places)))
        back = inverse(places)
        return [warp(heatmaps, back) for heatmaps in moved]


def _register(name: str, layout: SDULayout) -> None:
    def make(spec: BaselineSpec) -> SDUNet:
        return SDUNet(spec, layout)

    register_network(name, paper=_PAPER, target=HEATMAPS)(make)


_FINAL = SDULayout("sat3", halvings=3)

TABLE_1: dict[str, SDULayout] = {
    "sdu-hourglass-resnet-1": SDULayout(stacks=1, block="resnet"),
    "sdu-hourglass-resnet-2": SDULayout(block="resnet"),
    "sdu-hourglass-inception-2": SDULayout(block="inception"),
    "sdu-hourglass-hpm-2": SDULayout(block="hpm"),
    "sdu-hourglass-cab-2": SDULayout(),
    "sdu-hourglass-hpm-2-down3": SDULayout(block="hpm", halvings=3),
    "sdu-hourglass-cab-2-down3": SDULayout(halvings=3),
    "sdu-unet-cab-2": SDULayout("unet"),
    "sdu-dla-cab-2": SDULayout("dla"),
    "sdu-sat1-cab-2": SDULayout("sat1"),
    "sdu-sat2-cab-2-down3": SDULayout("sat2", halvings=3),
    "sdu-sat3-cab-2-down3": _FINAL,
    "sdu-stn": SDULayout("sat3", halvings=3, inside="stn"),
    "sdu-inside": SDULayout("sat3", halvings=3, inside="deformable"),
    "sdu-outside": SDULayout("sat3", halvings=3, outside=True),
    "sdu-dual": SDULayout("sat3", halvings=3, inside="deformable", outside=True),
}
"""The rows of Table 1, each once; `-down3` have three halvings, the others four. The last four are the dense U-Net, SAT
(III) with CABs, with its transformers."""

for _name, _layout in TABLE_1.items():
    _register(_name, _layout)
