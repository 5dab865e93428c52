"""Time of one image through the searched network and every candidate: PyTorch and onnxruntime, one thread and all.

    python -m benchmarks.latency [--arch best.json] [--scale 1] [--repeats 20] [--experiment NAME]

All in one run on one machine; the least time of each is kept, which a busy moment does not touch. Weights are random:
they do not change the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from jsonargparse.typing import PositiveFloat, PositiveInt
from torch import nn

from benchmarks.common import parse, run_benchmark
from nasface.commands.architectures import member
from nasface.commands.command import Option
from nasface.cores import available_cores
from nasface.errors import UserError
from nasface.inference.export import onnx_bytes, onnx_session
from nasface.nets.cost import measure_cost
from nasface.nets.multipath import MultipathConfig, MultipathNetwork
from nasface.registry import create_network, network_names
from nasface.report.tables import NOTHING, milliseconds, quantity, text_table
from nasface.workflow import write_json

OPTIONS = (
    Option("arch", str, "best.json", "the searched network; nothing of it where the file does not exist"),
    Option("networks", str, "", "fixed networks, separated by commas; all of `nasface list` where empty"),
    Option("scale", PositiveFloat, 1.0, "multiplier of the fixed networks' widths"),
    Option("repeats", PositiveInt, 20, "images a network, runtime and number of threads"),
    Option("json", str, "runs/benchmarks/latency.json", "where the figures go"),
)


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write."""
    settings = parse(__doc__.splitlines()[0], OPTIONS, arguments)
    own, sizes = settings.own, settings.experiment.network
    cores = available_cores()
    rows, reasons = [], []
    for name, make in _networks(own, sizes).items():
        try:
            rows.append({"name": name, **measure(make().eval(), sizes.input_size, (1, cores), int(own["repeats"]))})
        except UserError as error:
            reasons.append(f"{name}: {error}")
    print(f"one image of {sizes.input_size} x {sizes.input_size} pixels, least of {own['repeats']}; {cores} cores\n")
    names = [f"{runtime}, {threads}" for runtime in ("PyTorch", "onnxruntime") for threads in ("1 thread", "all")]
    body = [
        [
            row["name"],
            quantity(row["parameters"]),
            quantity(row["macs"]),
            *(NOTHING if value is None else milliseconds(value) for value in row["milliseconds"]),
        ]
        for row in rows
    ]
    print(text_table(["", "parameters", "MACs", *names], body))
    print("".join(f"\n{reason}" for reason in reasons), end="\n" if reasons else "")
    write_json(Path(own["json"]), {"input_size": sizes.input_size, "cores": cores, "columns": names, "rows": rows})


def _networks(own: dict, sizes: MultipathConfig) -> dict[str, Callable[[], nn.Module]]:
    found: dict[str, Callable[[], nn.Module]] = {}
    if Path(own["arch"]).exists() or own["arch"].startswith("preset/"):
        architecture = member(own["arch"])
        found["searched"] = lambda: MultipathNetwork(architecture, sizes)
    names = own["networks"].split(",") if own["networks"] else network_names()
    for name in names:
        found[name] = lambda name=name: create_network(name, sizes.input_size, sizes.map_size, float(own["scale"]))
    return found


def measure(network: nn.Module, size: int, threads: Sequence[int], repeats: int) -> dict:
    """Costs, and milliseconds of one image: PyTorch, then onnxruntime (None where it does not take the network), each
    at every number of threads."""
    network.requires_grad_(False)
    image = torch.rand(1, 3, size, size) * 2 - 1
    cost, before = measure_cost(network, size), torch.get_num_threads()
    times: list[float | None] = []
    try:
        for count in threads:
            torch.set_num_threads(count)
            with torch.inference_mode():
                times.append(least_time(lambda: network(image), repeats))
    finally:
        torch.set_num_threads(before)
    try:
        content = onnx_bytes(network, torch.cat([image, image]), _names(network, image))
    except UserError:
        raise
    except Exception:  # the exporter has many exceptions for what it cannot follow
        content = None
    feed = {"image": image.numpy()}
    for count in threads:
        session = None if content is None else onnx_session(content, count)
        times.append(None if session is None else least_time(partial(session.run, None, feed), repeats))
    return {"parameters": cost.parameters, "macs": cost.macs, "milliseconds": times}


def _names(network: nn.Module, image: torch.Tensor) -> list[str]:
    with torch.no_grad():
        output = network(image)
    return [f"output{k}" for k in range(len(output) if isinstance(output, tuple | list) else 1)]


def least_time(run: Callable[[], object], repeats: int) -> float:
    """The least milliseconds of `run` after two that do not count."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * min(times[2:])


if __name__ == "__main__":
    run_benchmark(main)
