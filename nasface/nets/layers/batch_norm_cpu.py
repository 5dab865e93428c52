"""Batch norm of a training step on a CPU, with the ReLU behind it: compiled loops that read the maps as often as they
must.

PyTorch reads them five times and writes them twice forward, and where the channels are no multiple of 16 its threads
write into each other's cache lines: two take longer than one. What these loops find is the same on any number of
threads.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import carray, njit
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nasface.utils.thread_team import Arguments, Loop, own_share, team_loop, thread_number

_LANES = 128  # floats that a loop takes at once, so that few channels fill the registers, too
_BLOCK = 64  # rows of them that are summed in single precision
_PARTS = 16  # that are summed apart, whatever the number of threads
_EVERY = float("-inf")  # below every value


class Running(NamedTuple):
    """Statistics (C,) that a batch changes: running mean and variance, the number of batches (), and the share of the
    new ones."""

    mean: Tensor
    variance: Tensor
    batches: Tensor
    momentum: float

    @classmethod
    def of(cls, norm: nn.BatchNorm2d) -> Running:
        """Those of a batch norm that has some."""
        assert norm.running_mean is not None and norm.running_var is not None
        assert norm.num_batches_tracked is not None and norm.momentum is not None
        return cls(norm.running_mean, norm.running_var, norm.num_batches_tracked, norm.momentum)


class BatchNorm(torch.autograd.Function):
    """`F.batch_norm` in training mode of maps (B, C, H, W) in float32 whose memory is channels_last, and the ReLU of
    it where `relu`; the running statistics are changed where some are given."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, relu: bool, running: Running | None
    ) -> Tensor:
        found, statistics = normalise(x, weight, bias, eps, relu, running)
        ctx.save_for_backward(x, weight, bias, statistics)
        ctx.relu = relu
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        x, weight, bias, statistics = ctx.saved_tensors
        into_x, into_parameters = differentiate(gradient, x, weight, bias, statistics, ctx.relu)
        return into_x, into_parameters[0], into_parameters[1], None, None, None


def normalise(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, relu: bool, running: Running | None
) -> tuple[Tensor, Tensor]:
    """What `BatchNorm` finds of maps, and mean and inverse deviation (2, C) of their channels."""
    channels = x.shape[1]
    found, statistics = torch.empty_like(x), x.new_empty(2, channels)
    given = Arguments(
        (x.numel() // channels, channels),
        (eps, 0.0 if relu else _EVERY, running.momentum if running else 0.0),
        (x, weight, bias, _sums(x), statistics, found, *(running[:3] if running else (None, None, None))),
    )
    for loop in _forward_loops():
        loop(given)
    return found, statistics


def differentiate(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    statistics: Tensor,
    relu: bool,
    more: Tensor | None = None,
    first: int = 0,
) -> tuple[Tensor, Tensor]:
    """The gradients of the maps, and of weight and bias (2, C), from that of what `normalise` found; all maps in the
    layout channels_last. To the maps' one are added, where there is `more` (B, D, H, W), its channels from the `first`
    on."""
    channels = x.shape[1]
    into_x, into_parameters = torch.empty_like(x), torch.empty_like(statistics)
    given = Arguments(
        (x.numel() // channels, channels, 0 if more is None else more.shape[1], first),
        (0.0, 0.0 if relu else _EVERY),
        (x, weight, bias, _sums(x), statistics, gradient, into_x, into_parameters, more),
    )
    for loop in _backward_loops():
        loop(given)
    return into_x, into_parameters


def _sums(x: Tensor) -> Tensor:
    """Memory for two sums of every part and lane."""
    return torch.empty(_PARTS, 2, max(_LANES, x.shape[1]), dtype=torch.float64)


@cache
def _forward_loops() -> tuple[Loop, Loop]:
    return team_loop(_collect), team_loop(_apply)


@cache
def _backward_loops() -> tuple[Loop, Loop]:
    return team_loop(_collect_gradients), team_loop(_apply_gradients)


# The loops. Maps (rows, channels) are read as (count, lanes), lanes being some rows side by side. ---------------------


@njit(cache=True)
def _lanes_of(rows: int, channels: int) -> int:
    """As many lanes as a loop takes at once: channels, times a power of two that divides the rows."""
    places = 1
    while 2 * places * channels <= _LANES and rows % (2 * places) == 0:
        places *= 2
    return places * channels


@njit(cache=True)
def _parts_of(count: int) -> int:
    return min(_PARTS, max(1, count // _BLOCK))


@njit(cache=True)
def _of_channels(sums: np.ndarray, parts: int, channels: int) -> np.ndarray:
    """Sums of parts and lanes (parts, 2, lanes) as sums of channels (2, channels)."""
    total = np.zeros((2, channels))
    for part in range(parts):
        for kind in range(2):
            for place in range(0, sums.shape[2], channels):
                for channel in range(channels):
                    total[kind, channel] += sums[part, kind, place + channel]
    return total


def _collect(data: Any) -> None:
    """Sums of the maps and of their squares, about the first row: about 0, a variance that is small beside the mean
    would be lost."""
    numbers = carray(data[0], 2, np.int64)
    rows, channels = numbers[0], numbers[1]
    lanes = _lanes_of(rows, channels)
    count = rows * channels // lanes
    x, sums = carray(data[2], (count, lanes), np.float32), carray(data[5], (_PARTS, 2, lanes), np.float64)
    about, once, twice = np.empty(lanes, np.float32), np.empty(lanes, np.float32), np.empty(lanes, np.float32)
    for place in range(0, lanes, channels):
        for channel in range(channels):
            about[place + channel] = x[0, channel]
    parts = _parts_of(count)
    begin, end = own_share(parts)
    for part in range(begin, end):
        own, into = x[count * part // parts : count * (part + 1) // parts], sums[part]
        into[:] = 0
        for start in range(0, len(own), _BLOCK):
            once[:], twice[:] = 0, 0
            for row in range(start, min(len(own), start + _BLOCK)):
                for lane in range(lanes):
                    distance = own[row, lane] - about[lane]
                    once[lane] += distance
                    twice[lane] += distance * distance
            for lane in range(lanes):
                into[0, lane] += once[lane]
                into[1, lane] += twice[lane]


def _apply(data: Any) -> None:
    """Statistics from the sums, and the maps with them."""
    numbers, reals = carray(data[0], 2, np.int64), carray(data[1], 3, np.float64)
    rows, channels, eps, least, momentum = numbers[0], numbers[1], reals[0], np.float32(reals[1]), reals[2]
    lanes = _lanes_of(rows, channels)
    count = rows * channels // lanes
    x, y = carray(data[2], (count, lanes), np.float32), carray(data[7], (count, lanes), np.float32)
    weight, bias = carray(data[3], channels, np.float32), carray(data[4], channels, np.float32)
    statistics = carray(data[6], (2, channels), np.float32)
    total = _of_channels(carray(data[5], (_PARTS, 2, lanes), np.float64), _parts_of(count), channels)
    number = thread_number()
    scale, shift = np.empty(lanes, np.float32), np.empty(lanes, np.float32)
    for channel in range(channels):
        offset = total[0, channel] / rows
        mean, variance = x[0, channel] + offset, max(total[1, channel] / rows - offset * offset, 0.0)
        single, inverse = np.float32(mean), np.float32(1 / np.sqrt(variance + eps))
        for lane in range(channel, lanes, channels):
            scale[lane] = np.float32(weight[channel] * inverse)
            shift[lane] = np.float32(bias[channel] - single * scale[lane])
        if number == 0:
            statistics[0, channel], statistics[1, channel] = single, inverse
            if momentum != 0:
                running, spread = carray(data[8], channels, np.float32), carray(data[9], channels, np.float32)
                running[channel] += momentum * (mean - running[channel])
                spread[channel] += momentum * (variance * rows / (rows - 1) - spread[channel])
    if number == 0 and momentum != 0:
        carray(data[10], 1, np.int64)[0] += 1
    first, last = own_share(count)
    own, into = x[first:last], y[first:last]
    for row in range(len(own)):
        for lane in range(lanes):
            value = own[row, lane] * scale[lane] + shift[lane]
            into[row, lane] = least if value <= least else value


def _collect_gradients(data: Any) -> None:
    """Sums of the gradients behind the ReLU, and of their products with the maps about the mean."""
    numbers, reals = carray(data[0], 2, np.int64), carray(data[1], 2, np.float64)
    rows, channels, least = numbers[0], numbers[1], np.float32(reals[1])
    lanes = _lanes_of(rows, channels)
    count = rows * channels // lanes
    x, g = carray(data[2], (count, lanes), np.float32), carray(data[7], (count, lanes), np.float32)
    weight, bias = carray(data[3], channels, np.float32), carray(data[4], channels, np.float32)
    sums, statistics = carray(data[5], (_PARTS, 2, lanes), np.float64), carray(data[6], (2, channels), np.float32)
    mean, scale, shift = np.empty(lanes, np.float32), np.empty(lanes, np.float32), np.empty(lanes, np.float32)
    once, twice = np.empty(lanes, np.float32), np.empty(lanes, np.float32)
    for place in range(0, lanes, channels):
        for channel in range(channels):
            lane = place + channel
            mean[lane], scale[lane] = statistics[0, channel], np.float32(weight[channel] * statistics[1, channel])
            shift[lane] = np.float32(bias[channel] - statistics[0, channel] * scale[lane])
    parts = _parts_of(count)
    begin, end = own_share(parts)
    for part in range(begin, end):
        first, last = count * part // parts, count * (part + 1) // parts
        own, gradients, into = x[first:last], g[first:last], sums[part]
        into[:] = 0
        for start in range(0, len(own), _BLOCK):
            once[:], twice[:] = 0, 0
            for row in range(start, min(len(own), start + _BLOCK)):
                for lane in range(lanes):
                    value = own[row, lane]
                    passed = np.float32(0) if value * scale[lane] + shift[lane] <= least else gradients[row, lane]
                    once[lane] += passed
                    twice[lane] += passed * (value - mean[lane])
            for lane in range(lanes):
                into[0, lane] += once[lane]
                into[1, lane] += twice[lane]


def _apply_gradients(data: Any) -> None:
    """The gradients of weight and bias from the sums, and those of the maps with them."""
    numbers, reals = carray(data[0], 4, np.int64), carray(data[1], 2, np.float64)
    rows, channels, wide, begin, least = numbers[0], numbers[1], numbers[2], numbers[3], np.float32(reals[1])
    lanes = _lanes_of(rows, channels)
    places, count = lanes // channels, rows * channels // lanes
    x, g = carray(data[2], (count, lanes), np.float32), carray(data[7], (count, lanes), np.float32)
    y, more = carray(data[8], (count, lanes), np.float32), carray(data[10], (count, places, wide), np.float32)
    weight, bias = carray(data[3], channels, np.float32), carray(data[4], channels, np.float32)
    statistics, into_parameters = carray(data[6], (2, channels), np.float32), carray(data[9], (2, channels), np.float32)
    total = _of_channels(carray(data[5], (_PARTS, 2, lanes), np.float64), _parts_of(count), channels)
    number = thread_number()
    scale, shift = np.empty(lanes, np.float32), np.empty(lanes, np.float32)
    slope, constant = np.empty(lanes, np.float32), np.empty(lanes, np.float32)
    for channel in range(channels):
        mean, inverse, product = statistics[0, channel], statistics[1, channel], total[1, channel]
        factor = np.float32(weight[channel] * inverse)
        if number == 0:
            into_parameters[0, channel], into_parameters[1, channel] = product * inverse, total[0, channel]
        steep = -factor * inverse * inverse * product / rows
        for lane in range(channel, lanes, channels):
            scale[lane], shift[lane] = factor, np.float32(bias[channel] - mean * factor)
            slope[lane], constant[lane] = steep, -factor * total[0, channel] / rows - steep * mean
    first, last = own_share(count)
    own, gradients, into, added = x[first:last], g[first:last], y[first:last], more[first:last]
    whole = carray(data[10], (count, lanes), np.float32)[first:last]
    for row in range(len(own)):
        for lane in range(lanes):
            value = own[row, lane]
            passed = np.float32(0) if value * scale[lane] + shift[lane] <= least else gradients[row, lane]
            into[row, lane] = passed * scale[lane] + (value * slope[lane] + constant[lane])
        if wide == channels:  # side by side in memory
            for lane in range(lanes):
                into[row, lane] += whole[row, lane]
        elif wide:
            for place in range(places):
                for channel in range(channels):
                    into[row, place * channels + channel] += added[row, place, begin + channel]
