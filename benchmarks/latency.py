"""Time of one image through the searched network and every candidate: PyTorch and onnxruntime, one thread and all.

    python -m benchmarks.latency [--arch best.json] [--scale 1] [--repeats 20] [--experiment NAME]

All in one run on one machine, one network after another; the least time of each is kept, which a busy moment does not
touch. Weights are random: they do not change the time. What takes long is the exporter, some ten seconds a network:
it runs first, in one process a core.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jsonargparse.typing import PositiveFloat, PositiveInt

from benchmarks.common import Option, parse, run_benchmark
from nasface.config import MultipathConfig
from nasface.inference.export import onnx_bytes, onnx_session
from nasface.nets.cost import count_macs, count_parameters, least_time
from nasface.nets.multipath import MemberSpec
from nasface.nets.network import NetworkSpec
from nasface.nets.registry import NETWORKS, BaselineSpec
from nasface.pipelines.architectures import member
from nasface.report.tables import NOTHING, milliseconds, quantity, text_table
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError, first_line
from nasface.utils.files import write_json
from nasface.utils.progress import stage_bar

OPTIONS = (
    Option("arch", str, "best.json", "the searched network; nothing of it where the file does not exist"),
    Option("networks", str, "", "fixed networks, separated by commas; all of `nasface list` where empty"),
    Option("scale", PositiveFloat, 1.0, "multiplier of the fixed networks' widths"),
    Option("repeats", PositiveInt, 20, "images a network, runtime and number of threads"),
    Option("json", str, "runs/benchmarks/latency.json", "where the figures go"),
)


def images(spec: NetworkSpec, count: int) -> torch.Tensor:
    """Random images (B, 3, S, S)."""
    return torch.rand(count, 3, spec.input_size, spec.input_size) * 2 - 1


def for_inference(spec: NetworkSpec) -> torch.nn.Module:
    """The network with random weights."""
    return spec.build().eval().requires_grad_(False)


def main(arguments: Sequence[str]) -> None:
    """Export, measure, print, write."""
    settings = parse(__doc__.splitlines()[0], OPTIONS, arguments)
    own, sizes = settings.own, settings.experiment.network
    specs, reasons = _specs(own, sizes)
    cores = available_cores()
    with TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{number}.onnx" for number, name in enumerate(specs)}
        reasons += export_all([(specs[name], name, file) for name, file in files.items()], cores)
        rows = []
        with stage_bar("measuring", len(specs)) as bar:
            for name, spec in specs.items():
                rows.append({"name": name, **measure(spec, files[name], (1, cores), int(own["repeats"]))})
                bar.update()
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


def _specs(own: dict, sizes: MultipathConfig) -> tuple[dict[str, NetworkSpec], list[str]]:
    """The networks by name, and why others are left out (sizes that a network does not take)."""
    found: dict[str, NetworkSpec] = {}
    reasons = []
    if Path(own["arch"]).exists() or own["arch"].startswith("preset/"):
        found["searched"] = MemberSpec(member(own["arch"]), sizes)
    names = own["networks"].split(",") if own["networks"] else NETWORKS.names()
    for name in names:
        NETWORKS.get(name)
        spec = BaselineSpec(name, sizes.input_size, sizes.map_size, float(own["scale"]))
        try:
            spec.build()
        except UserError as error:
            reasons.append(f"{name}: {error}")
        else:
            found[name] = spec
    return found, reasons


def export_all(jobs: Sequence[tuple[NetworkSpec, str, Path]], workers: int) -> list[str]:
    """Write every network as ONNX, and say what the exporter does not take.

    Raises:
        UserError: a package is missing.
    """
    reasons = []
    context = multiprocessing.get_context("spawn")  # a forked process would inherit torch's threads
    with ProcessPoolExecutor(workers, context) as pool, stage_bar("exporting to ONNX", len(jobs)) as bar:
        for reason in pool.map(_export, jobs):
            reasons += [reason] if reason else []
            bar.update()
    return reasons


def _export(job: tuple[NetworkSpec, str, Path]) -> str | None:
    spec, name, file = job
    torch.set_num_threads(1)
    network, batch = for_inference(spec), images(spec, 2)
    with torch.inference_mode():
        output = network(batch)
    names = [f"output{k}" for k in range(len(output) if isinstance(output, tuple | list) else 1)]
    try:
        file.write_bytes(onnx_bytes(network, batch, names))
    except UserError:
        raise
    except Exception as error:  # the exporter has many exceptions for what it cannot follow
        return f"{name}: not exported ({first_line(error)})"
    return None


def measure(spec: NetworkSpec, file: Path, threads: Sequence[int], repeats: int) -> dict:
    """Costs, and milliseconds of one image: PyTorch, then onnxruntime (None where there is no file), each at every
    number of threads."""
    network, image = for_inference(spec), images(spec, 1)
    before = torch.get_num_threads()
    times: list[float | None] = []
    try:
        for count in threads:
            torch.set_num_threads(count)
            with torch.inference_mode():
                times.append(least_time(lambda: network(image), repeats))
    finally:
        torch.set_num_threads(before)
    feed = {"image": image.numpy()}
    for count in threads:
        session = onnx_session(file, count) if file.exists() else None
        times.append(None if session is None else least_time(partial(session.run, None, feed), repeats))
    macs = count_macs(network, spec.input_size)
    return {"parameters": count_parameters(network), "macs": macs, "milliseconds": times}


if __name__ == "__main__":
    run_benchmark(main)
