"""An HPM block of a training step on a CPU as one function: its sums and cuts of maps are part of loops that read those
maps anyway (`batch_norm_cpu`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import carray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nasface.nets.layers.batch_norm_cpu import Running, differentiate, normalise
from nasface.utils.thread_team import Arguments, Loop, own_share, team_loop

Stage = tuple[nn.BatchNorm2d, nn.Conv2d]


def hpm_on_cpu(x: Tensor, stages: Sequence[Stage]) -> Tensor:
    """What `HPM` finds in training mode of maps (B, C, H, W) that `batch_norm` hands to compiled loops; its stages are
    three pairs of batch norm and 3x3 convolution without bias."""
    found = _HPM.apply(x, stages, *(value for norm, conv in stages for value in (norm.weight, norm.bias, conv.weight)))
    assert isinstance(found, Tensor)
    return found


class _HPM(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, stages: Sequence[Stage], *parameters: Tensor) -> Tensor:
        kept: list[Tensor] = []
        parts = [x]
        for norm, conv in stages:
            normalised, statistics = normalise(parts[-1], norm.weight, norm.bias, norm.eps, True, Running.of(norm))
            kept += [parts[-1], normalised, statistics]
            parts.append(F.conv2d(normalised, conv.weight, padding=1))
        ctx.save_for_backward(*kept, *parameters)
        found, channels = torch.empty_like(x), x.shape[1]
        widths = [part.shape[1] for part in parts[1:]]
        _join_loop()(Arguments((x.numel() // channels, *widths), (), (found, *parts)))
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        kept, parameters = ctx.saved_tensors[:9], ctx.saved_tensors[9:]
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        # Where in the block's channels each convolution's begin, before them those of the input itself.
        starts = [0, 0, len(parameters[2]), len(parameters[2]) + len(parameters[5])]
        into_part = gradient[:, starts[3] :].contiguous(memory_format=torch.channels_last)
        into_parameters: list[Tensor] = []
        for stage in (2, 1, 0):
            x, normalised, statistics = kept[3 * stage : 3 * stage + 3]
            weight, bias, kernel = parameters[3 * stage : 3 * stage + 3]
            into_normalised, into_kernel, _ = torch.ops.aten.convolution_backward.default(
                *(into_part, normalised, kernel, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, True, False])
            )
            into_normalised = into_normalised.contiguous(memory_format=torch.channels_last)
            into_part, into_norm = differentiate(
                *(into_normalised, x, weight, bias, statistics, True), more=gradient, first=starts[stage]
            )
            into_parameters[:0] = [into_norm[0], into_norm[1], into_kernel]
        return into_part, None, *into_parameters


@cache
def _join_loop() -> Loop:
    return team_loop(_join)


def _join(data: Any) -> None:
    """The input (rows, a + b + c) plus the parts (rows, a), (rows, b) and (rows, c) beside each other."""
    numbers = carray(data[0], 4, np.int64)
    rows, a, b, c = numbers[0], numbers[1], numbers[2], numbers[3]
    first, last = own_share(rows)
    into = carray(data[2], (rows, a + b + c), np.float32)[first:last]
    x = carray(data[3], (rows, a + b + c), np.float32)[first:last]
    one = carray(data[4], (rows, a), np.float32)[first:last]
    two = carray(data[5], (rows, b), np.float32)[first:last]
    three = carray(data[6], (rows, c), np.float32)[first:last]
    for row in range(len(into)):
        for channel in range(a):
            into[row, channel] = x[row, channel] + one[row, channel]
        for channel in range(b):
            into[row, a + channel] = x[row, a + channel] + two[row, channel]
        for channel in range(c):
            into[row, a + b + channel] = x[row, a + b + channel] + three[row, channel]
