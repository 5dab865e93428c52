"""A 3x3 deformable convolution on the CPU: compiled loops gather the taps, channels side by side in memory, and one
matrix product convolves them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

_TAPS = 9


def deform_by_gathering(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What `deform_by_sampling` gives, of float32 tensors on the CPU."""
    count, channels, height, width = x.shape
    taps = _Taps.apply(x.permute(0, 2, 3, 1), offset.permute(0, 2, 3, 1)).view(-1, _TAPS * channels)
    kernel = weight.permute(2, 3, 1, 0).reshape(_TAPS * channels, len(weight))
    found = taps @ kernel if bias is None else torch.addmm(bias, taps, kernel)
    return found.view(count, height, width, len(weight)).permute(0, 3, 1, 2)


class _Taps(torch.autograd.Function):
    """Maps (B, H, W, C) and offsets (B, H, W, 18) -> what each cell's nine taps read, (B, H, W, 9, C); outside the map
    that is 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, offset: Tensor) -> Tensor:
        x, offset = x.detach().contiguous(), offset.detach().contiguous()
        ctx.save_for_backward(x, offset)
        taps = torch.zeros(*x.shape[:3], _TAPS, x.shape[3])
        _gather(x.numpy(), offset.numpy(), taps.numpy())
        return taps

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        x, offset = ctx.saved_tensors
        into_x, into_offset = torch.zeros_like(x), torch.zeros_like(offset)
        _scatter(x.numpy(), offset.numpy(), grads[0].contiguous().numpy(), into_x.numpy(), into_offset.numpy())
        return into_x, into_offset


@njit(cache=True, nogil=True, fastmath=True)
def _place(offset: np.ndarray, row: int, column: int, tap: int) -> tuple[int, int, np.float32, np.float32]:
    """Where a tap of a cell with offsets (18,) reads: the corner above and before, and the shares beyond it."""
    y = row + tap // 3 - 1 + offset[2 * tap]
    z = column + tap % 3 - 1 + offset[2 * tap + 1]
    top, left = math.floor(y), math.floor(z)
    return top, left, np.float32(y - top), np.float32(z - left)


@njit(cache=True, nogil=True, fastmath=True)
def _gather(x: np.ndarray, offset: np.ndarray, taps: np.ndarray) -> None:
    count, height, width, channels = x.shape
    for image in range(count):
        for row in range(height):
            for column in range(width):
                for tap in range(_TAPS):
                    top, left, down, right = _place(offset[image, row, column], row, column, tap)
                    into = taps[image, row, column, tap]
                    for corner in range(4):
                        at, beside = top + corner // 2, left + corner % 2
                        if 0 <= at < height and 0 <= beside < width:
                            share = (down if corner // 2 else 1 - down) * (right if corner % 2 else 1 - right)
                            value = x[image, at, beside]
                            for channel in range(channels):
                                into[channel] += share * value[channel]


@njit(cache=True, nogil=True, fastmath=True)
def _scatter(x: np.ndarray, offset: np.ndarray, taps: np.ndarray, into_x: np.ndarray, into_offset: np.ndarray) -> None:
    count, height, width, channels = x.shape
    for image in range(count):
        for row in range(height):
            for column in range(width):
                for tap in range(_TAPS):
                    top, left, down, right = _place(offset[image, row, column], row, column, tap)
                    grad = taps[image, row, column, tap]
                    by_y, by_z = np.float32(0), np.float32(0)
                    for corner in range(4):
                        at, beside = top + corner // 2, left + corner % 2
                        if 0 <= at < height and 0 <= beside < width:
                            vertical = down if corner // 2 else 1 - down
                            across = right if corner % 2 else 1 - right
                            value, into = x[image, at, beside], into_x[image, at, beside]
                            share, product = vertical * across, np.float32(0)
                            for channel in range(channels):
                                into[channel] += share * grad[channel]
                                product += grad[channel] * value[channel]
                            by_y += product * (across if corner // 2 else -across)
                            by_z += product * (vertical if corner % 2 else -vertical)
                    into_offset[image, row, column, 2 * tap] = by_y
                    into_offset[image, row, column, 2 * tap + 1] = by_z
