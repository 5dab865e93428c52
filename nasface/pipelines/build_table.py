"""Building a table of trained members: every member of a small space, or a fixed random part, trained on its own.

A killed build goes on with the trainings that `trainings.jsonl` lacks (`nasface.tabular.build`).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

import nasface
from nasface.config import EARLIER_SIZES, Experiment
from nasface.evaluation.costs import MemberCosts
from nasface.nets.multipath import MemberSpec, MultipathNetwork
from nasface.pipelines.workers import run_side_by_side
from nasface.pipelines.workspace import Workspace, prepare
from nasface.rendering.synthetic import RENDERER_VERSION
from nasface.space.space import MultipathSpace
from nasface.tabular.build import Job, append_training, build_jobs, read_trainings
from nasface.tabular.side_by_side import TOGETHER, train_together
from nasface.tabular.table import MemberTable, TrainedMember
from nasface.tabular.training import SharedBatches, errors_of, figures_of, train_alone
from nasface.tracking.environment import environment
from nasface.training.optimizers import with_optimizer_of
from nasface.training.uv_target import UVTarget
from nasface.utils.accelerator import uses_gpu
from nasface.utils.errors import UserError
from nasface.utils.files import write_json
from nasface.utils.lock import hold
from nasface.utils.progress import stage_bar
from nasface.utils.reading import read_json

_SETTINGS, _TRAININGS = "settings.json", "trainings.jsonl"
_WITHOUT_EFFECT = ("evaluate_every", "videos")  # settings of retraining, on a member's errors


class TableBuilder:
    """Trains members in this process: faces are loaded once, a seed's batches made once."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.costs = MemberCosts(workspace.searched, workspace.experiment.network)
        self._batches: SharedBatches | None = None

    def train(self, job: Job) -> TrainedMember:
        """Train and evaluate one member."""
        network, seconds = train_alone(self._build(job), self._batches_of(job.seed))
        return self._evaluated(job, network, self.workspace.uv, seconds)

    def train_together(self, jobs: Sequence[Job], device: torch.device) -> Iterator[TrainedMember]:
        """The same of several members by one seed, at the same time on a GPU."""
        networks, seconds = train_together([self._build(job) for job in jobs], self._batches_of(jobs[0].seed), device)
        uv = copy.deepcopy(self.workspace.uv).to(device)
        for job, network in zip(jobs, networks, strict=True):
            yield self._evaluated(job, network, uv, seconds / len(jobs))

    def _build(self, job: Job) -> Callable[[], MultipathNetwork]:
        return partial(MultipathNetwork, job.member, self.workspace.experiment.network)

    def _batches_of(self, seed: int) -> SharedBatches:
        if self._batches is None or self._batches.seed != seed:
            workspace = self.workspace
            faces, config = workspace.faces, workspace.experiment.retrain
            self._batches = SharedBatches(faces.train, workspace.uv, config, seed, mixture=faces.mixture)
        return self._batches

    def _evaluated(self, job: Job, network: torch.nn.Module, uv: UVTarget, seconds: float) -> TrainedMember:
        member, faces = job.member, self.workspace.faces
        return TrainedMember(
            digest=member.digest,
            code="".join(map(str, member.codes)),
            seed=job.seed,
            parameters=int(self.costs.parameters(member)),
            macs=int(self.costs.macs(member)),
            val=figures_of(errors_of(network, uv, faces.val)),
            test=figures_of(errors_of(network, uv, faces.test)),
            seconds=round(seconds, 3),
        )


def build_table(
    experiment: Experiment,
    space: MultipathSpace,
    folder: Path,
    count: int,
    seeds: Sequence[int],
    workers: int,
    bands: Sequence[float] = (),
    together: int = TOGETHER,
) -> MemberTable:
    """Train what is not on record in `folder` yet; the table of all that is asked for.

    Args:
        count: members, of each band where there are bands; 0 for all.
        bands: multiply-adds, see `nasface.tabular.bands`.
        workers: processes, each with one thread; of no effect on a GPU.
        together: networks that a GPU trains at the same time.

    Raises:
        UserError: the folder is of other settings or in use, a record is damaged, or the space is too large.
    """
    jobs = build_jobs(space, count, seeds, bands, MemberCosts(space, experiment.network).macs)
    settings = table_settings(experiment) | ({"bands": list(bands)} if bands else {})
    with hold(folder / ".lock", "build", "choose another --folder"):
        about = _check_settings(folder, space, settings)
        done = read_trainings(folder / _TRAININGS)
        waiting = [job for job in jobs if job.key not in done]
        single = replace(experiment, device=replace(experiment.device, threads=1))
        # With several workers, too: the faces are made once, not by each of them. And before the folder has settings:
        # with what is wrong with the faces mended, they may be others.
        workspace = prepare(single, space) if waiting else None
        if not (folder / _SETTINGS).exists():
            write_json(folder / _SETTINGS, about)
        if workspace is not None:
            with stage_bar("training members", len(jobs), len(jobs) - len(waiting)) as bar:
                for training in _trainings(workspace, folder, waiting, workers, together):
                    append_training(folder / _TRAININGS, training)
                    done[training.digest, training.seed] = training
                    bar.update(1)
    chosen = tuple(done[job.key] for job in jobs)
    return MemberTable(space, chosen, about)


def table_settings(experiment: Experiment) -> dict[str, Any]:
    """What a member's figures depend on, beside its code and seed."""
    data = {key: value for key, value in asdict(experiment.data).items() if key != "cache"}
    trained = with_optimizer_of(MemberSpec, experiment.retrain)
    retrain = {key: value for key, value in asdict(trained).items() if key not in _WITHOUT_EFFECT}
    return {
        "experiment": experiment.name,
        "data": data,
        "renderer": RENDERER_VERSION,
        "network": asdict(experiment.network),
        "retrain": retrain,
    }


def _check_settings(folder: Path, space: MultipathSpace, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings and environment of the folder's first build, or those of this one where there was none."""
    path = folder / _SETTINGS
    # Not the range of connections: a member is the same network whatever else the space allows.
    mine = {"layers": space.layers, "scales": space.scales, **settings}
    mine = json.loads(json.dumps(mine))
    if not path.exists():
        return {**mine, "environment": environment() | {"nasface": nasface.__version__}}
    record = read_json(path, "build the table in another --folder")
    sizes = record.get("network")
    known = record | ({"network": EARLIER_SIZES | sizes} if isinstance(sizes, dict) else {})
    different = next((key for key in mine if known.get(key) != mine[key]), None)
    if different:
        raise UserError(f"{folder} is of other settings ({different} differs): build the table in another --folder")
    return record


def _trainings(
    workspace: Workspace, folder: Path, jobs: Sequence[Job], workers: int, together: int
) -> Iterator[TrainedMember]:
    experiment, space = workspace.experiment, workspace.searched
    if uses_gpu(experiment.device.accelerator):
        builder = TableBuilder(workspace)
        for _, same_seed in groupby(jobs, key=lambda job: job.seed):
            group = list(same_seed)
            for start in range(0, len(group), together):
                yield from builder.train_together(group[start : start + together], torch.device("cuda"))
        return
    for _, future in run_side_by_side(experiment, space, folder, workers, _train, jobs, workspace):
        yield future.result()


_builder: TableBuilder | None = None  # of this process: it keeps a seed's batches from one job to the next


def _train(workspace: Workspace, job: Job) -> TrainedMember:
    global _builder
    if _builder is None or _builder.workspace is not workspace:
        _builder = TableBuilder(workspace)
    return _builder.train(job)
