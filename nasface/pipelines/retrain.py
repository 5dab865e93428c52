"""One network trained from scratch and evaluated on the test faces."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import pytorch_lightning as pl

from nasface.config import DeviceConfig, VideoConfig
from nasface.data.face_set import FaceSet
from nasface.evaluation.inference import Evaluation, evaluate_faces, predict_faces
from nasface.evaluation.test_faces import FILE as TEST_FACES
from nasface.evaluation.test_faces import save_test_faces
from nasface.evaluation.video_stability import measure_videos, require_videos
from nasface.inference.trained import trained_record
from nasface.metrics.aflw2000 import BIN_NAMES
from nasface.nets.cost import measure_cost
from nasface.nets.network import Network, NetworkSpec, channels_last, contiguous
from nasface.nets.weights import save_weights
from nasface.pipelines.workspace import Workspace
from nasface.rendering.video import ShortVideos
from nasface.report.faces import results_figure
from nasface.report.tables import NMERow
from nasface.runs.run import Run, end_other_processes
from nasface.tracking.artifacts import RunFile
from nasface.tracking.environment import environment
from nasface.tracking.progress import TrainingProgress
from nasface.tracking.retrain_stage import RetrainStage
from nasface.tracking.training_figures import TrainingFigures
from nasface.tracking.training_metrics import TrainingMetrics
from nasface.training.face_task import FaceTask, TaskContext
from nasface.training.fit import TrainingPlan, fit, make_trainer
from nasface.training.optimizers import in_steps, with_optimizer_of
from nasface.training.tasks import make_task

Start = Callable[[Network], None]
"""Gives a network the weights that its training begins with."""


@dataclass(frozen=True)
class Retrained:
    """A trained network and its table row."""

    network: Network
    row: NMERow


def _train(
    workspace: Workspace,
    spec: NetworkSpec,
    run: Run,
    start: Start | None,
    label: str,
    validate: bool = True,
    parents: tuple[RunFile, ...] = (),
) -> tuple[FaceTask, RetrainStage, float]:
    """Train a network by the retraining's settings: its task, the open log and the seconds."""
    experiment = workspace.experiment
    by_epochs = experiment.retrain.epochs is not None  # how many processes see an epoch's faces matters to these alone
    processes = make_trainer(experiment.device, logger=False).world_size if by_epochs else 1
    config = with_optimizer_of(spec, in_steps(experiment.retrain, len(workspace.faces.train), processes))
    experiment = replace(experiment, retrain=config)
    if config.videos:
        require_videos(workspace.faces.test)
    pl.seed_everything(experiment.seed, verbose=False)
    network = spec.build()
    task = make_task(network, TaskContext(workspace.uv, workspace.faces.model, experiment))
    task.learn_statistics(workspace.faces.train)
    if start is not None:
        start(network)
    if network.channels_last:
        channels_last(network)
    augmentation = config.augmentation if task.mirrors else replace(config.augmentation, flip=0.0)
    per_epoch = config.evaluate_every * config.accumulate
    data = workspace.data_module(config.batch_size, per_epoch, augmentation, task.videos)
    log = RetrainStage(experiment, run, parents)
    identity = f"network {spec.digest} {json.dumps(asdict(experiment.network))}"
    plan = TrainingPlan(run.path("retrain"), identity, config.steps, config.accumulate, validate)
    progress = TrainingProgress(f"training {label}", config.steps)
    callbacks = [progress, TrainingMetrics(run.folder), TrainingFigures()]
    seconds = fit(task, data, plan, experiment.device, callbacks, log.logger)
    end_other_processes()
    return task, log, seconds


def validate_training(workspace: Workspace, spec: NetworkSpec, run: Run) -> float:
    """Train a network from scratch and give its error (%) on the validation faces: what a search minimises
    (`search.penalty`). The test faces are not looked at."""
    task, _, _ = _train(workspace, spec, run, None, "finalist", validate=False)
    penalty = workspace.experiment.search.penalty
    name = "nme" if penalty == "mean" else f"nme_{penalty}"
    return _evaluate(task, workspace.faces.val, workspace.experiment.device).figures[name]


def retrain(
    workspace: Workspace,
    spec: NetworkSpec,
    run: Run,
    start: Start | None = None,
    label: str = "searched",
    parents: tuple[RunFile, ...] = (),
) -> Retrained:
    """Train a network from scratch, or from the weights that `start` gives it, and evaluate it on the test faces.
    `parents` are the files that it goes back to, for W&B's lineage."""
    experiment = workspace.experiment
    task, log, seconds = _train(workspace, spec, run, start, label, parents=parents)
    evaluation = _evaluate(task, workspace.faces.test, experiment.device)
    figures = evaluation.figures
    near, half, far = (figures[f"nme_{name}"] for name in BIN_NAMES)
    network = cast(Network, contiguous(task.to("cpu").network))
    results_figure(evaluation.spread, run.path("faces.png"))
    save_test_faces(run.path(TEST_FACES), evaluation.faces)
    cost = measure_cost(network, experiment.network.input_size)
    row = NMERow(
        name=label,
        bins=(near, half, far),
        mean=figures["nme"],
        all=figures["nme_all"],
        parameters=cost.parameters,
        macs=cost.macs,
        latency_ms=cost.latency_ms,
        dense=figures.get("nme_dense"),
        roughness=figures.get("roughness"),
        train_s=round(seconds, 1),
        stability=_stability(task, workspace) if experiment.retrain.videos else None,
    )
    context = TaskContext(workspace.uv, workspace.faces.model, experiment)
    save_weights(run.path("network.pt"), network, trained_record(context))
    run.update_summary(
        costs={"retrain_s": round(seconds, 1)},
        result=_plain(asdict(row)),
        architecture=spec.digest,
        environment=environment(),
    )
    log.finish(row, evaluation, spec.architecture)
    return Retrained(network, row)


def _evaluate(task: FaceTask, faces: FaceSet, device: DeviceConfig) -> Evaluation:
    """One pass over a set, on one device of the training's kind and in its precision."""
    trainer = make_trainer(device, logger=False, devices=1, num_nodes=1, strategy="auto")
    with trainer.precision_plugin.test_step_context():
        return evaluate_faces(task.to(trainer.strategy.root_device), faces)


def _stability(task: FaceTask, workspace: Workspace) -> float:
    """Stability (%) on short videos of test faces, the same ones for every network."""
    videos = ShortVideos(workspace.faces.model, VideoConfig(frames=8))
    return measure_videos(
        lambda frames: predict_faces(task, frames).landmarks,
        workspace.faces.test,
        videos,
        workspace.experiment.retrain.videos,
    ).stability


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in values.items()}
