"""What a network costs: parameters, multiply-adds, latency.

A multiply-add (MAC) is one multiplication and addition of a convolution or linear layer: half of what torch's
FlopCounterMode counts, by the same formulas.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from nasface.config import MultipathConfig
from nasface.nets.multipath import HPM_BLOCK, IDENTITY
from nasface.space.space import Architecture, MultipathSpace

Place = tuple[int, int, int]

aten = torch.ops.aten


@dataclass(frozen=True)
class Cost:
    """Parameters, multiply-adds for one image, and median CPU latency of one image in milliseconds."""

    parameters: int
    macs: int
    latency_ms: float


def measure_cost(network: nn.Module, input_size: int, repeats: int = 30) -> Cost:
    """Cost of a network that takes (1, 3, S, S); latency on one thread, warmed up, in evaluation mode."""
    network = network.eval()
    return Cost(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=count_macs(network, input_size),
        latency_ms=cpu_latency(network, input_size, repeats),
    )


def count_macs(network: nn.Module, input_size: int) -> int:
    """Multiply-adds for one image of a network in evaluation mode; of no matter is what it computes."""
    with _MultiplyAdds() as counter, torch.no_grad():
        network(torch.zeros(1, 3, input_size, input_size, device=next(network.parameters()).device))
    return counter.flops // 2


class NoValues(TorchDispatchMode):
    """Leaves new parameters as they are allocated: on the meta device, filling them with nothing takes most of the time
    of building a network."""

    _FILLING = (aten.normal_, aten.uniform_, aten.zero_, aten.fill_)

    def __torch_dispatch__(
        self, function: Any, types: Iterable[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if function._overloadpacket in self._FILLING else function(*args, **(kwargs or {}))


class _MultiplyAdds(TorchDispatchMode):
    """Adds up the operations for which torch has a formula, and skips those that keep a tensor's shape and have none:
    batch norms and ReLUs are most of the operations, and slow on the meta device."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(
        self, function: Any, types: Iterable[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        operation = function._overloadpacket
        if operation in (aten.relu, aten.relu_):
            return args[0]
        if operation is aten.native_batch_norm:
            return args[0], args[0].new_empty(0), args[0].new_empty(0)  # the statistics are for training
        result = function(*args, **(kwargs or {}))
        if operation in flop_registry:
            self.flops += flop_registry[operation](*args, **(kwargs or {}), out_val=result)
        return result


def cpu_latency(network: nn.Module, input_size: int, repeats: int = 30, threads: int = 1) -> float:
    """Median time of one image in milliseconds on `threads` CPU threads."""
    network = network.cpu().eval()
    image = torch.zeros(1, 3, input_size, input_size)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    times = []
    try:
        with torch.inference_mode():
            for _ in range(repeats + 5):
                start = time.perf_counter()
                network(image)
                times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    return 1000 * statistics.median(times[5:])


def connection_macs(space: MultipathSpace, config: MultipathConfig) -> dict[Place, dict[int, int]]:
    """Multiply-adds of every connection by operation code, for one image."""
    finest, widths = config.input_size // config.stem_stride, config.scale_widths(space.scales)
    table: dict[Place, dict[int, int]] = {}
    for gap in range(space.layers):
        sources, targets = space.gap_shape(gap)
        for source in range(sources):
            for target in range(targets):
                start = source if gap > 0 else space.scales - 1
                end = target if gap < space.layers - 1 else space.scales - 1
                table[gap, source, target] = _connection_macs(space, widths, finest, start, end)
    return table


def _connection_macs(space: MultipathSpace, widths: list[int], finest: int, start: int, end: int) -> dict[int, int]:
    sides = [finest >> (space.scales - 1 - scale) for scale in (start, end)]
    width = widths[start]
    half, quarter = width // 2, width // 4
    hpm = sides[0] ** 2 * 9 * (width * half + half * quarter + quarter * quarter)
    # A cell of the finer scale meets one of the coarser once, whichever way the connection goes.
    resample = 0 if start == end else max(sides) ** 2 * width * widths[end]
    return {IDENTITY: resample, HPM_BLOCK: resample + hpm}


def head_macs(config: MultipathConfig, width: int) -> int:
    """Multiply-adds of the head for one image."""
    finest = config.input_size // config.stem_stride
    factor = config.map_size // finest
    return finest**2 * config.head_width * (9 * width + 3 * factor**2)


def stem_macs(config: MultipathConfig, width: int) -> int:
    """Multiply-adds of the stem for one image."""
    side, inputs, total = config.input_size, 5, 0
    for outputs in config.stem_widths(width):
        side //= 2
        total += side**2 * 9 * inputs * outputs
        inputs = outputs
    return total


def architecture_macs(architecture: Architecture, config: MultipathConfig) -> int:
    """Multiply-adds of a derived child for one image, from the table; equal to `count_macs` of the built network."""
    space = architecture.space
    table = connection_macs(space, config)
    width = config.scale_widths(space.scales)[-1]
    connections = sum(
        table[gap, source, target][operation] for gap, source, target, operation in architecture.canonical.connections()
    )
    return connections + stem_macs(config, width) + head_macs(config, width)
