"""The supernet of a run: trained here, read again, or taken from an earlier run that was trained alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from nasface.config import Experiment, current_settings
from nasface.nets.multipath import Supernet
from nasface.nets.network import channels_last
from nasface.nets.weights import load_supernet, save_weights
from nasface.pipelines.workspace import Workspace
from nasface.runs.run import Run, end_other_processes
from nasface.space.path_samplers import PathSampler, WholeFirst, make_path_sampler
from nasface.space.space import MultipathSpace
from nasface.tracking.artifacts import SUPERNET, RunFile
from nasface.tracking.progress import TrainingProgress
from nasface.tracking.stage_log import StageLog
from nasface.tracking.training_metrics import TrainingMetrics
from nasface.training.fit import TrainingPlan, fit, release_memory
from nasface.training.supernet import SupernetTask
from nasface.training.targets.uv import FaceMaps
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write
from nasface.utils.run_files import files_of_runs, settings_file, supernet_file
from nasface.utils.yaml_files import load_yaml

_TRAINING = ("space", "seed", "data", "network", "supernet")


def make_sampler(experiment: Experiment, space: MultipathSpace) -> PathSampler:
    """The path sampler that the experiment names.

    Raises:
        UserError: it is unknown, or a setting does not fit it.
    """
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
    experiment, space = workspace.experiment, workspace.searched
    path = supernet_file(run.folder)
    if path.exists():
        return load_trained_supernet(path, space, experiment)
    network = fresh_supernet(workspace)
    config = experiment.supernet
    sampler = WholeFirst(make_sampler(experiment, space), round(config.whole * config.steps), experiment.seed)
    task = SupernetTask(network, sampler, workspace.uv, config)
    data = workspace.data_module(config.batch_size, config.checkpoint_every * config.accumulate, config.augmentation)
    log = StageLog(experiment, run, "supernet")
    identity = f"supernet {space.layers}x{space.scales} {json.dumps(asdict(experiment.network))}"
    plan = TrainingPlan(run.path("supernet"), identity, config.steps, config.accumulate, validate=False)
    progress = TrainingProgress("training the supernet", config.steps)
    seconds = fit(task, data, plan, experiment.device, [progress, TrainingMetrics(run.folder), *callbacks], log.logger)
    end_other_processes()
    save_weights(path, network)
    log.made(RunFile(path, SUPERNET, run.id), steps=config.steps, sampler=config.sampler)
    log.close()
    del task, data, network
    release_memory()
    run.update_summary(costs={"supernet_s": round(seconds, 1)})
    # From the file, as a resumed run has it: the memory layout, hence the order of sums, shall be the same.
    return load_trained_supernet(path, space, experiment)


def fresh_supernet(workspace: Workspace) -> Supernet:
    """The supernet before its training; seeds everything."""
    experiment = workspace.experiment
    pl.seed_everything(experiment.seed, verbose=False)
    network = Supernet(workspace.searched, experiment.network)
    augmentation = experiment.supernet.augmentation
    network.learn(FaceMaps(workspace.uv, workspace.faces.train, augmentation, experiment.seed))
    return channels_last(network)


def load_trained_supernet(path: Path, space: MultipathSpace, experiment: Experiment) -> Supernet:
    """The supernet of a run, in the memory layout that a search uses."""
    return channels_last(load_supernet(path, space, experiment.network))


def take_supernet(experiment: Experiment, run: Run) -> Path | None:
    """Copy the newest supernet that was trained with an experiment's settings into a run, unless it has its own.

    Returns:
        The file that was copied; None where there is none to copy.
    """
    mine = supernet_file(run.folder)
    if mine.exists():
        return None
    wanted = _of_training(asdict(experiment))
    others = files_of_runs(run.folder.parent, supernet_file(""))
    origin = next((path for path in others if _settings(path) == wanted), None)
    if origin is not None:
        with atomic_write(mine) as temporary:
            temporary.write_bytes(origin.read_bytes())
        run.update_summary(supernet_of=origin.parent.parent.name)
    return origin


def _settings(supernet: Path) -> dict[str, object] | None:
    """What a run was trained with; None where that cannot be read."""
    try:
        recorded = load_yaml(settings_file(supernet.parent.parent))
    except UserError:
        return None
    if not isinstance(recorded, dict):
        return None
    return _of_training(current_settings(recorded))


def _of_training(settings: Mapping[str, Any]) -> dict[str, object]:
    """The settings that a supernet's weights come from. Where its faces are kept is not among them."""
    found = {name: settings.get(name) for name in _TRAINING}
    if isinstance(data := found["data"], dict):
        found["data"] = {name: value for name, value in data.items() if name != "cache"}
    return found
