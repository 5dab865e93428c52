"""PRNet: an encoder-decoder without skips from an image to a UV position map.

Feng et al., "Joint 3D Face Reconstruction and Dense Alignment with Position Map Regression Network", ECCV 2018; layers
as in `resfcn256` of the authors' predictor.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasface.nets.network import UV_MAP, init_convolutions, scaled
from nasface.nets.registry import BaselineSpec, register_network
from nasface.nets.uv_head import MapConv, UVNetwork
from nasface.utils.errors import UserError

# Channels at scale 1, and stride, of the encoder's blocks and of the decoder's transposed convolutions but for the
# last three, which have 3 channels.
_ENCODER = tuple((width, stride) for width in (32, 64, 128, 256, 512) for stride in (2, 1))
_DECODER = (
    *((512, 1), (256, 2), (256, 1), (256, 1), (128, 2), (128, 1), (128, 1)),
    *((64, 2), (64, 1), (64, 1), (32, 2), (32, 1), (16, 2), (16, 1)),
)
_HALVINGS = 5
# A kernel of 4 has no centre: TensorFlow's SAME pads one cell before and two behind, and its transpose the other way.
_SAME, _SAME_TRANSPOSED = (1, 2, 1, 2), (2, 1, 2, 1)


class Shortcut(nn.Conv2d):
    """1x1 convolution of every s-th cell: H, W -> H/s, W/s.

    The cells are taken before the convolution, which so has no stride: the gradient of a 1x1 convolution with one, of
    fewer than 8 channels that are last in memory, makes oneDNN write beyond its memory on CPUs with AVX2 alone, and the
    process ends.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 1, bias=False)
        self.every = stride

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input[..., :: self.every, :: self.every])


class ResidualBlock(nn.Module):
    """1x1 to half the width, 4x4, 1x1, added to a shortcut, then batch norm and ReLU; stride s: H, W -> H/s, W/s.

    The shortcut is a 1x1 convolution where the shape changes, else the input itself.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.narrow = _conv(inputs, half, 1)
        self.conv = _conv(half, half, 4, stride)
        self.widen = nn.Conv2d(half, outputs, 1, bias=False)
        self.shortcut = Shortcut(inputs, outputs, stride) if stride > 1 or inputs != outputs else nn.Identity()
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.widen(self.conv(self.narrow(x))) + self.shortcut(x)))


class PRNet(UVNetwork):
    """The network: 13,353,618 parameters as published.

    At 256 pixels its multiply-adds are 4,129 M; the 6,142 M (and, with 4 for each element of a batch norm, the
    published 6,190 M) come from counting a transposed convolution of stride 2 as if each of its outputs had 16 terms
    per channel, of which only 4 are not zero.

    As published, the last layer ends in batch norm and a sigmoid, which is stretched to 1.1 sides of the image. Here it
    is linear and added to the training set's mean map: a sigmoid flattens toward the ends of its range, where large
    poses put their points; batch norm makes a position depend on the other faces of the batch; and around the mean map
    training starts at a face. `published` gives the published end, for counts.

    Stride-1 transposed convolutions are written as what they are, convolutions (with the kernel turned by 180 degrees).

    Args:
        spec: the input's side is a multiple of 32; the map's side is the input's, as published, or the input's halved
            up to five times: then the last of the decoder's five doublings are left out (same parameters). Widths times
            `scale` are multiples of 4.
        published: end as published, without a mean map: x and y between 0 and 1.1 sides, depth within 1.1 half sides of
            zero (the paper's depth begins at zero).

    Raises:
        UserError: other sizes.
    """

    # oneDNN ends the process in the gradient of 4x4 convolutions of few channels in that layout.
    channels_last = False

    def __init__(self, spec: BaselineSpec, published: bool = False) -> None:
        spec.require_multiple(2**_HALVINGS)
        super().__init__(spec, cells=spec.map_size)
        self.published = published
        self.encoder, width = _encoder(spec)
        self.decoder = _decoder(spec, width)
        self.last: nn.Module = nn.Sequential(
            nn.ZeroPad2d(_SAME_TRANSPOSED),
            *([nn.Conv2d(3, 3, 4, bias=False), nn.BatchNorm2d(3)] if published else [MapConv(3, 3, 4)]),
        )
        init_convolutions(self)

    def forward(self, image: Tensor) -> Tensor:
        values = self.last(self.decoder(self.encoder(image)))
        if not self.published:
            return self.to_map(values)
        offset = torch.full((3, 1, 1), 1 - 1 / self.spec.input_size, device=values.device)
        offset[2] = 1.1
        return 2.2 * torch.sigmoid(values) - offset


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU; H, W -> H/s, W/s."""
    pad = nn.ZeroPad2d(_SAME) if kernel == 4 and stride == 1 else nn.Identity()
    return nn.Sequential(
        pad,
        nn.Conv2d(inputs, outputs, kernel, stride, padding=1 if stride == 2 else 0, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _transposed(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Transposed 4x4 convolution, batch norm, ReLU; H, W -> s H, s W."""
    convolution = (
        [nn.ConvTranspose2d(inputs, outputs, 4, 2, padding=1, bias=False)]
        if stride == 2
        else [nn.ZeroPad2d(_SAME_TRANSPOSED), nn.Conv2d(inputs, outputs, 4, bias=False)]
    )
    return nn.Sequential(*convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def _encoder(spec: BaselineSpec) -> tuple[nn.Sequential, int]:
    width = scaled(16, spec.scale)
    layers: list[nn.Module] = [_conv(3, width, 4)]
    for full, stride in _ENCODER:
        outputs = scaled(full, spec.scale)
        layers.append(ResidualBlock(width, outputs, stride))
        width = outputs
    return nn.Sequential(*layers), width


def _decoder(spec: BaselineSpec, width: int) -> nn.Sequential:
    doublings = _doublings(spec)
    layers: list[nn.Module] = []
    for full, stride in _DECODER:
        outputs = scaled(full, spec.scale)
        layers.append(_transposed(width, outputs, stride if doublings > 0 else 1))
        width, doublings = outputs, doublings - (stride == 2)
    return nn.Sequential(*layers, _transposed(width, 3, 1), _transposed(3, 3, 1))


def _doublings(spec: BaselineSpec) -> int:
    """How many doublings lead from the encoder's end to the map."""
    sides = [(spec.input_size >> _HALVINGS) << count for count in range(_HALVINGS + 1)]
    if spec.map_size not in sides:
        known = ", ".join(map(str, reversed(sides)))
        raise UserError(
            f"network.map_size {spec.map_size} must be one of {known} for {spec.name} at network.input_size"
            f" {spec.input_size}"
        )
    return sides.index(spec.map_size)


@register_network("prnet", paper="Feng et al., ECCV 2018", target=UV_MAP)
def prnet(spec: BaselineSpec) -> PRNet:
    """PRNet."""
    return PRNet(spec)
