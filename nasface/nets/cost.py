"""What a network costs: parameters, multiply-adds, latency.

A multiply-add (MAC) is one multiplication and addition of a convolution or linear layer: half of what torch's
FlopCounterMode counts, by the same formulas.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from nasface.utils.compute_threads import torch_threads

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
        parameters=count_parameters(network),
        macs=count_macs(network, input_size),
        latency_ms=cpu_latency(network, input_size, repeats),
    )


def count_parameters(module: nn.Module) -> int:
    """Numbers that training may change; buffers are none of them."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(network: nn.Module, input_size: int, channels: int = 3) -> int:
    """Multiply-adds for one image (1, channels, S, S) of a network in evaluation mode; what it computes does not
    matter."""
    with _MultiplyAdds() as counter, torch.no_grad():
        network(torch.zeros(1, channels, input_size, input_size, device=next(network.parameters()).device))
    return counter.flops // 2


class _NoValues(TorchDispatchMode):
    _FILLING = (aten.normal_, aten.uniform_, aten.zero_, aten.fill_)

    def __torch_dispatch__(
        self, function: Any, types: Iterable[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if function._overloadpacket in self._FILLING else function(*args, **(kwargs or {}))


@contextmanager
def on_meta() -> Iterator[None]:
    """Networks that are built within have no values, only shapes: on torch's meta device, and without filling new
    parameters, which would take most of the time there."""
    with torch.device("meta"), _NoValues():
        yield


class _MultiplyAdds(TorchDispatchMode):
    """Adds up the operations for which torch has a formula, and skips those that keep a tensor's shape and have none:
    batch norms, ReLUs and sums are most of the operations, and slow on the meta device."""

    _KEEPING = (aten.relu, aten.relu_, aten.leaky_relu, aten.add, aten.sub, aten.mul, aten.div)

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(
        self, function: Any, types: Iterable[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        operation = function._overloadpacket
        if operation in self._KEEPING and _keeps(*args[:2]):
            return args[0]
        if operation is aten.native_batch_norm:
            return args[0], args[0].new_empty(0), args[0].new_empty(0)  # the statistics are for training
        result = function(*args, **(kwargs or {}))
        if operation in flop_registry:
            self.flops += flop_registry[operation](*args, **(kwargs or {}), out_val=result)
        return result


def _keeps(one: torch.Tensor, other: Any = None) -> bool:
    """Whether an operation by elements leaves shape and type of `one`."""
    return one.is_floating_point() and (not isinstance(other, torch.Tensor) or other.shape == one.shape)


def cpu_latency(network: nn.Module, input_size: int, repeats: int = 30, threads: int = 1) -> float:
    """Median time of one image in milliseconds on `threads` CPU threads."""
    network = network.cpu().eval()
    image = torch.zeros(1, 3, input_size, input_size)
    times = []
    with torch_threads(threads), torch.inference_mode():
        for _ in range(repeats + 5):
            start = time.perf_counter()
            network(image)
            times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[5:])


def least_time(run: Callable[[], object], repeats: int) -> float:
    """The least milliseconds of `run` after two that do not count."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * min(times[2:])
