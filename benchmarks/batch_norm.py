"""Batch norm with its ReLU, and the HPM block, in a training step on a CPU: PyTorch's layers beside compiled loops.

    python -m benchmarks.batch_norm [--threads 1 2] [--batch 32]

A row is forward and backward pass of maps of so many channels and so many cells a side, of each in turns, and the
median of a hundred. `nasface.nets.layers.batch_norm` says where networks train with the loops.
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
from nasface.nets.layers.blocks import HPM
from nasface.nets.layers.hpm_cpu import hpm_on_cpu
from nasface.nets.network import channels_last
from nasface.report.tables import text_table
from nasface.utils.compute_threads import torch_threads
from nasface.utils.files import write_json
from nasface.utils.kept_memory import keep_freed_memory

SHAPES = ((40, 16), (32, 16), (20, 16), (16, 16), (10, 16), (8, 16), (48, 8), (30, 8), (24, 8), (64, 4))
"""Channels and cells a side, as members of a space have them at 64 pixels."""
BLOCKS = ((40, 16), (32, 16), (60, 8), (48, 8), (80, 4), (64, 4))
"""Those of its HPM blocks."""


def norm_layers(norm: Any, x: Tensor) -> Tensor:
    return F.relu(norm(x), inplace=True)


def norm_loops(norm: Any, x: Tensor) -> Tensor:
    found = BatchNorm.apply(x, norm.weight, norm.bias, norm.eps, True, Running.of(norm))
    assert isinstance(found, Tensor)
    return found


def block_layers(block: Any, x: Tensor) -> Tensor:
    parts = [x]
    for norm, conv in block.stages:
        parts.append(conv(norm_layers(norm, parts[-1])))
    return x + torch.cat(parts[1:], 1)


def block_loops(block: Any, x: Tensor) -> Tensor:
    return hpm_on_cpu(x, block.stages)


Way = Callable[[Any, Tensor], Tensor]
PARTS: dict[str, tuple[Callable[[int], nn.Module], tuple[Way, Way]]] = {
    "batch norm": (nn.BatchNorm2d, (norm_layers, norm_loops)),
    "HPM block": (HPM, (block_layers, block_loops)),
}
"""What is compared: how it is made for so many channels, and its two ways."""


def microseconds(part: str, batch: int, channels: int, side: int, passes: int = 100) -> list[float]:
    """Of a forward and backward pass by PyTorch's layers and by the loops."""
    make, ways = PARTS[part]
    module = channels_last(make(channels))
    x = torch.randn(batch, channels, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()
    gradient = torch.randn_like(x)
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(passes):
        for way, taken in zip(ways, seconds, strict=True):
            start = time.perf_counter()
            torch.autograd.grad(way(module, x), [x, *module.parameters()], gradient)
            taken.append(time.perf_counter() - start)
    return [1e6 * median(taken) for taken in seconds]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of PyTorch")
    parser.add_argument("--batch", type=int, default=32, help="faces")
    parser.add_argument("--json", default="runs/benchmarks/batch_norm.json", help="file of the figures")
    given = parser.parse_args(arguments)
    keep_freed_memory()  # as trainings do
    rows: list[dict[str, Any]] = []
    for threads in given.threads:
        with torch_threads(threads):
            for part, shapes in (("batch norm", SHAPES), ("HPM block", BLOCKS)):
                for channels, side in shapes:
                    theirs, ours = microseconds(part, given.batch, channels, side)
                    place = {"threads": threads, "part": part, "channels": channels, "side": side}
                    rows.append({**place, "pytorch": theirs, "loops": ours})
    body = [
        [
            str(row["threads"]),
            row["part"],
            str(row["channels"]),
            f"{row['side']} x {row['side']}",
            f"{row['pytorch']:.0f} us",
            f"{row['loops']:.0f} us",
            f"{row['pytorch'] / row['loops']:.1f} x",
        ]
        for row in rows
    ]
    print(text_table(["threads", "part", "channels", "cells", "PyTorch", "loops", "gain"], body))
    write_json(Path(given.json), {"batch": given.batch, "rows": rows})
    print(f"figures  {given.json}")


if __name__ == "__main__":
    run_benchmark(main)
