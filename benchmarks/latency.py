"""Time of one image through the searched network and every candidate: PyTorch and onnxruntime, one thread and all.

    python -m benchmarks.latency [--arch best.json] [--scale 1] [--repeats 20] [--experiment NAME]
    python -m benchmarks.latency --weights runs/NAME,data/3ddfa/mb05_120x120.pth

All in one run on one machine, one network after another; the least time of each is kept, which a busy moment does not
touch. Weights are random: they do not change the time. What takes long is the exporter, some ten seconds a network:
it runs first, in one process a core.

Trained networks (`--weights`) have two rows each: the network alone, whose output may be a map or sixty parameters, and
what `nasface export` makes of it, which gives landmarks, dense map and pose whatever the network answers.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jsonargparse.typing import PositiveFloat, PositiveInt
from torch import nn

from benchmarks.common import Option, parse, run_benchmark
from nasface.config import MultipathConfig
from nasface.inference.export import ExportedNetwork, onnx_bytes, onnx_session
from nasface.inference.trained import load_task
from nasface.nets.cost import count_macs, count_parameters, least_time
from nasface.nets.multipath import MemberSpec
from nasface.nets.network import NetworkSpec
from nasface.nets.registry import NETWORKS, BaselineSpec
from nasface.pipelines.architectures import member
from nasface.report.tables import NOTHING, milliseconds, quantity, text_table
from nasface.utils.compute_threads import torch_threads
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError, first_line
from nasface.utils.files import write_json
from nasface.utils.progress import stage_bar

OPTIONS = (
    Option("arch", str, "best.json", "the searched network; nothing of it where the file does not exist"),
    Option("networks", str, "", "fixed networks, separated by commas; all of `nasface list` where empty"),
    Option("scale", PositiveFloat, 1.0, "multiplier of the fixed networks' widths"),
    Option("weights", str, "", "trained or published networks in the place of all others, separated by commas"),
    Option("repeats", PositiveInt, 20, "images a network, runtime and number of threads"),
)


@dataclass(frozen=True)
class Subject:
    """What is measured: a network of a `spec` with random weights, or that of a file, alone or `whole`, as it is
    exported."""

    spec: NetworkSpec | None = None
    weights: str = ""
    whole: bool = False

    def build(self) -> tuple[nn.Module, int]:
        """The network, and the side of its images in pixels."""
        if self.spec is not None:
            return self.spec.build().eval().requires_grad_(False), self.spec.input_size
        trained = load_task(self.weights)
        exported = ExportedNetwork(trained).eval()
        return exported if self.whole else trained.task.network.requires_grad_(False), trained.input_size


def images(side: int, count: int) -> torch.Tensor:
    """Random images (B, 3, S, S)."""
    return torch.rand(count, 3, side, side) * 2 - 1


def main(arguments: Sequence[str]) -> None:
    """Export, measure, print, write."""
    settings = parse(__doc__.splitlines()[0], OPTIONS, arguments, "latency")
    own, sizes = settings.own, settings.experiment.network
    subjects, reasons = _trained(own["weights"]) if own["weights"] else _subjects(own, sizes)
    cores = available_cores()
    with TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{number}.onnx" for number, name in enumerate(subjects)}
        reasons += export_all([(subjects[name], name, file) for name, file in files.items()], cores)
        rows = []
        with stage_bar("measuring", len(subjects)) as bar:
            for name, subject in subjects.items():
                rows.append({"name": name, **measure(subject, files[name], (1, cores), int(own["repeats"]))})
                bar.update()
    size = "its own size" if own["weights"] else f"{sizes.input_size} x {sizes.input_size} pixels"
    print(f"one image of {size}, least of {own['repeats']}; {cores} cores\n")
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
    write_json(own["json"], {"input_size": sizes.input_size, "cores": cores, "columns": names, "rows": rows})


def _trained(weights: str) -> tuple[dict[str, Subject], list[str]]:
    """The networks of files, each alone and whole."""
    found = {}
    for name in weights.split(","):
        found[name] = Subject(weights=name)
        found[f"{name}, exported"] = Subject(weights=name, whole=True)
    return found, []


def _subjects(own: dict, sizes: MultipathConfig) -> tuple[dict[str, Subject], list[str]]:
    """The networks by name, and why others are left out (sizes that a network does not take)."""
    found: dict[str, Subject] = {}
    reasons = []
    if Path(own["arch"]).exists() or own["arch"].startswith("preset/"):
        found["searched"] = Subject(MemberSpec(member(own["arch"]), sizes))
    names = own["networks"].split(",") if own["networks"] else NETWORKS.names()
    for name in names:
        NETWORKS.get(name)
        spec = BaselineSpec(name, sizes.input_size, sizes.map_size, float(own["scale"]))
        try:
            spec.build()
        except UserError as error:
            reasons.append(f"{name}: {error}")
        else:
            found[name] = Subject(spec)
    return found, reasons


def export_all(jobs: Sequence[tuple[Subject, str, Path]], workers: int) -> list[str]:
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


def _export(job: tuple[Subject, str, Path]) -> str | None:
    subject, name, file = job
    torch.set_num_threads(1)
    network, side = subject.build()
    batch = images(side, 2)
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


def measure(subject: Subject, file: Path, threads: Sequence[int], repeats: int) -> dict:
    """Costs, and milliseconds of one image: PyTorch, then onnxruntime (None where there is no file), each at every
    number of threads."""
    network, side = subject.build()
    image = images(side, 1)
    times: list[float | None] = []
    for count in threads:
        with torch_threads(count), torch.inference_mode():
            times.append(least_time(lambda: network(image), repeats))
    feed = {"image": image.numpy()}
    for count in threads:
        session = onnx_session(file, count) if file.exists() else None
        times.append(None if session is None else least_time(partial(session.run, None, feed), repeats))
    macs = count_macs(network, side)
    return {"parameters": count_parameters(network), "macs": macs, "milliseconds": times}


if __name__ == "__main__":
    run_benchmark(main)
