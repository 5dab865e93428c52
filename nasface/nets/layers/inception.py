"""The Inception-ResNet block."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasface.nets.layers.batch_norm import Layers
from nasface.nets.layers.cab import convolution


class InceptionResidual(nn.Module):
    """Inception-ResNet block: (B, C, H, W) -> (B, C, H, W), C a multiple of 8.

    One, two and three convolutions side by side see 1, 3 and 5 cells; a 1x1 convolution of all is added to the input,
    and the sum is rectified.

    Source: Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning", AAAI
    2017, Fig. 10; widths as in insightface, alignment/heatmap/symbol/sym_heatmap.py (block35).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        quarter, more, half = channels // 4, 3 * channels // 8, channels // 2
        self.branches = nn.ModuleList(
            [
                convolution(channels, quarter, kernel=1),
                nn.Sequential(convolution(channels, quarter, kernel=1), convolution(quarter, quarter)),
                nn.Sequential(
                    convolution(channels, quarter, kernel=1), convolution(quarter, more), convolution(more, half)
                ),
            ]
        )
        self.join = Layers(nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.join(torch.cat([branch(x) for branch in self.branches], 1)))
