"""DHM: deep evolutionary 3D diffusion heat maps, with two convolutions and a vanilla recurrent network.

Sun et al., "Deep Evolutionary 3D Diffusion Heat Maps for Large-pose Face Alignment", BMVC 2018. The paper's images have
224 pixels. Left open by it, and chosen here: kernels of 5, strides of 2, 32 and 64 channels, a maximum over 2 x 2 after
each convolution, 512 hidden numbers.
"""

from __future__ import annotations

from torch import nn

from nasface.nets.baselines.evolution import (
    BASEL_MODES,
    CHANNELS,
    FLAT_CHANNELS,
    Evolution,
    FeedForwardCell,
    VanillaCell,
)
from nasface.nets.face_vector import AngleVector, LandmarkVector
from nasface.nets.network import PARAMETERS, init_convolutions, scaled
from nasface.nets.registry import BaselineSpec, register_network

_PAPER = "Sun et al., BMVC 2018"
_WIDTHS, _KERNEL, _STRIDE, _HIDDEN = (32, 64), 5, 16, 512


class TwoConvolutions(nn.Sequential):
    """The paper's C_conv2: (B, channels, S, S) -> (B, widths[1] ceil(S / 16)^2)."""

    def __init__(self, channels: int, widths: tuple[int, int], kernel: int) -> None:
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Conv2d(channels, width, kernel, 2, kernel // 2), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
            channels = width
        super().__init__(*layers, nn.Flatten())
        init_convolutions(self)


def _dhm(
    spec: BaselineSpec,
    vector: AngleVector | LandmarkVector,
    cell: type[nn.Module] = VanillaCell,
    steps: int = 4,
    flat: bool = False,
) -> Evolution:
    first, second = (scaled(width, spec.scale) for width in _WIDTHS)
    extract = TwoConvolutions(FLAT_CHANNELS if flat else CHANNELS, (first, second), _KERNEL)
    features, hidden = second * (-(-spec.input_size // _STRIDE)) ** 2, scaled(_HIDDEN, spec.scale)
    return Evolution(spec, vector, extract, features, cell, hidden, steps, flat=flat)


@register_network("dhm", paper=_PAPER, target=PARAMETERS)
def dhm(spec: BaselineSpec) -> Evolution:
    """Four steps on the parameters; 234 of them with the full Basel model."""
    return _dhm(spec, AngleVector(BASEL_MODES, spec.input_size))


@register_network("dhm_3dcnn", paper=_PAPER, target=PARAMETERS)
def dhm_3dcnn(spec: BaselineSpec) -> Evolution:
    """The ablation without recurrence: one step from the mean face's map, a plain layer for the recurrent one."""
    return _dhm(spec, AngleVector(BASEL_MODES, spec.input_size), FeedForwardCell, steps=1)


@register_network("dhm_2drnn", paper=_PAPER, target=PARAMETERS)
def dhm_2drnn(spec: BaselineSpec) -> Evolution:
    """The ablation without the third dimension: landmarks drawn flat, 204 corrections of them."""
    return _dhm(spec, LandmarkVector(spec.input_size), flat=True)


@register_network("dhm_landmarks", paper=_PAPER, target=PARAMETERS)
def dhm_landmarks(spec: BaselineSpec) -> Evolution:
    """Four steps on the 204 coordinates of the landmarks, drawn with their depth, for sets without a model."""
    return _dhm(spec, LandmarkVector(spec.input_size))
