"""RHG, the recurrent hourglass: DHM's evolution with three hourglasses for its convolutions and an LSTM.

Sun et al., "Deep Evolutionary 3D Diffusion Heat Maps for Large-pose Face Alignment", BMVC 2018, section 4.1: a 7x7
convolution of stride 2, a residual, a maximum over 2 x 2 (256 -> 64 pixels), three stacked hourglasses, an LSTM.
Residuals and hourglasses are Newell et al.'s (`hourglass.py`). Left open by the paper, and chosen here: 256
channels; each hourglass adds to its input; 16 of the last channels, averaged to 8 x 8 cells, are the features; 512
hidden numbers.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nasface.nets.baselines.evolution import BASEL_MODES, CHANNELS, Evolution, LongShortCell
from nasface.nets.baselines.hourglass import Hourglass, Residual
from nasface.nets.face_vector import AngleVector, LandmarkVector
from nasface.nets.layers.batch_norm import Layers
from nasface.nets.network import PARAMETERS, init_convolutions, scaled
from nasface.nets.registry import BaselineSpec, register_network

_PAPER = "Sun et al., BMVC 2018"
_STRIDE, _ORDER, _STACKS, _WIDTH, _FEATURES, _CELLS, _HIDDEN = 4, 4, 3, 256, 16, 8, 512


class HourglassFeatures(nn.Module):
    """(B, channels, S, S) -> (B, features cells^2).

    Args:
        channels: of the input.
        width: of the hourglasses, a multiple of 4.
        order: how often each halves.
        stacks: hourglasses in a row.
        features: channels that are kept.
        cells: side to which they are averaged, about; S / 4 where that is less.
    """

    def __init__(self, channels: int, width: int, order: int, stacks: int, features: int, cells: int) -> None:
        super().__init__()
        self.stem = Layers(
            nn.Conv2d(channels, width // 4, 7, 2, padding=3),
            nn.BatchNorm2d(width // 4),
            nn.ReLU(),
            Residual(width // 4, width),
            nn.MaxPool2d(2),
        )
        self.stacks = nn.ModuleList(
            nn.Sequential(Hourglass(order, width), Residual(width, width)) for _ in range(stacks)
        )
        self.last = Layers(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, features, 1))
        self.cells = cells
        init_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stack in self.stacks:
            x = x + stack(x)
        x = self.last(x)
        return F.avg_pool2d(x, self.window(x.shape[-1])).flatten(1)

    def window(self, side: int) -> int:
        """Side of the squares that are averaged, in features of so many; what is left over at the right and below, less
        than a square, is dropped."""
        return max(1, side // self.cells)


def _rhg(spec: BaselineSpec, vector: AngleVector | LandmarkVector) -> Evolution:
    spec.require_multiple(2 * _STRIDE)
    side = spec.input_size // _STRIDE
    order = min(_ORDER, (side & -side).bit_length() - 1)
    width, kept = scaled(_WIDTH, spec.scale, 8), scaled(_FEATURES, spec.scale)
    extract = HourglassFeatures(CHANNELS, width, order, _STACKS, kept, _CELLS)
    features = kept * (side // extract.window(side)) ** 2
    return Evolution(spec, vector, extract, features, LongShortCell, scaled(_HIDDEN, spec.scale))


@register_network("rhg", paper=_PAPER, target=PARAMETERS)
def rhg(spec: BaselineSpec) -> Evolution:
    """Four steps on the parameters."""
    return _rhg(spec, AngleVector(BASEL_MODES, spec.input_size))


@register_network("rhg_landmarks", paper=_PAPER, target=PARAMETERS)
def rhg_landmarks(spec: BaselineSpec) -> Evolution:
    """Four steps on the 204 coordinates of the landmarks, as the paper trains on LS3D-W."""
    return _rhg(spec, LandmarkVector(spec.input_size))
