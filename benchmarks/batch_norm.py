"""Batch norm with its ReLU in a training step on a CPU: PyTorch's beside compiled loops.

    python -m benchmarks.batch_norm [--threads 1 2] [--batch 32]

A row is forward and backward pass of maps of so many channels and so many cells a side, of each in turns, and the
median of a hundred. The loops run on one thread whatever there are; `nasface.nets.layers.batch_norm` says where
networks train with them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.common import run_benchmark
from nasface.nets.layers.batch_norm_cpu import BatchNorm, Running
from nasface.report.tables import text_table
from nasface.utils.compute_threads import torch_threads
from nasface.utils.files import write_json

SHAPES = ((40, 16), (32, 16), (20, 16), (16, 16), (10, 16), (8, 16), (48, 8), (30, 8), (24, 8), (64, 4))
"""Channels and cells a side, as members of a space have them at 64 pixels."""


def pytorch(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    return F.relu(norm(x), inplace=True)


def compiled(norm: Any, x: Tensor) -> Tensor:
    running = Running(norm.running_mean, norm.running_var, norm.num_batches_tracked, 0.1)
    found = BatchNorm.apply(x, norm.weight, norm.bias, norm.eps, True, running)
    assert isinstance(found, Tensor)
    return found


WAYS: tuple[Callable[[Any, Tensor], Tensor], ...] = (pytorch, compiled)


def microseconds(batch: int, channels: int, side: int, passes: int = 100) -> list[float]:
    """Of a forward and backward pass by PyTorch and by the loops."""
    norm = nn.BatchNorm2d(channels)
    x = torch.randn(batch, channels, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()
    gradient = torch.randn_like(x)
    seconds: list[list[float]] = [[] for _ in WAYS]
    for _ in range(passes):
        for way, taken in zip(WAYS, seconds, strict=True):
            start = time.perf_counter()
            torch.autograd.grad(way(norm, x), [x, norm.weight, norm.bias], gradient)
            taken.append(time.perf_counter() - start)
    return [1e6 * median(taken) for taken in seconds]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of PyTorch")
    parser.add_argument("--batch", type=int, default=32, help="faces")
    parser.add_argument("--json", default="runs/benchmarks/batch_norm.json", help="file of the figures")
    given = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for threads in given.threads:
        with torch_threads(threads):
            for channels, side in SHAPES:
                theirs, ours = microseconds(given.batch, channels, side)
                rows.append({"threads": threads, "channels": channels, "side": side, "pytorch": theirs, "loops": ours})
    body = [
        [
            str(row["threads"]),
            str(row["channels"]),
            f"{row['side']} x {row['side']}",
            f"{row['pytorch']:.0f} us",
            f"{row['loops']:.0f} us",
            f"{row['pytorch'] / row['loops']:.1f} x",
        ]
        for row in rows
    ]
    print(text_table(["threads", "channels", "cells", "PyTorch", "loops", "gain"], body))
    write_json(Path(given.json), {"batch": given.batch, "rows": rows})
    print(f"figures  {given.json}")


if __name__ == "__main__":
    run_benchmark(main)
