"""Deformable convolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasface.nets.layers.deformable_cpu import deform_by_gathering

try:
    from torchvision.ops import deform_conv2d as _fast
except (ImportError, RuntimeError):  # the latter where torchvision is of another torch
    _fast = None

_KERNEL = 3
_TAPS = _KERNEL**2


class DeformableConv(nn.Conv2d):
    """3x3 convolution whose nine taps are moved, in each cell, by offsets that a 3x3 convolution of the input gives:
    (B, C_in, H, W) -> (B, C_out, H, W).

    Offsets start at 0, so that it begins as a plain convolution. They are in cells, (y, x) of the taps in row-major
    order; outside the map the input is 0. torchvision's operator computes it where torchvision is installed, compiled
    loops (`deformable_cpu`) elsewhere on a CPU; otherwise, and to count costs or to export, `deform_by_sampling` does,
    with the same result.

    Source: Dai et al., "Deformable Convolutional Networks", ICCV 2017, section 2.1.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, _KERNEL, padding=_KERNEL // 2)
        self.offset = nn.Conv2d(inputs, 2 * _TAPS, _KERNEL, padding=_KERNEL // 2)

    def start_plain(self) -> None:
        """First weights: those of a rectified network's plain convolution, offsets 0."""
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        for values in (self.bias, self.offset.weight, self.offset.bias):
            assert values is not None
            nn.init.zeros_(values)

    def forward(self, x: Tensor) -> Tensor:
        offset = self.offset(x)
        followed = torch.onnx.is_in_onnx_export() or torch.jit.is_tracing() or torch.compiler.is_compiling()
        if followed or x.is_meta or type(x) not in (Tensor, nn.Parameter):  # subclasses stand for values not there
            return deform_by_sampling(x, offset, self.weight, self.bias)
        if _fast is None:
            plain = x.device.type == "cpu" and x.dtype == offset.dtype == self.weight.dtype == torch.float32
            deform = deform_by_gathering if plain else deform_by_sampling
            return deform(x, offset, self.weight, self.bias)
        with torch.autocast(x.device.type, enabled=False):
            return _fast(x.float(), offset.float(), self.weight, self.bias, padding=_KERNEL // 2)


def deform_by_sampling(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 deformable convolution (C_out, C_in, 3, 3) of maps (B, C_in, H, W) by `grid_sample` and a 1x1 convolution:
    (B, C_out, H, W). Offsets (B, 18, H, W) are in cells, (y, x) of each tap."""
    count, channels, height, width = x.shape
    reach = torch.arange(_KERNEL, device=x.device, dtype=torch.float32) - _KERNEL // 2
    moved = offset.float().view(count, _TAPS, 2, height, width)
    rows = torch.arange(height, device=x.device, dtype=torch.float32).view(1, 1, -1, 1)
    columns = torch.arange(width, device=x.device, dtype=torch.float32).view(1, 1, 1, -1)
    y = moved[:, :, 0] + reach.repeat_interleave(_KERNEL).view(1, -1, 1, 1) + rows
    x_place = moved[:, :, 1] + reach.repeat(_KERNEL).view(1, -1, 1, 1) + columns
    # grid_sample's units: half the side about the centre.
    grid = torch.stack(((2 * x_place + 1) / width - 1, (2 * y + 1) / height - 1), -1)
    sampled = F.grid_sample(
        x.float(),
        grid.view(count, _TAPS * height, width, 2),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )
    taps = sampled.view(count, channels * _TAPS, height, width)
    return F.conv2d(taps, weight.reshape(len(weight), channels * _TAPS, 1, 1), bias)
