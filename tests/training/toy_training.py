"""A toy training that tests run here, in a process that they kill, or in two processes.

python toy_training.py FOLDER PORT      two processes; each leaves rank<r>.pt
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from nasface.config import AugmentConfig, DeviceConfig, MultipathConfig, OptimizerConfig, SupernetConfig
from nasface.data.face_set import FaceSet
from nasface.data.module import BatchSettings, FaceDataModule
from nasface.nets.multipath import MultipathNetwork, Supernet
from nasface.space.path_samplers import MNUS
from nasface.space.space import MultipathSpace
from nasface.training.face_task import FaceModule
from nasface.training.fit import TrainingPlan, fit
from nasface.training.supernet import SupernetTask
from nasface.training.targets.uv import UVTask
from nasface.training.uv_target import UVTarget
from tests.helpers.toy import MAP, SIZE, toy_basis, toy_context, toy_faces

SPACE = MultipathSpace(name="tiny", layers=4, scales=2)
CONFIG = MultipathConfig(input_size=SIZE, map_size=MAP, width=8, head_width=8, head="cells")
CPU = DeviceConfig(accelerator="cpu", devices="1", threads=1)
STEPS, EVERY, BATCH = 6, 2, 4


class RecordingSampler:
    """MNUS that remembers which step asked for which children."""

    def __init__(self) -> None:
        self.inner = MNUS(SPACE, 2, seed=4)
        self.space, self.children = SPACE, 2
        self.seen: list[tuple[int, tuple[int, ...]]] = []

    def sample(self, step: int) -> np.ndarray:
        codes = self.inner.sample(step)
        self.seen.append((step, tuple(codes.flatten().tolist())))
        return codes


def make_task(kind: str, optimizer: OptimizerConfig | None = None, steps: int = STEPS) -> FaceModule:
    """A supernet's task, or that of one derived network, with first weights that are always the same."""
    torch.manual_seed(0)
    uv, optimizer = UVTarget(toy_basis(), SIZE), optimizer or OptimizerConfig(lr=2e-3)
    if kind == "supernet":
        return SupernetTask(
            Supernet(SPACE, CONFIG), RecordingSampler(), uv, SupernetConfig(optimizer=optimizer, steps=steps)
        )
    member = SPACE.random_architecture(np.random.default_rng(0))
    return UVTask(MultipathNetwork(member, CONFIG), toy_context("distance", optimizer, steps, uv))


def make_data(
    accumulate: int = 1,
    faces: FaceSet | None = None,
    augmentation: AugmentConfig | None = None,
    batch_size: int = BATCH,
    every: int = EVERY,
) -> FaceDataModule:
    return FaceDataModule(
        faces or toy_faces(13),
        toy_faces(9, seed=1),
        BatchSettings(batch_size, every * accumulate, 7, augmentation or AugmentConfig()),
    )


def train(
    kind: str,
    folder: Path,
    *,
    task: FaceModule | None = None,
    data: FaceDataModule | None = None,
    steps: int = STEPS,
    accumulate: int = 1,
    device: DeviceConfig = CPU,
    callbacks: Sequence[pl.Callback] = (),
    logger: Any = None,
    identity: str | None = None,
) -> FaceModule:
    """`fit` on the toy faces; returns the trained task."""
    task = task or make_task(kind)
    plan = TrainingPlan(folder, identity or f"toy {kind}", steps, accumulate, validate=kind == "network")
    fit(task, data or make_data(accumulate), plan, device, callbacks, logger)
    return task


class _Pause(pl.Callback):
    """Says so, and waits to be killed, in the middle of the training."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        if trainer.global_step == self.step:
            print("paused", flush=True)
            signal.pause()


def train_and_pause(folder: Path, kind: str, step: int) -> None:
    """A training that waits forever once it has made so many steps."""
    train(kind, folder, callbacks=[_Pause(step)])


def _ddp(folder: Path, port: str) -> None:
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", port)
    device = DeviceConfig(accelerator="cpu", devices="2", strategy="ddp_find_unused_parameters_true", threads=1)
    task = train("supernet", folder, device=device)
    record = {
        "parameters": {name: value.detach().clone() for name, value in task.network.named_parameters()},
        "children": task.sampler.seen,
        "world": torch.distributed.get_world_size(),
    }
    torch.save(record, folder / f"rank{torch.distributed.get_rank()}.pt")


if __name__ == "__main__":
    _ddp(Path(sys.argv[1]), sys.argv[2])
