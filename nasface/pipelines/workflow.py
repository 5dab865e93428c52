"""The stages behind the commands: faces, supernet, search, retraining. Each can be killed and goes on where it was."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import WandbLogger

import nasface
from nasface.config import Experiment, VideoConfig
from nasface.data.augment import normalise
from nasface.data.face_set import FaceSet
from nasface.data.module import FaceDataModule
from nasface.data.sources import Faces, load_faces
from nasface.evaluation.costs import LIMITED, CostedEvaluator, MemberCosts, make_constraints
from nasface.evaluation.inference import evaluate_faces, predict_faces
from nasface.evaluation.supernet import EvaluationFaces, SupernetEvaluator
from nasface.evaluation.test_faces import FILE as TEST_FACES
from nasface.evaluation.test_faces import save_test_faces
from nasface.evaluation.video_stability import measure_videos, require_videos
from nasface.faces.uv import uv_basis
from nasface.inference.trained import trained_record
from nasface.metrics.aflw2000 import BIN_NAMES
from nasface.nets.cost import Cost, measure_cost
from nasface.nets.multipath import MemberSpec, Supernet
from nasface.nets.network import Network, NetworkSpec
from nasface.nets.weights import load_supernet, save_weights, state_digest
from nasface.rendering.video import ShortVideos
from nasface.report.drawing import draw_architecture
from nasface.report.faces import results_figure
from nasface.report.pareto import pareto_figure, pareto_front
from nasface.report.tables import NMERow
from nasface.search.ledger import search_counts
from nasface.search.local_workers import LocalWorkers
from nasface.search.objectives import require_objectives
from nasface.search.registry import check_settings, make_strategy, strategy_settings
from nasface.search.strategy import Strategy
from nasface.search.study import StudyResult, run_study
from nasface.search.workers import create_shared_study, run_shared
from nasface.space.path_samplers import PathSampler, make_path_sampler
from nasface.space.space import MultipathSpace
from nasface.tracking.artifacts import NETWORK, SUPERNET, RunFile, log_file, use_file
from nasface.tracking.environment import environment
from nasface.tracking.progress import TrainingProgress
from nasface.tracking.retrain_log import log_results
from nasface.tracking.runs import Run, is_first_process
from nasface.tracking.search_log import SearchLog, SearchProgress
from nasface.tracking.training_figures import TrainingFigures
from nasface.tracking.wandb import finish, make_logger
from nasface.training.face_task import FaceTask, TaskContext
from nasface.training.fit import fit, make_trainer, release_memory
from nasface.training.supernet import SupernetTask
from nasface.training.targets.uv import mean_map
from nasface.training.tasks import make_task
from nasface.training.uv_target import UVTarget
from nasface.utils.files import atomic_write
from nasface.utils.progress import progress_for


@dataclass(frozen=True)
class Workspace:
    """What every stage of one experiment needs: its faces and its UV target. The training of a fixed network needs no
    space."""

    experiment: Experiment
    space: MultipathSpace | None
    faces: Faces
    uv: UVTarget


def prepare(experiment: Experiment, space: MultipathSpace | None) -> Workspace:
    """Faces and targets of an experiment."""
    if space is not None:
        experiment.network.check(space.scales, space.name)
    if experiment.device.threads:
        torch.set_num_threads(experiment.device.threads)
    faces = load_faces(experiment.data, experiment.network.input_size, progress_for)
    basis = uv_basis(faces.model, experiment.network.map_size)
    return Workspace(experiment, space, faces, UVTarget(basis, experiment.network.input_size))


# Supernet ------------------------------------------------------------------------------------------------------------


def make_sampler(experiment: Experiment, space: MultipathSpace) -> PathSampler:
    """The path sampler that the experiment names."""
    config = experiment.supernet
    return make_path_sampler(
        config.sampler,
        space,
        config.children,
        experiment.seed,
        repeats=tuple(config.repeats),
        last_repeats=config.last_repeats,
    )


def train_supernet(workspace: Workspace, run: Run, callbacks: Sequence[pl.Callback] = ()) -> Supernet:
    """Train the supernet of a run, or load it where that is done."""
    experiment, space = workspace.experiment, workspace.space
    path = run.path("supernet", "supernet.pt")
    if path.exists():
        return load_trained_supernet(path, space, experiment)
    network = fresh_supernet(workspace)
    config = experiment.supernet
    task = SupernetTask(
        network, make_sampler(experiment, space), workspace.uv, config.loss, config.optimizer, config.steps
    )
    data = _data_module(workspace, config.batch_size, config.checkpoint_every * config.accumulate, config.augmentation)
    logger = make_logger(experiment, run.folder, "supernet")
    seconds = fit(
        task,
        data,
        run.path("supernet"),
        config.steps,
        config.accumulate,
        experiment.device,
        [TrainingProgress("training the supernet", config.steps), *callbacks],
        logger,
        validate=False,
        identity=f"supernet {space.layers}x{space.scales} {json.dumps(asdict(experiment.network))}",
    )
    leave_to_first_process()
    save_weights(path, network)
    log_file(logger, RunFile(path, SUPERNET, run.id), steps=config.steps, sampler=config.sampler)
    finish(logger)
    del task, data, network
    release_memory()
    run.update_summary(costs={"supernet_s": round(seconds, 1)})
    # From the file, as a resumed run has it: the memory layout, hence the order of sums, shall be the same.
    return load_trained_supernet(path, space, experiment)


def fresh_supernet(workspace: Workspace) -> Supernet:
    """The supernet before its training; seeds everything."""
    experiment = workspace.experiment
    pl.seed_everything(experiment.seed, verbose=False)
    network = Supernet(workspace.space, experiment.network)
    network.set_mean_map(mean_map(workspace.uv, workspace.faces.train, experiment.seed))
    return network.to(memory_format=torch.channels_last)


def load_trained_supernet(path: Path, space: MultipathSpace, experiment: Experiment) -> Supernet:
    """The supernet of a run, in the memory layout that a search uses."""
    return load_supernet(path, space, experiment.network).to(memory_format=torch.channels_last)


def _data_module(
    workspace: Workspace,
    batch_size: int,
    steps_per_epoch: int,
    augmentation: Any,
    videos: ShortVideos | None = None,
) -> FaceDataModule:
    faces, seed = workspace.faces, workspace.experiment.seed
    return FaceDataModule(
        faces.train, faces.val, faces.test, batch_size, steps_per_epoch, seed, augmentation, videos=videos
    )


# Search --------------------------------------------------------------------------------------------------------------


def make_evaluator(workspace: Workspace, supernet: Supernet) -> SupernetEvaluator:
    """The evaluator of a search: calibrated on training faces, scored on validation faces."""
    experiment = workspace.experiment
    config, faces = experiment.search, workspace.faces
    count = min(config.calibration, len(faces.train))
    chosen = np.random.default_rng([experiment.seed, 2]).permutation(len(faces.train))[:count]
    return SupernetEvaluator(
        supernet,
        workspace.uv,
        _images(faces.train.subset(chosen)),
        evaluation_faces(faces.val),
        chunk=config.chunk,
        reuse=config.reuse,
        early_rejection=config.early_rejection,
        seed=experiment.seed,
        device=search_device(experiment),
        penalty=config.penalty,
    )


def search_device(experiment: Experiment) -> str:
    """Where a search computes: Lightning's accelerator, as far as there is one."""
    return "cuda" if experiment.device.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available() else "cpu"


def make_search_strategy(experiment: Experiment, space: MultipathSpace) -> Strategy:
    """The strategy that the experiment names, with those of the search's settings that it knows, and its own.

    Raises:
        UserError: the strategy or an objective is unknown, or a setting of its own is not one, or not of its type.
    """
    config = experiment.search
    costs = MemberCosts(space, experiment.network)
    for name in require_objectives(config.objectives)[1:]:
        costs.measure(name)
    limits = {name: getattr(config, f"max_{name}") for name in LIMITED}
    known = strategy_settings(config.strategy)
    settings = {
        "iterations": config.iterations,
        "evaluations": config.iterations + 1,
        "objectives": tuple(config.objectives),
        "constraints": make_constraints(costs, limits),
    }
    settings = {name: value for name, value in settings.items() if name in known}
    own = check_settings(config.strategy, config.settings)
    return make_strategy(config.strategy, space, seed=experiment.seed, **settings, **own)


def make_scorer(workspace: Workspace, evaluator: SupernetEvaluator) -> CostedEvaluator:
    """The evaluator of a search, whose outcomes also hold what a member costs."""
    costs = MemberCosts(workspace.space, workspace.experiment.network)
    return CostedEvaluator(evaluator, costs, workspace.experiment.search.objectives)


def search_context(experiment: Experiment, supernet: Supernet) -> dict[str, Any]:
    """What a search's outcomes depend on beside its strategy."""
    return {"supernet": state_digest(supernet), "penalty": experiment.search.penalty}


def search_storage(experiment: Experiment, run: Run) -> str | Path:
    """Where a run's search is recorded."""
    return experiment.search.storage or run.path("search", "journal.log").absolute()


def search(
    workspace: Workspace,
    supernet: Supernet,
    run: Run,
    resume: bool,
    workers: int = 1,
    logger: WandbLogger | None = None,
) -> StudyResult:
    """Search the space on a trained supernet; every evaluation is recorded before the next begins.

    With one worker it is this process; with several, or 0, the study is shared: so many processes are started here,
    and others may join (`nasface search-worker`).
    """
    experiment = workspace.experiment
    strategy = make_search_strategy(experiment, workspace.space)
    use_file(logger, RunFile(run.path("supernet", "supernet.pt"), SUPERNET, run.id))
    storage, context = search_storage(experiment, run), search_context(experiment, supernet)
    with SearchProgress("searching", strategy.progress[1]) as bar:
        callbacks = [SearchLog(logger), bar.on_evaluation] if logger else [bar.on_evaluation]
        if workers == 1:
            scorer = make_scorer(workspace, make_evaluator(workspace, supernet))
            settings = {"resume": resume, "context": context, "callbacks": callbacks, "progress": bar.on_progress}
            result = run_study(strategy, scorer, storage, run.id, **settings)
        else:
            about = {"experiment": asdict(experiment), "supernet": str(run.path("supernet", "supernet.pt").absolute())}
            create_shared_study(strategy, storage, run.id, resume=resume, context=context, about=about)
            with LocalWorkers(workers, storage, run.id, run.path("search"), experiment.device.threads) as crew:
                result = run_shared(
                    strategy,
                    None,
                    storage,
                    run.id,
                    context=context,
                    callbacks=callbacks,
                    progress=bar.on_progress,
                    look=crew.look,
                )
    calibration = sum(evaluation.outcome.details.get("calibration_s", 0.0) for evaluation in result.evaluations)
    saved = {one.outcome.details.get("worker"): one.outcome.details.get("saved", 0.0) for one in result.evaluations}
    run.update_summary(
        costs={"calibration_s": round(calibration, 1), "search_s": round(result.seconds - calibration, 1)},
        search={
            **search_counts(strategy, result),
            "work_saved": round(sum(saved.values()) / len(saved), 4),
            "penalty": result.penalty,
        },
    )
    return result


def write_front(workspace: Workspace, run: Run, result: StudyResult) -> list[Path]:
    """Write the Pareto front of a search for several objectives: best_<k>.json of its members by rising penalty, and a
    figure; nothing for one objective."""
    experiment, objectives = workspace.experiment, workspace.experiment.search.objectives
    if len(objectives) < 2:
        return []
    paths = []
    for number, (evaluation, values) in enumerate(pareto_front(result.evaluations, objectives), start=1):
        details = evaluation.outcome.details
        scores = {"nme": details["nme"], "nme_all": details["nme_all"], **details["costs"]}
        scores |= dict(zip(objectives, values, strict=True))
        path = run.path(f"best_{number}.json")
        evaluation.architecture.save(path, _provenance(experiment, run), scores)
        evaluation.architecture.save(Path(experiment.output).with_name(path.name), _provenance(experiment, run), scores)
        paths.append(path)
    pareto_figure(result.evaluations, objectives, run.path("pareto.png"))
    return paths


def write_best(workspace: Workspace, run: Run, result: StudyResult) -> Path:
    """Write best.json (in the run and where the experiment wants it) and the drawing."""
    experiment, best = workspace.experiment, result.best
    provenance = _provenance(experiment, run)
    details = result.best_evaluation.outcome.details
    parameters, macs = MemberSpec(best, experiment.network).cost()
    scores = {
        "penalty": result.penalty,
        # A yaw bin without validation faces has none.
        "nme": [None if value is None or math.isnan(value) else value for value in details["nme"]],
        "nme_all": details["nme_all"],
        "parameters": parameters,
        "macs": macs,
    }
    best.save(run.path("best.json"), provenance, scores)
    draw_architecture(best, run.path("architecture.png"))
    draw_architecture(best, run.path("architecture.svg"))
    best.save(experiment.output, provenance, scores)
    return Path(experiment.output)


def _provenance(experiment: Experiment, run: Run) -> dict[str, Any]:
    summary = run.read_summary()
    return {
        "nasface": nasface.__version__,
        "experiment": experiment.name,
        "run": str(run.folder),
        "seed": experiment.seed,
        "sampler": experiment.supernet.sampler,
        "strategy": experiment.search.strategy,
        "network": asdict(experiment.network),
        "costs": summary.get("costs", {}),
        "search": summary.get("search", {}),
    }


# Retraining ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Retrained:
    """A trained network, its table row and what it cost."""

    network: Network
    row: NMERow
    cost: Cost
    seconds: float


def _train(
    workspace: Workspace,
    spec: NetworkSpec,
    run: Run,
    supernet: Supernet | None,
    label: str,
    validate: bool = True,
    parents: tuple[RunFile, ...] = (),
) -> tuple[FaceTask, FaceDataModule, WandbLogger | None, float]:
    """Train a network by the retraining's settings: its task, its data, the open logger and the seconds."""
    experiment = workspace.experiment
    config = experiment.retrain
    if config.videos:
        require_videos(workspace.faces.test, workspace.faces.model)
    pl.seed_everything(experiment.seed, verbose=False)
    network = spec.build() if supernet is None else supernet.child(spec.architecture)
    task = make_task(network, TaskContext(workspace.uv, workspace.faces.model, experiment))
    task.learn_statistics(workspace.faces.train)
    if network.channels_last:
        network.to(memory_format=torch.channels_last)
    augmentation = config.augmentation if task.mirrors else replace(config.augmentation, flip=0.0)
    per_epoch = config.evaluate_every * config.accumulate
    data = _data_module(workspace, config.batch_size, per_epoch, augmentation, task.videos)
    logger = make_logger(experiment, run.folder, "retrain")
    for parent in parents:
        use_file(logger, parent)
    seconds = fit(
        task,
        data,
        run.path("retrain"),
        config.steps,
        config.accumulate,
        experiment.device,
        [TrainingProgress(f"training {label}", config.steps), TrainingFigures()],
        logger,
        validate=validate,
        identity=f"network {spec.digest} {json.dumps(asdict(experiment.network))}",
    )
    leave_to_first_process()
    return task, data, logger, seconds


def validate_training(workspace: Workspace, spec: NetworkSpec, run: Run) -> float:
    """Train a network from scratch and give its error on the validation faces: the mean NME (%) of the yaw bins. The
    test faces are not looked at."""
    task, data, _, _ = _train(workspace, spec, run, None, "finalist", validate=False)
    trainer = make_trainer(workspace.experiment.device, logger=False, devices=1, num_nodes=1, strategy="auto")
    (metrics,) = trainer.validate(task, datamodule=data, verbose=False)
    return metrics["val/nme"]


def retrain(
    workspace: Workspace,
    spec: NetworkSpec,
    run: Run,
    supernet: Supernet | None = None,
    label: str = "searched",
    parents: tuple[RunFile, ...] = (),
) -> Retrained:
    """Train a network from scratch, or a member from `supernet`'s weights, and evaluate it on the test faces.
    `parents` are the files that it goes back to, for W&B's lineage."""
    experiment = workspace.experiment
    task, data, logger, seconds = _train(workspace, spec, run, supernet, label, parents=parents)
    network = task.network
    trainer = make_trainer(experiment.device, logger=logger or False, devices=1, num_nodes=1, strategy="auto")
    (metrics,) = trainer.test(task, datamodule=data, verbose=False)
    network.to("cpu", memory_format=torch.contiguous_format)
    evaluation = evaluate_faces(task, workspace.faces.test)
    results_figure(evaluation.spread, run.path("faces.png"))
    save_test_faces(run.path(TEST_FACES), evaluation.faces)
    cost = measure_cost(network, experiment.network.input_size)
    row = NMERow(
        name=label,
        bins=tuple(metrics[f"test/nme_{name}"] for name in BIN_NAMES),
        mean=metrics["test/nme"],
        all=metrics["test/nme_all"],
        parameters=cost.parameters,
        macs=cost.macs,
        latency_ms=cost.latency_ms,
        dense=metrics.get("test/nme_dense"),
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
    if logger is not None:
        log_results(logger, row, evaluation.faces, run.path("faces.png"), spec.architecture)
        log_file(logger, RunFile(run.path("network.pt"), NETWORK, run.id), parents, label=label, nme=row.mean)
        finish(logger)
    return Retrained(network, row, cost, seconds)


def _stability(task: FaceTask, workspace: Workspace) -> float:
    """Stability (%) on short videos of test faces, the same ones for every network."""
    videos = ShortVideos(workspace.faces.model, VideoConfig(frames=8))
    return measure_videos(
        lambda frames: predict_faces(task, frames).landmarks,
        workspace.faces.test,
        videos,
        workspace.experiment.retrain.videos,
    ).stability


def evaluation_faces(faces: FaceSet) -> EvaluationFaces:
    """A face set as the evaluator's tensors."""
    return EvaluationFaces(
        _images(faces), *(torch.from_numpy(np.array(array)) for array in (faces.landmarks, faces.box, faces.yaw))
    )


def _images(faces: FaceSet) -> torch.Tensor:
    return normalise(torch.from_numpy(np.array(faces.images)))


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in values.items()}


def leave_to_first_process() -> None:
    """End all processes of a training but the first: what follows is done once."""
    if not is_first_process():
        raise SystemExit(0)


@contextmanager
def timed(run: Run, name: str) -> Iterator[None]:
    """Add the block's wall time to the run's costs."""
    start = time.perf_counter()
    yield
    run.update_summary(
        costs={name: round(run.read_summary().get("costs", {}).get(name, 0.0) + time.perf_counter() - start, 1)}
    )


def write_json(path: Path, values: Any) -> None:
    write_text(path, json.dumps(values, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
