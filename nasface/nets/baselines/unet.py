"""The U-Net as a body of heatmap networks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nasface.nets.heatmap_network import MakeBlock
from nasface.nets.layers.cab import convolution


class UNet(nn.Module):
    """Halve and double again, with a direct skip at every scale: (B, C, H, W) -> (B, C, H, W).

    It is an hourglass without blocks on the skips. What comes up is doubled and passes a 1x1 convolution.

    Source: Ronneberger et al., MICCAI 2015, with sums for concatenations as in Guo et al., BMVC 2018, Fig. 2(a), who
        do not say how the scales are joined; the 1x1 convolution gives the size that they print.

    Args:
        order: how often it halves; H and W are multiples of 2^order.
        width: C.
        block: makes the blocks.
    """

    def __init__(self, order: int, width: int, block: MakeBlock) -> None:
        super().__init__()
        self.before = block(width, width)
        self.inner = UNet(order - 1, width, block) if order > 1 else block(width, width)
        self.after = block(width, width)
        self.up = convolution(width, width, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        low = self.after(self.inner(self.before(F.max_pool2d(x, 2))))
        return x + self.up(F.interpolate(low, scale_factor=2.0, mode="nearest"))
