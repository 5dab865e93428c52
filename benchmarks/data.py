"""Speed of the synthetic faces: drawing them with all their labels, and what a training step waits for the next batch.

    python -m benchmarks.data [--experiment NAME] [--faces 100] [--steps 20]

Drawing is timed in one process by its own processor time, so that other work on the machine does not count, and by the
clock: UV map, landmarks and visibility of every vertex included. Then as many processes as there are cores draw at the
same time, as in `nasface data build`: their faces a second together by the clock, and each one's processor time for a
face, which shows whether it was the machine that was busy.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.common import Option, parse, run_benchmark
from nasface.config import Experiment
from nasface.data.module import BatchSettings, FaceDataModule, prepare_batch
from nasface.faces.morphable import load_embedded_head
from nasface.faces.uv import position_map, uv_basis
from nasface.nets.multipath import MultipathNetwork
from nasface.rendering.synthetic import SyntheticFaces, build_synthetic, draw_face
from nasface.report.tables import text_table
from nasface.space.catalogue import load_space
from nasface.training.targets.uv import uv_loss
from nasface.utils.cores import available_cores
from nasface.utils.files import write_json
from nasface.utils.image_workers import in_processes

SIZES = (64, 128, 256)
AIMS = {64: 150.0, 128: 80.0}
"""Faces a second that two cores are meant to reach."""
STILLS = 512
"""Faces that training steps are timed on."""
_BATCH = 20  # faces whose UV maps are made together
OPTIONS = (
    Option("faces", int, 100, "faces that are drawn at each size"),
    Option("steps", int, 20, "training steps that are timed"),
)


@dataclass(frozen=True)
class DrawingRate:
    """How fast faces of `size` pixels are drawn.

    Attributes:
        draw: faces a second of one core's processor time, without UV maps.
        labelled: the same with maps of that size.
        wall: the same by the clock.
        together: faces a second by the clock of `processes` processes, with maps.
        cpu_ms: processor time of a face in each of them, milliseconds.
    """

    size: int
    draw: float
    labelled: float
    wall: float
    together: float
    processes: int
    cpu_ms: tuple[float, ...]


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


def drawing_rate(size: int, count: int, processes: int) -> DrawingRate:
    """Time `count` faces in this process, then in each of several, after some to warm up."""
    basis = uv_basis(load_embedded_head(), size)

    def draw(first: int) -> np.ndarray:
        """Seconds of `count` faces from `first`: drawing and all by processor time, all by the clock."""
        times = np.zeros(3)
        for start in range(first, first + count, _BATCH):
            clock, busy = time.perf_counter(), time.process_time()
            faces = [draw_face(0, "train", i, size) for i in range(start, min(start + _BATCH, first + count))]
            drawn = time.process_time()
            position_map(basis, np.stack([f.coefficients for f in faces]), np.stack([f.pose for f in faces]))
            times += drawn - busy, time.process_time() - busy, time.perf_counter() - clock
        return times

    for index in range(min(_BATCH, count)):
        draw_face(0, "train", index, size)
    alone = draw(0)
    several = list(in_processes(draw, [number * count for number in range(processes)], processes))
    slowest = max(wall for _, _, wall in several)
    cpu_ms = tuple(float(1000 * cpu / count) for _, cpu, _ in several)
    return DrawingRate(size, *(count / alone).tolist(), float(processes * count / slowest), processes, cpu_ms)


def waiting(experiment: Experiment, steps: int, cache: Path) -> Waiting:
    """Time the parts of training steps of one network, a uniform random member, on cached faces."""
    space, size = load_space(experiment.space), experiment.network.input_size
    faces = build_synthetic(SyntheticFaces("train", STILLS, size, seed=0), cache, workers=1)
    settings = experiment.retrain
    batches = BatchSettings(settings.batch_size, steps + 1, experiment.seed, settings.augmentation)
    module = FaceDataModule(faces, faces, batches)
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


def _row(rate: DrawingRate) -> list[str]:
    figures = [f"{value:.0f}" for value in (rate.draw, rate.labelled, rate.wall, rate.together)]
    aim = f"{AIMS[rate.size]:.0f} on 2" if rate.size in AIMS else ""
    return [f"{rate.size} x {rate.size}", *figures, aim, " ".join(f"{cpu:.1f}" for cpu in rate.cpu_ms)]


def main(arguments: Sequence[str]) -> int:
    parsed = parse(__doc__.splitlines()[0], OPTIONS, arguments, "data")
    experiment, count = parsed.experiment, max(parsed.own["faces"], 1)
    cv2.setNumThreads(1)
    rates = [drawing_rate(size, count, available_cores()) for size in SIZES]
    print(f"faces a second over {count} faces, with UV map and visibility\n")
    print(
        text_table(
            ["", "drawn", "with map", "by the clock", f"{available_cores()} processes", "aim", "CPU ms a face"],
            [_row(rate) for rate in rates],
        )
    )
    with tempfile.TemporaryDirectory() as cache:
        step = waiting(experiment, max(parsed.own["steps"], 1), Path(cache))
    print(
        f"\na training step of {experiment.retrain.batch_size} faces: batch {step.fetch_ms:.1f} ms, augmentation"
        f" {step.augment_ms:.1f} ms, training {step.train_ms:.1f} ms; {100 * step.share:.1f} % of it waits for data"
    )
    output = parsed.own["json"]
    write_json(output, {"rates": [asdict(r) for r in rates], "step": asdict(step) | {"waiting": step.share}})
    print(f"figures  {output}")
    return 0


if __name__ == "__main__":
    run_benchmark(main)
