"""What the networks that regress landmark heatmaps have in common: their output, and how a stack ends."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from nasface.nets.layers.batch_norm import Layers
from nasface.nets.network import Network, NetworkSpec

LANDMARKS = 68

MakeBlock = Callable[[int, int], nn.Module]
"""Makes a block of so many channels in and out that keeps the resolution."""

MakeConvolution = Callable[[int, int], nn.Conv2d]
"""Makes a convolution of so many channels in and out that keeps the resolution."""

_FIRST_PROBABILITY = 0.01


class HeatmapNetwork(Network):
    """A network that maps images (B, 3, S, S) to the logits of 68 heatmaps, (B, 68, S / stride, S / stride) for each of
    its stacks; the last stack's are the prediction, all are trained.

    A `coherent` one is trained on two views of every face, which must agree (`nasface.training.targets.heatmap`).
    """

    def __init__(self, spec: NetworkSpec, stride: int, coherent: bool = False) -> None:
        super().__init__(spec)
        self.stride, self.coherent = stride, coherent

    @abstractmethod
    def forward(self, image: Tensor) -> list[Tensor]:
        """Logits of every stack."""


class HeatmapStack(nn.Module):
    """One of several stacks: (B, C, H, W) -> logits (B, 68, H, W) and the next stack's input (B, C, H, W).

    Args:
        body: (B, C, H, W) -> (B, C, H, W).
        width: C.
        convolution: makes the convolutions that end in the heatmaps.
        merge: another stack follows.
        mix: what the next stack's input passes, if anything.
    """

    def __init__(
        self, body: nn.Module, width: int, convolution: MakeConvolution, merge: bool, mix: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.body = body
        self.features = Layers(convolution(width, width), nn.BatchNorm2d(width), nn.ReLU())
        self.head = convolution(width, LANDMARKS)
        self.merge_features = nn.Conv2d(width, width, 1) if merge else None
        self.merge_heatmaps = nn.Conv2d(LANDMARKS, width, 1) if merge else None
        self.mix = mix or nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(self.body(x))
        heatmaps = self.head(features)
        if self.merge_features is None or self.merge_heatmaps is None:
            return heatmaps, x
        return heatmaps, self.mix(x + self.merge_features(features) + self.merge_heatmaps(heatmaps))

    def start_empty(self) -> None:
        """First weights of the head: heatmaps are almost everywhere 0, and so are the first ones."""
        nn.init.normal_(self.head.weight, std=0.01)
        if self.head.bias is not None:
            nn.init.constant_(self.head.bias, math.log(_FIRST_PROBABILITY / (1 - _FIRST_PROBABILITY)))


def run_stacks(stacks: nn.ModuleList, x: Tensor) -> list[Tensor]:
    """Logits of all stacks, each of which reads what the one before it leaves."""
    outputs = []
    for stack in stacks:
        heatmaps, x = stack(x)
        outputs.append(heatmaps)
    return outputs


def plain_convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """The 1x1 convolution of most heads."""
    return nn.Conv2d(inputs, outputs, 1)


def heatmap_stem(stride: int, width: int, block: MakeBlock, pool: nn.Module) -> nn.Sequential:
    """Image (B, 3, S, S) -> (B, width, S / stride, S / stride), through a quarter and half of the width, a multiple of
    4: a convolution (3x3 at stride 2, 7x7, which halves, at stride 4), then three of `block`; `pool` halves the
    resolution between the first two."""
    quarter, half = width // 4, width // 2
    first = nn.Conv2d(3, quarter, 7, 2, padding=3) if stride == 4 else nn.Conv2d(3, quarter, 3, padding=1)
    return Layers(
        first, nn.BatchNorm2d(quarter), nn.ReLU(), block(quarter, half), pool, block(half, half), block(half, width)
    )


def count_halvings(cells: int, most: int) -> int:
    """How often a map of `cells` cells a side can be halved, at most `most` times."""
    return min(most, (cells & -cells).bit_length() - 1)
