"""FAN, the face alignment network: stacked hourglasses of HPM blocks.

Bulat and Tzimiropoulos, "How Far are We from Solving the 2D & 3D Face Alignment Problem?", ICCV 2017; layers as in the
authors' face-alignment (face_alignment/models.py). The paper's input is 256 x 256.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nasface.nets.baselines.hourglass import Hourglass
from nasface.nets.heatmap_network import (
    HeatmapNetwork,
    HeatmapStack,
    count_halvings,
    heatmap_stem,
    plain_convolution,
    run_stacks,
)
from nasface.nets.layers.hpm import hpm
from nasface.nets.network import HEATMAPS, init_convolutions, scaled
from nasface.nets.registry import BaselineSpec, register_network

_STRIDE, _ORDER = 4, 4


class FAN(HeatmapNetwork):
    """Hourglasses with average pooling; 6.25, 12.11 and 23.82 million parameters with 1, 2 and 4.

    Args:
        spec: the input's side is a multiple of 8. The hourglasses halve four times where the side is a multiple of 64
            and as often as S / 4 can be halved elsewhere. The width, 256 at scale 1, is a multiple of 16.
        stacks: hourglasses in a row.

    Raises:
        UserError: other sizes.
    """

    def __init__(self, spec: BaselineSpec, stacks: int = 4) -> None:
        spec.require_multiple(2 * _STRIDE)
        super().__init__(spec, _STRIDE)
        width = scaled(256, spec.scale, 16)
        order = count_halvings(spec.input_size // _STRIDE, _ORDER)
        self.stem = heatmap_stem(_STRIDE, width, hpm, nn.AvgPool2d(2))
        self.stacks = nn.ModuleList(
            HeatmapStack(
                nn.Sequential(Hourglass(order, width, hpm, F.avg_pool2d), hpm(width, width)),
                width,
                plain_convolution,
                merge=stack < stacks - 1,
            )
            for stack in range(stacks)
        )
        init_convolutions(self)
        for stack in self.stacks:
            assert isinstance(stack, HeatmapStack)
            stack.start_empty()

    def forward(self, image: Tensor) -> list[Tensor]:
        return run_stacks(self.stacks, self.stem(image))


@register_network("fan", paper="Bulat and Tzimiropoulos, ICCV 2017", target=HEATMAPS)
def fan(spec: BaselineSpec) -> FAN:
    """Four hourglasses."""
    return FAN(spec)
