"""Batch norm of a training step on a CPU, with the ReLU behind it: compiled loops that read the maps as often as they
must.

PyTorch reads them five times and writes them twice forward, and divides among its threads what takes a tenth of a
millisecond; where the channels are no multiple of 8 it takes several times as long again. These loops run on one
thread, so that trainings side by side do not wait for each other.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import carray, cfunc, njit, types
from torch import Tensor
from torch.autograd.function import once_differentiable

_LANES = 128  # floats that a loop takes at once, so that few channels fill the registers, too
_BLOCK = 64  # rows that are summed in single precision
_EVERY = float("-inf")  # below every value
_MAPS = types.CPointer(types.float32)
_IN_C: dict[Any, Any] = {types.int64: ctypes.c_int64, types.float64: ctypes.c_double, types.float32: ctypes.c_float}
_FAST = {"reassoc", "nsz", "arcp", "contract"}  # not "nnan": what is no number stays none


class Running(NamedTuple):
    """Statistics (C,) that a batch changes: running mean and variance, the number of batches (), and the share of the
    new ones."""

    mean: Tensor
    variance: Tensor
    batches: Tensor
    momentum: float


class BatchNorm(torch.autograd.Function):
    """`F.batch_norm` in training mode of maps (B, C, H, W) in float32 whose memory is channels_last, and the ReLU of
    it where `relu`; the running statistics are changed where some are given."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, relu: bool, running: Running | None
    ) -> Tensor:
        channels = x.shape[1]
        found, statistics = torch.empty_like(x), x.new_empty(2, channels)
        least = 0.0 if relu else _EVERY
        pointers = [one.data_ptr() for one in running[:3]] if running else [None, None, None]
        momentum = running.momentum if running else 0.0
        _loops().forward(
            *(x.data_ptr(), x.numel() // channels, channels, weight.data_ptr(), bias.data_ptr(), eps, least),
            *(*pointers, momentum, found.data_ptr(), statistics.data_ptr()),
        )
        ctx.save_for_backward(x, weight, bias, statistics)
        ctx.least = least
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, statistics = ctx.saved_tensors
        channels = x.shape[1]
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        into_x, into_parameters = torch.empty_like(x), torch.empty_like(statistics)
        _loops().backward(
            *(gradient.data_ptr(), x.data_ptr(), x.numel() // channels, channels, weight.data_ptr(), bias.data_ptr()),
            *(ctx.least, statistics.data_ptr(), into_x.data_ptr(), into_parameters.data_ptr()),
        )
        return into_x, into_parameters[0], into_parameters[1], None, None, None


class _Loops(NamedTuple):
    forward: Any
    backward: Any


@cache
def _loops() -> _Loops:
    """The compiled loops: seconds when they are first asked for, and kept in a file from then on."""
    maps, counts, size, real, single = _MAPS, types.CPointer(types.int64), types.int64, types.float64, types.float32
    forward = (maps, size, size, maps, maps, real, single, maps, maps, counts, real, maps, maps)
    backward = (maps, maps, size, size, maps, maps, single, maps, maps, maps)
    return _Loops(_compile(_forward, *forward), _compile(_backward, *backward))


def _compile(function: Callable[..., None], *arguments: Any) -> Any:
    """A function of pointers and numbers, to be called without Python's lock."""
    compiled: Any = cfunc(types.void(*arguments), cache=True, fastmath=_FAST)(function)
    call: Any = ctypes.CFUNCTYPE(None, *(_IN_C.get(kind, ctypes.c_void_p) for kind in arguments))(compiled.address)
    call.compiled = compiled  # whose memory the code lies in
    return call


@njit(cache=True)
def _places_of(rows: int, channels: int) -> int:
    """How many places (rows of channels) a loop takes at once: a power of two that divides them."""
    places = 1
    while 2 * places * channels <= _LANES and rows % (2 * places) == 0:
        places *= 2
    return places


@njit(cache=True)
def _of_channels(lanes: np.ndarray, channels: int) -> np.ndarray:
    """Sums of lanes as sums of channels."""
    total = np.zeros(channels)
    for lane in range(len(lanes)):
        total[lane % channels] += lanes[lane]
    return total


def _forward(
    maps: Any,
    rows: int,
    channels: int,
    weights: Any,
    biases: Any,
    eps: float,
    least: np.float32,
    means: Any,
    variances: Any,
    batches: Any,
    momentum: float,
    into: Any,
    kept: Any,
) -> None:
    """Maps (rows, channels) -> what is found of them, and mean and inverse deviation (2, channels); running statistics
    where `momentum` is not 0."""
    places = _places_of(rows, channels)
    lanes, count = places * channels, rows // places
    x, y = carray(maps, (count, lanes)), carray(into, (count, lanes))
    weight, bias, statistics = carray(weights, channels), carray(biases, channels), carray(kept, (2, channels))
    # Sums about the first place: of squares about 0, a variance that is small beside the mean would be lost.
    about, first, second = np.empty(lanes, np.float32), np.empty(lanes, np.float32), np.empty(lanes, np.float32)
    sums, squares = np.zeros(lanes), np.zeros(lanes)
    for lane in range(lanes):
        about[lane] = x[0, lane % channels]
    for start in range(0, count, _BLOCK):
        first[:], second[:] = 0, 0
        for row in range(start, min(count, start + _BLOCK)):
            for lane in range(lanes):
                distance = x[row, lane] - about[lane]
                first[lane] += distance
                second[lane] += distance * distance
        for lane in range(lanes):
            sums[lane] += first[lane]
            squares[lane] += second[lane]
    of_distances, of_squares = _of_channels(sums, channels), _of_channels(squares, channels)
    for channel in range(channels):
        offset = of_distances[channel] / rows
        mean, variance = about[channel] + offset, max(of_squares[channel] / rows - offset * offset, 0.0)
        inverse = 1 / np.sqrt(variance + eps)
        statistics[0, channel], statistics[1, channel] = mean, inverse
        scale = np.float32(weight[channel] * statistics[1, channel])
        for place in range(places):
            first[place * channels + channel] = scale
            second[place * channels + channel] = np.float32(bias[channel] - statistics[0, channel] * scale)
        if momentum != 0:
            running, spread = carray(means, channels), carray(variances, channels)
            running[channel] += momentum * (mean - running[channel])
            spread[channel] += momentum * (variance * rows / (rows - 1) - spread[channel])
    if momentum != 0:
        carray(batches, 1)[0] += 1
    for row in range(count):
        for lane in range(lanes):
            value = x[row, lane] * first[lane] + second[lane]
            y[row, lane] = least if value <= least else value


def _backward(
    gradients: Any,
    maps: Any,
    rows: int,
    channels: int,
    weights: Any,
    biases: Any,
    least: np.float32,
    kept: Any,
    into: Any,
    parameters: Any,
) -> None:
    """The gradients of the maps (rows, channels), and of weight and bias (2, channels)."""
    places = _places_of(rows, channels)
    lanes, count = places * channels, rows // places
    x, g, into_x = carray(maps, (count, lanes)), carray(gradients, (count, lanes)), carray(into, (count, lanes))
    weight, bias, statistics = carray(weights, channels), carray(biases, channels), carray(kept, (2, channels))
    into_parameters = carray(parameters, (2, channels))
    mean, scale, shift = np.empty(lanes, np.float32), np.empty(lanes, np.float32), np.empty(lanes, np.float32)
    first, second = np.empty(lanes, np.float32), np.empty(lanes, np.float32)
    sums, products = np.zeros(lanes), np.zeros(lanes)
    for lane in range(lanes):
        channel = lane % channels
        mean[lane], scale[lane] = statistics[0, channel], np.float32(weight[channel] * statistics[1, channel])
        shift[lane] = np.float32(bias[channel] - statistics[0, channel] * scale[lane])
    for start in range(0, count, _BLOCK):
        first[:], second[:] = 0, 0
        for row in range(start, min(count, start + _BLOCK)):
            for lane in range(lanes):
                value = x[row, lane]
                passed = np.float32(0) if value * scale[lane] + shift[lane] <= least else g[row, lane]
                first[lane] += passed
                second[lane] += passed * (value - mean[lane])
        for lane in range(lanes):
            sums[lane] += first[lane]
            products[lane] += second[lane]
    of_gradients, of_products = _of_channels(sums, channels), _of_channels(products, channels)
    for channel in range(channels):
        total, product, inverse = of_gradients[channel], of_products[channel], statistics[1, channel]
        into_parameters[0, channel], into_parameters[1, channel] = product * inverse, total
        slope = -scale[channel] * inverse * inverse * product / rows
        for place in range(places):
            first[place * channels + channel] = slope
            second[place * channels + channel] = -scale[channel] * total / rows - slope * mean[channel]
    for row in range(count):
        for lane in range(lanes):
            value = x[row, lane]
            passed = np.float32(0) if value * scale[lane] + shift[lane] <= least else g[row, lane]
            into_x[row, lane] = passed * scale[lane] + (value * first[lane] + second[lane])
