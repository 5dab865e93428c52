"""Speed of the synthetic faces: drawing them with all their labels, and what a training step waits for the next batch.

    python -m benchmarks.data [--experiment NAME] [--faces 100] [--steps 20]

Drawing is timed in one process by its own processor time, so that other work on the machine does not count: UV map,
landmarks and visibility of every vertex included. A core's rate times the number of cores is what `nasface data build`
approaches, whose processes share nothing.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.common import parse, run_benchmark
from nasface.commands.command import Option
from nasface.config import Experiment
from nasface.data.module import FaceDataModule, prepare_batch
from nasface.data.synthetic import build_synthetic, draw_face
from nasface.faces.morphable import load_embedded_head
from nasface.faces.uv import position_map, uv_basis
from nasface.nets.multipath import MultipathNetwork
from nasface.report.tables import text_table
from nasface.space.space import load_space
from nasface.tasks.uv import uv_loss
from nasface.workflow import write_json

SIZES = (64, 128, 256)
AIMS = {64: 75.0, 128: 40.0}
"""Faces a second of one core: half of what two cores are meant to reach."""
_BATCH = 20  # faces whose UV maps are made together
OPTIONS = (
    Option("faces", int, 100, "faces that are drawn at each size"),
    Option("steps", int, 20, "training steps that are timed"),
    Option("json", str | None, None, "file of the figures; RUNS/benchmarks/data.json where empty"),
)


@dataclass(frozen=True)
class DrawingRate:
    """Faces a second of one core at `size` pixels: `draw` without UV maps, `labelled` with maps of that size."""

    size: int
    draw: float
    labelled: float


@dataclass(frozen=True)
class Waiting:
    """Milliseconds of a training step: waiting for the batch, moving and augmenting it, forward to update."""

    fetch_ms: float
    augment_ms: float
    train_ms: float

    @property
    def share(self) -> float:
        """Of the step's time that goes to waiting for the batch."""
        return self.fetch_ms / (self.fetch_ms + self.augment_ms + self.train_ms)


def drawing_rate(size: int, count: int) -> DrawingRate:
    """Time `count` faces by processor time, after some to warm up."""
    basis = uv_basis(load_embedded_head(), size)

    def draw(first: int, last: int) -> tuple[float, float]:
        start = time.process_time()
        faces = [draw_face(0, "train", index, size) for index in range(first, last)]
        drawn = time.process_time()
        position_map(basis, np.stack([f.coefficients for f in faces]), np.stack([f.pose for f in faces]))
        return drawn - start, time.process_time() - start

    draw(0, min(_BATCH, count))
    times = np.array([draw(first, min(first + _BATCH, count)) for first in range(0, count, _BATCH)]).sum(axis=0)
    return DrawingRate(size, *(count / times))


def waiting(experiment: Experiment, steps: int, cache: Path) -> Waiting:
    """Time the parts of training steps of one network, a uniform random member, on cached faces."""
    space, size = load_space(experiment.space), experiment.network.input_size
    faces = build_synthetic(cache, "train", 512, size, seed=0, workers=1)
    settings = experiment.retrain
    module = FaceDataModule(faces, faces, None, settings.batch_size, steps + 1, experiment.seed, settings.augmentation)
    member = space.random_architecture(np.random.default_rng([experiment.seed, 3]))
    network = MultipathNetwork(member, experiment.network).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-6)
    side = experiment.network.map_size
    target, weight = torch.zeros(3, side, side), torch.ones(side, side)
    batches, parts = iter(module.train_dataloader()), []
    for _ in range(steps + 1):
        batch, fetch = _timed(lambda: next(batches))
        batch, augmented = _timed(lambda batch=batch: prepare_batch(batch, settings.augmentation))

        def step(image: torch.Tensor = batch["image"]) -> None:
            optimizer.zero_grad(set_to_none=True)
            uv_loss(network(image), target, weight, settings.loss).backward()
            optimizer.step()

        parts.append((fetch, augmented, _timed(step)[1]))
    return Waiting(*(1000 * np.median(parts[1:], axis=0)).tolist())


def _timed(work: Callable[[], object]) -> tuple[object, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def main(arguments: Sequence[str]) -> int:
    parsed = parse(__doc__.splitlines()[0], OPTIONS, arguments)
    experiment, count = parsed.experiment, max(parsed.own["faces"], 1)
    cv2.setNumThreads(1)
    rates = [drawing_rate(size, count) for size in SIZES]
    body = [
        [f"{r.size} x {r.size}", f"{r.draw:.0f}", f"{r.labelled:.0f}", f"{AIMS[r.size]:.0f}" if r.size in AIMS else ""]
        for r in rates
    ]
    print(f"faces a second of one core, over {count} faces ({os.cpu_count()} cores here)\n")
    print(text_table(["", "drawn", "with UV map", "aim"], body))
    with tempfile.TemporaryDirectory() as cache:
        step = waiting(experiment, max(parsed.own["steps"], 1), Path(cache))
    print(
        f"\na training step of {experiment.retrain.batch_size} faces: batch {step.fetch_ms:.1f} ms, augmentation"
        f" {step.augment_ms:.1f} ms, training {step.train_ms:.1f} ms; {100 * step.share:.1f} % of it waits for data"
    )
    output = Path(parsed.own["json"] or Path(experiment.runs, "benchmarks", "data.json"))
    write_json(output, {"rates": [asdict(r) for r in rates], "step": asdict(step) | {"waiting": step.share}})
    print(f"figures  {output}")
    return 0


if __name__ == "__main__":
    run_benchmark(main)
