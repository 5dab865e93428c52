"""Short trainings of many members: those of a round side by side, each a line of a record before the next ends. The
networks of the last round are kept."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nasface.config import RetrainConfig
from nasface.inference.trained import trained_record
from nasface.metrics.aflw2000 import FIGURES
from nasface.nets.multipath import MemberSpec
from nasface.nets.weights import save_weights
from nasface.pipelines.candidates import key_of
from nasface.pipelines.workers import side_by_side
from nasface.pipelines.workspace import Workspace
from nasface.runs.run import Run
from nasface.tabular.side_by_side import TOGETHER, train_together
from nasface.tabular.training import DivergedError, SharedBatches, errors_of, figures_of, train_alone
from nasface.training.face_task import TaskContext
from nasface.training.optimizers import of_steps
from nasface.utils.accelerator import uses_gpu
from nasface.utils.cores import available_cores
from nasface.utils.line_record import append_line, read_entries
from nasface.utils.progress import stage_bar
from nasface.utils.run_files import TRAININGS
from nasface.utils.worker_pool import WorkerPool


@dataclass(frozen=True)
class ShortTraining:
    """A member after so many steps of its own.

    Attributes:
        digest: of the member, with its width where the space has several (`key_of`).
        steps: optimizer steps.
        nme: NME (%) on the validation faces: three yaw bins, their mean, all faces; None where the training failed.
    """

    digest: str
    steps: int
    nme: tuple[float, ...] | None

    def penalty(self, bins: str) -> float:
        """What a search minimises (`search.penalty`): the `mean` of the yaw bins, one of them, or `all` faces alike;
        infinite where there is none."""
        value = math.inf if self.nme is None else self.nme[FIGURES.index(bins)]
        return math.inf if math.isnan(value) else value


@dataclass(frozen=True)
class _Job:
    member: MemberSpec
    steps: int
    weights: Path | None = None
    """File that its network goes to; none where it is not kept."""

    @property
    def connections(self) -> int:
        """Live ones, by which the time of members of one cost goes."""
        return sum(code > 0 for code in self.member.architecture.canonical.codes)

    def trained(self, nme: tuple[float, ...] | None) -> ShortTraining:
        return ShortTraining(key_of(self.member), self.steps, nme)


def weights_file(run: Run, member: MemberSpec) -> Path:
    """Where a member's network is after the last round, until the search ends."""
    return run.path("search") / "networks" / f"{key_of(member)}.pt"


class ShortTrainings:
    """The trainings of a search, a round of them at a time, in workers that stay from round to round.

    Args:
        workspace: what is trained on.
        run: keeps what is done; what it has on record is not trained again.
        recorded: called whenever a training has come on record.
    """

    def __init__(self, workspace: Workspace, run: Run, recorded: Callable[[], None] = lambda: None) -> None:
        self.workspace, self.run, self.recorded = workspace, run, recorded
        self._record = run.path(TRAININGS)
        experiment = workspace.experiment
        single = replace(experiment, device=replace(experiment.device, threads=1))
        workers = min(experiment.halving.workers or available_cores(), experiment.halving.candidates)
        here = replace(workspace, experiment=single)
        how = "the same command with --resume true goes on"
        self._pool: WorkerPool[_Job, ShortTraining] = side_by_side(
            single, workspace.space, run.path("search"), workers, _train, here, how
        )

    def __enter__(self) -> ShortTrainings:
        return self

    def __exit__(self, *error: Any) -> None:
        self._pool.__exit__(*error)

    def train(self, members: Sequence[MemberSpec], steps: int) -> list[ShortTraining]:
        """What the members are worth after so many steps, in their order."""
        self._record.parent.mkdir(parents=True, exist_ok=True)
        done = {(one.digest, one.steps): one for one in read_entries(self._record, _training_of)}
        last = steps == self.workspace.experiment.halving.steps[-1]
        waiting = [
            _Job(member, steps, weights_file(self.run, member) if last else None)
            for member in members
            if (key_of(member), steps) not in done
        ]
        waiting.sort(key=lambda job: -job.connections)  # the longest first: at the end few cores wait for others
        with stage_bar(f"training for {steps} steps", len(members), len(members) - len(waiting)) as bar:
            for training in self._trained(waiting):
                append_line(self._record, json.dumps(asdict(training)))
                done[training.digest, training.steps] = training
                self.recorded()
                bar.update(1)
        return [done[key_of(member), steps] for member in members]

    def _trained(self, jobs: Sequence[_Job]) -> Iterator[ShortTraining]:
        if uses_gpu(self.workspace.experiment.device.accelerator):
            for start in range(0, len(jobs), TOGETHER):
                yield from _train_on_gpu(self.workspace, jobs[start : start + TOGETHER])
        elif jobs:
            for _, future in self._pool.run(jobs):
                yield future.result()


def _training_of(entry: Any) -> ShortTraining:
    nme = None if entry["nme"] is None else tuple(map(float, entry["nme"]))
    if nme is not None and len(nme) != len(FIGURES):
        raise ValueError(f"nme has {len(nme)} figures, not {len(FIGURES)}")
    return ShortTraining(str(entry["digest"]), int(entry["steps"]), nme)


def _train(workspace: Workspace, job: _Job) -> ShortTraining:
    batches = _batches(workspace, job.steps)
    try:
        network, _ = train_alone(job.member.build, batches)
    except DivergedError:
        return job.trained(None)
    return _measured(workspace, job, network, workspace.uv)


def _train_on_gpu(workspace: Workspace, jobs: Sequence[_Job]) -> Iterator[ShortTraining]:
    device = torch.device("cuda")
    try:
        networks, _ = train_together([job.member.build for job in jobs], _batches(workspace, jobs[0].steps), device)
    except DivergedError:  # one has ended all: which one comes out where each is alone
        if len(jobs) == 1:
            yield jobs[0].trained(None)
        else:
            for job in jobs:
                yield from _train_on_gpu(workspace, [job])
        return
    uv = copy.deepcopy(workspace.uv).to(device)
    for job, network in zip(jobs, networks, strict=True):
        yield _measured(workspace, job, network, uv)


def _measured(workspace: Workspace, job: _Job, network: Any, uv: Any) -> ShortTraining:
    if job.weights is not None:
        job.weights.parent.mkdir(parents=True, exist_ok=True)
        experiment = workspace.experiment
        experiment = replace(experiment, network=job.member.config, retrain=_settings(workspace, job.steps))
        context = TaskContext(workspace.uv, workspace.faces.model, experiment)
        save_weights(job.weights, network, trained_record(context))
    return job.trained(figures_of(errors_of(network, uv, workspace.faces.val)))


_kept: tuple[Workspace, int, SharedBatches] | None = None  # of this process: what networks have in common


def _batches(workspace: Workspace, steps: int) -> SharedBatches:
    global _kept
    if _kept is None or _kept[0] is not workspace or _kept[1] != steps:
        config, seed = _settings(workspace, steps), workspace.experiment.seed
        faces = workspace.faces
        batches = SharedBatches(faces.train, workspace.uv, config, seed, keep=False, mixture=faces.mixture)
        _kept = workspace, steps, batches
    return _kept[2]


def _settings(workspace: Workspace, steps: int) -> RetrainConfig:
    """Of the trainings of so many steps; the longest, which decide, may have a batch size of their own."""
    config, size = workspace.experiment.halving, workspace.experiment.halving.batch_size
    if steps == config.steps[-1]:
        size = config.last_batch_size or size
    retrain = of_steps(workspace.experiment.retrain, steps, len(workspace.faces.train))
    return replace(retrain, batch_size=size)
