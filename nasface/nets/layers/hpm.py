"""The HPM block where the width changes."""

from __future__ import annotations

from torch import Tensor, nn

from nasface.nets.layers.batch_norm import Layers
from nasface.nets.layers.blocks import HPM


class WideningHPM(HPM):
    """An HPM block whose input passes a pre-activated 1x1 convolution to the output's width before it is added: (B, C,
    H, W) -> (B, D, H, W), D a multiple of 4.

    Source: Bulat and Tzimiropoulos, face-alignment, face_alignment/models.py.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(outputs)
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs // 2, 3, padding=1, bias=False)
        self.skip = Layers(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.branches(x)


def hpm(inputs: int, outputs: int) -> HPM:
    """The HPM block of these widths."""
    return HPM(outputs) if inputs == outputs else WideningHPM(inputs, outputs)
