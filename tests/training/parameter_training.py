"""A toy training of networks that regress a face's vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytorch_lightning as pl
import torch

from nasface.config import AugmentConfig, DeviceConfig, OptimizerConfig, ParametersConfig
from nasface.data.face_set import FaceSet
from nasface.nets.registry import create_network
from nasface.training.face_task import FaceTask
from nasface.training.fit import TrainingPlan, fit
from nasface.training.tasks import make_task
from tests.helpers.toy import MAP, SIZE, toy_context, toy_faces
from tests.training.toy_training import CPU, make_data

PLAIN = AugmentConfig(0, 0, 0, 0, 0, 0, 0, 0)


def parameters_task(
    config: ParametersConfig,
    name: str = "mobilenet_x05",
    scale: float = 0.25,
    steps: int = 10,
    optimizer: OptimizerConfig | None = None,
    faces: FaceSet | None = None,
) -> FaceTask:
    """A task with first weights that are always the same."""
    context = toy_context(optimizer=optimizer, steps=steps)
    context = replace(context, experiment=replace(context.experiment, parameters=config))
    torch.manual_seed(0)
    task = make_task(create_network(name, SIZE, MAP, scale), context)
    task.learn_statistics(faces or toy_faces(13))
    return task


def run(
    task: FaceTask,
    folder: Path,
    steps: int,
    every: int = 2,
    batch_size: int = 4,
    faces: FaceSet | None = None,
    augmentation: AugmentConfig = PLAIN,
    callbacks: Sequence[pl.Callback] = (),
    device: DeviceConfig = CPU,
) -> FaceTask:
    """`fit` on toy faces, which are not mirrored; returns the task."""
    data = make_data(faces=faces, augmentation=augmentation, batch_size=batch_size, every=every)
    fit(task, data, TrainingPlan(folder, "toy parameters", steps), device, callbacks)
    return task


def mean_nme(task: FaceTask, faces: FaceSet) -> float:
    """Error in percent of a task's network on faces."""
    from nasface.data.augment import normalise
    from nasface.metrics.nme import nme_68

    training = task.training
    with torch.no_grad():
        found = task.eval()(normalise(torch.from_numpy(faces.images))).landmarks
    task.train(training)
    return float(nme_68(found.numpy(), faces.landmarks, faces.box).mean())
