"""Building a table of trained members: every member of a small space, or a fixed random part, trained on its own.

Each finished training is one line of `trainings.jsonl`, on disk before the next one begins; a killed build goes on with
those that are missing. The order of the members is a fixed random one, so a part of the table is a random sample.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import nasface
from nasface.config import Experiment
from nasface.evaluation.costs import MemberCosts
from nasface.metrics.aflw2000 import BinnedNME
from nasface.nets.multipath import MultipathNetwork
from nasface.pipelines.workers import run_side_by_side
from nasface.pipelines.workflow import Workspace, prepare
from nasface.rendering.synthetic import RENDERER_VERSION
from nasface.space.space import Architecture, MultipathSpace
from nasface.tabular.table import MemberTable, TrainedMember
from nasface.tabular.training import SharedBatches, errors_of, train_alone
from nasface.tracking.environment import environment
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write
from nasface.utils.lock import hold
from nasface.utils.progress import stage_bar

LARGEST = 200_000
"""Members that a space may have where all are asked for."""
_SETTINGS, _TRAININGS = "settings.json", "trainings.jsonl"
_WITHOUT_EFFECT = ("evaluate_every", "videos")  # settings of retraining, on a member's errors


@dataclass(frozen=True)
class Job:
    """One training: a member, by a seed."""

    member: Architecture
    seed: int

    @property
    def key(self) -> tuple[str, int]:
        return self.member.digest, self.seed


def build_jobs(space: MultipathSpace, count: int, seeds: Sequence[int]) -> list[Job]:
    """All trainings in their fixed order, one seed after the other.

    Args:
        count: members; 0 for all of the space.

    Raises:
        UserError: the space is too large for all, has fewer members, or a seed is there twice.
    """
    size = space.count_members()
    if not count and size > LARGEST:
        raise UserError(f"{space.title} has more than {LARGEST} members: give --members, or a smaller space")
    if count > size:
        raise UserError(f"{space.title} has {size} members, not {count}")
    if len(set(seeds)) < len(seeds) or not seeds or min(seeds) < 0:
        raise UserError(f"--seeds must be different whole numbers >= 0, not {list(seeds)}")
    members = _members(space, count or size)
    return [Job(member, seed) for seed in seeds for member in members]


def _members(space: MultipathSpace, count: int) -> list[Architecture]:
    """The first members of a fixed random order."""
    size = space.count_members()
    rng = np.random.default_rng([size, 0x7AB])
    if size <= LARGEST:
        return [space.member(int(rank)) for rank in rng.permutation(size)[:count]]
    members: dict[str, Architecture] = {}
    while len(members) < count:
        member = space.random_architecture(rng)
        members.setdefault(member.digest, member)
    return list(members.values())


class TableBuilder:
    """Trains members in this process: faces are loaded once, a seed's batches made once."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.costs = MemberCosts(workspace.space, workspace.experiment.network)
        self._batches: SharedBatches | None = None

    def train(self, job: Job) -> TrainedMember:
        """Train and evaluate one member."""
        workspace, config = self.workspace, self.workspace.experiment.retrain
        if self._batches is None or self._batches.seed != job.seed:
            self._batches = SharedBatches(workspace.faces.train, workspace.uv, config, job.seed)
        member, sizes = job.member, workspace.experiment.network
        network, seconds = train_alone(lambda: MultipathNetwork(member, sizes), self._batches)
        return TrainedMember(
            digest=member.digest,
            code="".join(map(str, member.codes)),
            seed=job.seed,
            parameters=int(self.costs.parameters(member)),
            macs=int(self.costs.macs(member)),
            val=_values(errors_of(network, workspace.uv, workspace.faces.val)),
            test=_values(errors_of(network, workspace.uv, workspace.faces.test)),
            seconds=round(seconds, 3),
        )


def _values(result: BinnedNME) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in (*result.bins, result.mean, result.all))


def build_table(
    experiment: Experiment, space: MultipathSpace, folder: Path, count: int, seeds: Sequence[int], workers: int
) -> MemberTable:
    """Train what is not on record in `folder` yet; the table of all that is asked for.

    Args:
        count: members; 0 for all.
        workers: processes, each with one thread.

    Raises:
        UserError: the folder is of other settings or in use, a record is damaged, or the space is too large.
    """
    jobs = build_jobs(space, count, seeds)
    settings = table_settings(experiment)
    with hold(folder / ".lock", "build", "choose another --folder"):
        about = _check_settings(folder, space, settings)
        done = read_trainings(folder / _TRAININGS)
        waiting = [job for job in jobs if job.key not in done]
        if waiting:
            with stage_bar("training members", len(jobs), len(jobs) - len(waiting)) as bar:
                for training in _trainings(experiment, space, folder, waiting, workers):
                    append_training(folder / _TRAININGS, training)
                    done[training.digest, training.seed] = training
                    bar.update(1)
    chosen = tuple(done[job.key] for job in jobs)
    return MemberTable(space, chosen, about)


def table_settings(experiment: Experiment) -> dict[str, Any]:
    """What a member's figures depend on, beside its code and seed."""
    data = {key: value for key, value in asdict(experiment.data).items() if key != "cache"}
    retrain = {key: value for key, value in asdict(experiment.retrain).items() if key not in _WITHOUT_EFFECT}
    return {
        "experiment": experiment.name,
        "data": data,
        "renderer": RENDERER_VERSION,
        "network": asdict(experiment.network),
        "retrain": retrain,
    }


def _check_settings(folder: Path, space: MultipathSpace, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings and environment of the folder's first build, written where there was none."""
    path = folder / _SETTINGS
    # Not the range of connections: a member is the same network whatever else the space allows.
    mine = {"layers": space.layers, "scales": space.scales, **settings}
    mine = json.loads(json.dumps(mine))
    if not path.exists():
        record = {**mine, "environment": environment() | {"nasface": nasface.__version__}}
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        return record
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        different = next((key for key in mine if record.get(key) != mine[key]), None)
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{path} cannot be read ({error}): build the table in another --folder") from None
    if different:
        raise UserError(f"{folder} is of other settings ({different} differs): build the table in another --folder")
    return record


def _trainings(
    experiment: Experiment, space: MultipathSpace, folder: Path, jobs: Sequence[Job], workers: int
) -> Iterator[TrainedMember]:
    single = replace(experiment, device=replace(experiment.device, threads=1))
    workspace = prepare(single, space)  # with several workers, too: the faces are made once, not by each of them
    if workers == 1:
        for job in jobs:
            yield _train(workspace, job)
    else:
        for _, future in run_side_by_side(single, space, folder, workers, _train, jobs):
            yield future.result()


_builder: TableBuilder | None = None  # of this process: it keeps a seed's batches from one job to the next


def _train(workspace: Workspace, job: Job) -> TrainedMember:
    global _builder
    if _builder is None or _builder.workspace is not workspace:
        _builder = TableBuilder(workspace)
    return _builder.train(job)


# The record ----------------------------------------------------------------------------------------------------------


def append_training(path: Path, training: TrainedMember) -> None:
    """Add one line and wait until the disk has it; what a kill has left of an unfinished line is cut off first."""
    try:
        with path.open("ab+") as stream:
            end = stream.seek(0, os.SEEK_END)
            if end:
                stream.seek(end - 1)
                if stream.read(1) != b"\n":
                    stream.seek(0)
                    stream.truncate(stream.read().rfind(b"\n") + 1)
            stream.write(json.dumps(training.row()).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; free space, then start again") from None


def read_trainings(path: Path) -> dict[tuple[str, int], TrainedMember]:
    """(digest, seed) -> training of every whole line.

    Raises:
        UserError: a line is damaged.
    """
    found: dict[tuple[str, int], TrainedMember] = {}
    if not path.exists():
        return found
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):  # after the last line's end, or of an unfinished line
        try:
            training = TrainedMember.of_row(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}, line {number} is damaged ({error}): remove the line, then start again") from None
        found[training.digest, training.seed] = training
    return found
