"""Building blocks of the multi-path networks: the HPM block and the change of scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nasface.nets.layers.batch_norm import batch_norm, each_normalised, has_loops
from nasface.nets.layers.hpm_cpu import hpm_on_cpu


class HPM(nn.Module):
    """Hierarchical, parallel and multi-scale block: (B, C, H, W) -> (B, C, H, W), C a multiple of 4.

    Three pre-activated 3x3 convolutions in a row give C/2, C/4 and C/4 channels; their concatenation is added to the
    input.

    Source: Bulat and Tzimiropoulos, "Binarized convolutional landmark localizers", and the block that the MONAS paper
    calls HPM (III-A).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels % 4:
            raise ValueError(f"an HPM block needs a multiple of 4 channels, not {channels}")
        half, quarter = channels // 2, channels // 4
        self.norm1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, half, 3, padding=1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(half), nn.Conv2d(half, quarter, 3, padding=1, bias=False)
        self.norm3, self.conv3 = nn.BatchNorm2d(quarter), nn.Conv2d(quarter, quarter, 3, padding=1, bias=False)

    @property
    def stages(self) -> tuple[tuple[nn.BatchNorm2d, nn.Conv2d], ...]:
        """The three (norm, convolution) pairs in order."""
        return (self.norm1, self.conv1), (self.norm2, self.conv2), (self.norm3, self.conv3)

    def forward(self, x: Tensor) -> Tensor:
        stages = self.stages
        if all(has_loops(norm, x) for norm, _ in stages) and not torch.is_autocast_enabled(x.device.type):
            return hpm_on_cpu(x, stages)
        return x + self.branches(x)

    def branches(self, x: Tensor) -> Tensor:
        """What is added to the input: (B, C, H, W)."""
        parts = []
        for norm, conv in self.stages:
            x = conv(batch_norm(norm, x, relu=True))
            parts.append(x)
        return torch.cat(parts, 1)

    def children_forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """`forward` in training mode on each of several children's features, without running statistics."""
        current, parts = list(features), []
        for norm, conv in self.stages:
            current = all_at_once(conv, each_normalised(norm, current, relu=True))
            parts.append(current)
        return [x + torch.cat(part, 1) for x, part in zip(features, zip(*parts, strict=True), strict=True)]


def all_at_once(layer: nn.Module, features: Sequence[Tensor]) -> list[Tensor]:
    """A layer without statistics on several children's features (B, C, H, W), as one batch: its weights are read
    once."""
    if len(features) == 1:
        return [layer(features[0])]
    return list(layer(torch.cat(list(features))).chunk(len(features)))


class CellUpsample(nn.ConvTranspose2d):
    """A transposed convolution whose kernel is as large as its stride, the factor f: (B, C_in, H, W) -> (B, C_out, f H,
    f W).

    Its cells do not overlap, so it is one matrix product: the same bits forward, in half the time on a CPU where f is 4
    or more.
    """

    def __init__(self, inputs: int, outputs: int, factor: int) -> None:
        super().__init__(inputs, outputs, factor, stride=factor, bias=False)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        factor = self.stride[0]
        if factor < 4:
            return super().forward(x, output_size)
        batch, inputs, height, width = x.shape
        cells = x.permute(0, 2, 3, 1).reshape(-1, inputs) @ self.weight.permute(0, 2, 3, 1).reshape(inputs, -1)
        cells = cells.view(batch, height, width, factor, factor, self.out_channels).transpose(2, 3)
        return cells.reshape(batch, height * factor, width * factor, self.out_channels).permute(0, 3, 1, 2)


class CellDownsample(nn.Conv2d):
    """A convolution whose kernel is as large as its stride: (B, C_in, H, W) -> (B, C_out, H / f, W / f).

    Its cells do not overlap, so it is one matrix product, which takes half the time on a CPU where f is 4 or more.

    Args:
        inputs: C_in.
        outputs: C_out.
        factor: f.
    """

    def __init__(self, inputs: int, outputs: int, factor: int) -> None:
        super().__init__(inputs, outputs, factor, stride=factor, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        factor = self.stride[0]
        if factor < 4:
            return super().forward(x)
        batch, inputs, height, width = x.shape
        height, width = height // factor, width // factor
        cells = x.permute(0, 2, 3, 1).reshape(batch, height, factor, width, factor, inputs).transpose(2, 3)
        weight = self.weight.permute(0, 2, 3, 1).reshape(self.out_channels, -1)
        return (cells.reshape(-1, factor**2 * inputs) @ weight.T).view(batch, height, width, -1).permute(0, 3, 1, 2)


class Pool(nn.Sequential):
    """The mean of cells of f x f, then a convolution: (B, C_in, H, W) -> (B, C_out, H / f, W / f)."""

    def __init__(self, inputs: int, outputs: int, factor: int, overlap: bool) -> None:
        pooled = factor // 2 if overlap else factor
        conv = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False) if overlap else nn.Conv2d(inputs, outputs, 1, bias=False)
        super().__init__(nn.AvgPool2d(pooled) if pooled > 1 else nn.Identity(), conv)


class Interpolate(nn.Sequential):
    """A 1x1 convolution, then bilinear interpolation: (B, C_in, H, W) -> (B, C_out, f H, f W)."""

    def __init__(self, inputs: int, outputs: int, factor: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False),
        )


class Resample(nn.Module):
    """Change of scale and width: (B, C_in, H, W) -> (B, C_out, H * 2^levels, W * 2^levels), `levels` > 0 upward, to the
    finer scales. Nothing at all where scale and width stay.

    A batch norm follows, as in HRNet's fusion layers, so that no scale outweighs another in a node's sum.

    Args:
        inputs: C_in.
        outputs: C_out.
        levels: of scale, below 0 downward.
        kind: `cells`, downward a convolution and upward a transposed one, both with a kernel as large as the stride:
            each place in a cell has weights of its own, so that where in a cell a feature lies is kept; `pool`, means
            of cells and bilinear interpolation with a 1x1 convolution, at a quarter of the cost for every level; or
            `conv`, as `pool`, but downward a 3x3 convolution of stride 2 after the means, as in HRNet.
    """

    def __init__(self, inputs: int, outputs: int, levels: int, kind: str = "cells") -> None:
        super().__init__()
        factor = 2 ** abs(levels)
        self.project: nn.Module = nn.Identity()
        self.norm: nn.BatchNorm2d | nn.Identity = nn.Identity()
        if levels > 0:
            self.project = _upward(inputs, outputs, factor, kind)
        elif levels < 0 and kind != "cells":
            self.project = Pool(inputs, outputs, factor, overlap=kind == "conv")
        elif levels < 0 or inputs != outputs:
            self.project = CellDownsample(inputs, outputs, factor)
        if not isinstance(self.project, nn.Identity):
            self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.norm, nn.Identity):
            return x
        return batch_norm(self.norm, self.project(x))

    def children_forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """`forward` in training mode on each of several children's features, without running statistics."""
        if isinstance(self.norm, nn.Identity):
            return list(features)
        return each_normalised(self.norm, all_at_once(self.project, features))


def _upward(inputs: int, outputs: int, factor: int, kind: str) -> nn.Module:
    if kind != "cells":
        return Interpolate(inputs, outputs, factor)
    project = CellUpsample(inputs, outputs, factor)
    nn.init.normal_(project.weight, std=inputs**-0.5)  # every output cell sums C_in products: keep the variance
    return project


def node_sum(features: Sequence[Tensor]) -> Tensor:
    """A node's value: the sum of its incoming connections' features, over the root of their number.

    The root keeps the variance from growing with every layer; with plain sums the last blocks would add next to nothing
    to what ten layers have summed up.
    """
    if len(features) == 1:
        return features[0]
    total = features[0] + features[1]
    for value in features[2:]:
        total.add_(value)
    return total.mul_(len(features) ** -0.5)
