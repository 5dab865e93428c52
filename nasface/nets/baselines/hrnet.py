"""HRNetV2: four streams of different resolution side by side, fused again and again.

Sun et al., "High-Resolution Representations for Labeling Pixels and Regions", 2019 (arXiv 1904.04514), in the version
for facial landmarks (HRNet-Facial-Landmark-Detection, lib/models/hrnet.py), with a UV position map for heatmaps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasface.nets.layers.batch_norm import Layers, batch_norm
from nasface.nets.network import UV_MAP, init_convolutions, scaled
from nasface.nets.registry import BaselineSpec, register_network
from nasface.nets.uv_head import MapConv, UVNetwork

_STRIDE = 4
_STREAMS = 4
_MODULES = {2: 1, 3: 4, 4: 3}  # streams of a stage: its modules
_BLOCKS = 4  # in each stream of a module, and in the first stage


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, added to the input: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = Layers(*_conv(channels, channels, 3), *_conv(channels, channels, 3, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.layers(x) + x)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution with batch norm, added to the input: (B, C, H, W) -> (B, 4 * width, H, W)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.layers = Layers(*_conv(inputs, width, 1), *_conv(width, width, 3), *_conv(width, outputs, 1, relu=False))
        self.shortcut = nn.Identity() if inputs == outputs else Layers(*_conv(inputs, outputs, 1, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.layers(x) + self.shortcut(x))


class Exchange(nn.Module):
    """One module of a stage: blocks in each stream, then each stream becomes the sum of all, brought to its size.

    Stream i has (B, width * 2^i, H / 2^i, W / 2^i). From finer streams come 3x3 convolutions of stride 2, from coarser
    ones a 1x1 convolution and bilinear interpolation.
    """

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.streams = nn.ModuleList(nn.Sequential(*(BasicBlock(width) for _ in range(_BLOCKS))) for width in widths)
        self.fuse = nn.ModuleList(
            nn.ModuleList(_resample(widths, source, target) for source in range(len(widths)))
            for target in range(len(widths))
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        features = [stream(x) for stream, x in zip(self.streams, features, strict=True)]
        fused = []
        for target, row in enumerate(self.fuse):
            parts = (resample(x) for resample, x in zip(row.children(), features, strict=True))
            first, *others = (_enlarge(part, features[target]) for part in parts)
            fused.append(torch.relu(sum(others, start=first)))
        return fused


class HRNetV2(nn.Module):
    """The network: (B, 3, S, S) -> (B, outputs, S / 4, S / 4).

    With 68 outputs at 256 pixels it has 9,654,398 parameters and 4,660 M multiply-adds (published: 9.3 M and 4.3 G).

    Args:
        last: the convolution that writes the outputs, of 15 * width channels and kernel 1.
        width: channels of the finest stream.
        stem: channels of the stem.
        cells: S / 4, to give every cell a learned bias before the last convolution, or None as published.
    """

    def __init__(self, last: nn.Conv2d, width: int = 18, stem: int = 64, cells: int | None = None) -> None:
        super().__init__()
        widths = [width << stream for stream in range(_STREAMS)]
        self.stem = Layers(*_conv(3, stem, 3, 2), *_conv(stem, stem, 3, 2))
        self.stage1 = nn.Sequential(*(Bottleneck(4 * stem if block else stem, stem) for block in range(_BLOCKS)))
        self.first = Layers(*_conv(4 * stem, width, 3))
        # The new stream of each stage comes from the coarsest before it.
        self.begin = nn.ModuleList(
            Layers(*_conv(inputs, outputs, 3, 2))
            for inputs, outputs in zip([4 * stem, *widths[1:]], widths[1:], strict=False)
        )
        self.stages = nn.ModuleList(
            nn.ModuleList(Exchange(widths[:streams]) for _ in range(modules)) for streams, modules in _MODULES.items()
        )
        self.mix = nn.Conv2d(sum(widths), sum(widths), 1)
        self.norm = nn.BatchNorm2d(sum(widths))
        self.cell_bias = nn.Parameter(torch.zeros(1, sum(widths), cells, cells)) if cells else None
        self.last = last
        init_convolutions(self)

    def features(self, image: Tensor) -> Tensor:
        """All streams at the finest one's size, concatenated: (B, 15 * width, S / 4, S / 4)."""
        x = self.stage1(self.stem(image))
        features = [self.first(x)]
        for begin, stage in zip(self.begin, self.stages, strict=True):
            features.append(begin(x if len(features) == 1 else features[-1]))
            for exchange in stage.children():
                features = exchange(features)
        return torch.cat([_enlarge(stream, features[0]) for stream in features], 1)

    def forward(self, image: Tensor) -> Tensor:
        x = batch_norm(self.norm, self.mix(self.features(image)), relu=self.cell_bias is None)
        return self.last(x if self.cell_bias is None else torch.relu(x + self.cell_bias))


class HRNetUV(UVNetwork):
    """HRNetV2 that writes a UV position map in place of heatmaps.

    Each of its S / 4 x S / 4 last cells writes (4 M / S)^2 positions. A heatmap lies over the image, but a cell of the
    map belongs to a place of the face: a learned bias per cell, as in the multi-path networks' head, tells the cells
    apart.

    Args:
        spec: the input's side is a multiple of 32, the map's of S / 4. At scale 1 the finest stream has 18 channels,
            else a multiple of 4; each coarser stream has twice as many; the stem's 64 become a multiple of 8.

    Raises:
        UserError: other sizes.
    """

    def __init__(self, spec: BaselineSpec) -> None:
        spec.require_multiple(_STRIDE << (_STREAMS - 1))
        cells = spec.input_size // _STRIDE
        super().__init__(spec, cells)
        width = scaled(18, spec.scale)
        last = MapConv(15 * width, self.outputs, 1)
        self.body = HRNetV2(last, width, scaled(64, spec.scale, 8), cells)

    def forward(self, image: Tensor) -> Tensor:
        return self.to_map(self.body(image))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = True) -> list[nn.Module]:
    """Convolution, batch norm and, if `relu`, ReLU; H, W -> H/s, W/s."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), *([nn.ReLU()] if relu else [])]


def _resample(widths: list[int], source: int, target: int) -> nn.Module:
    """From one stream to another: all of it downward; upward the width alone, `_enlarge` does the rest."""
    inputs, outputs, steps = widths[source], widths[target], target - source
    if steps == 0:
        return nn.Identity()
    if steps < 0:
        return Layers(*_conv(inputs, outputs, 1, relu=False))
    halvings = [layer for _ in range(steps - 1) for layer in _conv(inputs, inputs, 3, 2)]
    return Layers(*halvings, *_conv(inputs, outputs, 3, 2, relu=False))


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


@register_network("hrnet", paper="Sun et al., 2019", target=UV_MAP)
def hrnet(spec: BaselineSpec) -> HRNetUV:
    """HRNetV2-W18."""
    return HRNetUV(spec)
