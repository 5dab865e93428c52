"""One-shot training by NNI 3.0 and by nasface: images per second, and how well the supernets rank members.

    python -m benchmarks.one_shot_peer [--table FILE.parquet] [--members 50] [--seeds 0 1] [--supernet.steps 800]

NNI's `RandomOneShot` and nasface's path samplers train a supernet of the same space one after the other: the same first
weights, batches, augmentation, loss, optimizer, schedule, number of optimizer steps, device and threads, and the same
code of every operation (benchmarks/nni_supernet.py builds NNI's space out of nasface's blocks). The same members of a
table are then scored with each one's weights, with batch norm calibrated for the member, and compared with their errors
after trainings of their own. Needs the extra `nni`.

NNI draws every connection's operation on its own, none included, so that many draws have no path to the output (a third
of those of the space `table`). As it comes, NNI trains on them all the same: `nni` does so too; the head then sees
zeros, and the loss is that of one map for all faces. `nni-paths` uses the filter that RandomOneShot has, by which NNI
draws again until there is a path. NNI computes dead ends, which nasface leaves out, and it cannot be seeded.

A rate counts from the end of a training's first step to the end of its last, checkpoints left out. Faces are counted
once for every child that sees them: a step of `mnus` trains K children on its batch at once.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from benchmarks.common import Option, described, parse, run_benchmark, with_settings_of
from benchmarks.rank_correlation import LEAST, Ranking, calibrated_scores
from benchmarks.ranking import chosen_members, matching_table
from nasface.config import Experiment, experiment_file
from nasface.evaluation.supernet import make_evaluator
from nasface.nets.multipath import Supernet
from nasface.pipelines.supernet import make_sampler, train_supernet
from nasface.pipelines.workspace import Workspace, prepare
from nasface.report.tables import text_table
from nasface.runs.run import Run
from nasface.space.space import Architecture
from nasface.tabular.table import MemberTable
from nasface.tracking.environment import environment
from nasface.utils.errors import UserError
from nasface.utils.files import write_json

OPTIONS = (
    Option("table", str, "table", "`table`, which comes with the program, or a .parquet file of `nasface table build`"),
    Option("members", int, 50, "members to rank, drawn from the table; 0 for all"),
    Option("seeds", int, [0, 1], "seeds of the trainings"),
    Option("trainers", str, ["nni", "nni-paths", "uniform", "mnus"], "who trains"),
)


class Pace(pl.Callback):
    """Times of a training's steps.

    Attributes:
        seconds: from the training's start to the end of its last step.
        rate: batches per second, without the first, in which memory is found and kernels are chosen.
    """

    def __init__(self) -> None:
        self._times: list[float] = []

    @property
    def seconds(self) -> float:
        return self._times[-1] - self._times[0]

    @property
    def rate(self) -> float:
        return (len(self._times) - 2) / (self._times[-1] - self._times[1])

    def on_train_start(self, *_: Any) -> None:
        self._times = [time.perf_counter()]

    def on_train_batch_end(self, *_: Any) -> None:
        self._times.append(time.perf_counter())


@dataclass(frozen=True)
class Trained:
    """A supernet and how it was trained.

    Attributes:
        supernet: trained.
        children: trained in one optimizer step.
        connections: that a child computed, on average.
        pathless: share of the children for which no path reached the output.
    """

    supernet: Supernet
    children: int
    connections: float
    pathless: float


def by_nasface(workspace: Workspace, sampler: str, children: int, pace: Pace) -> Trained:
    """A supernet by `train_supernet`."""
    experiment = workspace.experiment
    settings = replace(experiment.supernet, sampler=sampler, children=children, whole=0.0)
    # One checkpoint, after the last step.
    settings = replace(settings, checkpoint_every=settings.steps)
    workspace = replace(workspace, experiment=replace(experiment, supernet=settings))
    with tempfile.TemporaryDirectory() as folder:
        supernet = train_supernet(workspace, Run(Path(folder)), [pace])
    return Trained(supernet, children, mean_connections(workspace), pathless=0.0)


def mean_connections(workspace: Workspace) -> float:
    """Live connections of the children that the workspace's sampler draws, on average."""
    sampler = make_sampler(workspace.experiment, workspace.space)
    codes = np.concatenate([sampler.sample(step) for step in range(workspace.experiment.supernet.steps)])
    return float(workspace.space.live_connections(codes).sum(-1).mean())


def nni_supernet() -> ModuleType:
    """The module of NNI's space and training, which imports NNI."""
    with warnings.catch_warnings():
        # NNI makes a class of its own of every name in torch.nn; torch has new ones there that are no modules.
        warnings.filterwarnings("ignore", ".*found to be not a nn.Module.*")
        return import_module("benchmarks.nni_supernet")


def by_nni(workspace: Workspace, only_paths: bool, pace: Pace) -> Trained:
    """A supernet by NNI's RandomOneShot."""
    nni = nni_supernet()
    model = nni.train_space(workspace, only_paths, [pace])
    supernet = nni.as_supernet(model, Supernet(workspace.space, workspace.experiment.network))
    supernet.to(memory_format=torch.channels_last)
    return Trained(supernet, 1, model.computed / model.passes, model.pathless / model.passes)


TRAINERS: dict[str, Callable[[Workspace, Pace], Trained]] = {
    "nni": lambda workspace, pace: by_nni(workspace, False, pace),
    "nni-paths": lambda workspace, pace: by_nni(workspace, True, pace),
    "uniform": lambda workspace, pace: by_nasface(workspace, "uniform", 1, pace),
    "mnus": lambda workspace, pace: by_nasface(workspace, "mnus", workspace.experiment.supernet.children, pace),
}
NAMES = {
    "nni": "NNI RandomOneShot",
    "nni-paths": "NNI RandomOneShot, filter",
    "uniform": "nasface uniform",
    "mnus": "nasface mnus",
}


@dataclass(frozen=True)
class Result:
    """A training and the ranking of its supernet.

    Attributes:
        trainer: of `TRAINERS`.
        seed: of the training.
        children: trained in one optimizer step.
        seconds: of the training.
        faces_per_second: each child's counted.
        steps_per_second: optimizer steps.
        connections: that a child computed, on average.
        pathless: share of the children for which no path reached the output.
        nme: mean of the members' scores, NME (%) on the validation faces.
        ranking: of the members.
    """

    trainer: str
    seed: int
    children: int
    seconds: float
    faces_per_second: float
    steps_per_second: float
    connections: float
    pathless: float
    nme: float
    ranking: Ranking

    def record(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
        return asdict(self) | {"ranking": self.ranking.record()}


def measure(workspace: Workspace, trainer: str, table: MemberTable, members: Sequence[Architecture]) -> Result:
    """Train by a trainer's name, and rank the members."""
    config, pace = workspace.experiment.supernet, Pace()
    trained = TRAINERS[trainer](workspace, pace)
    evaluate = make_evaluator(trained.supernet, workspace.uv, workspace.faces, workspace.experiment)
    scores, alone = calibrated_scores(evaluate, members), table.errors()
    digests = tuple(member.digest for member in members)
    return Result(
        trainer,
        workspace.experiment.seed,
        trained.children,
        pace.seconds,
        pace.rate * config.batch_size * trained.children,
        pace.rate / config.accumulate,
        trained.connections,
        trained.pathless,
        statistics.fmean(scores),
        Ranking(digests, tuple(scores), tuple(alone[digest] for digest in digests)),
    )


HEADER = ("trainer", "K", "connections", "no path", "faces/s", "steps/s", "training", "NME", "Kendall", "Spearman")


def peer_table(results: Sequence[Result]) -> str:
    """A line for each trainer, of means over its seeds."""
    trainers = dict.fromkeys(one.trainer for one in results)
    lines = {NAMES[trainer]: [one for one in results if one.trainer == trainer] for trainer in trainers}
    return text_table(HEADER, [_line(name, own) for name, own in lines.items()])


def seeds_table(results: Sequence[Result]) -> str:
    """A line for each training."""
    return text_table(HEADER, [_line(f"{NAMES[one.trainer]}, seed {one.seed}", [one]) for one in results])


def _line(name: str, own: Sequence[Result]) -> list[str]:
    def mean(of: Callable[[Result], float]) -> float:
        return statistics.fmean(map(of, own))

    return [
        name,
        str(own[0].children),
        f"{mean(lambda one: one.connections):.1f}",
        f"{mean(lambda one: 100 * one.pathless):.0f} %",
        f"{mean(lambda one: one.faces_per_second):.0f}",
        f"{mean(lambda one: one.steps_per_second):.1f}",
        f"{mean(lambda one: one.seconds):.1f} s",
        f"{mean(lambda one: one.nme):.2f}",
        f"{mean(lambda one: one.ranking.kendall):+.3f}",
        f"{mean(lambda one: one.ranking.spearman):+.3f}",
    ]


def read_arguments(arguments: Sequence[str]) -> tuple[Experiment, Mapping[str, Any]]:
    """The experiment, `table` by default, on one device and without W&B, and the benchmark's own values.

    Raises:
        UserError: a setting that cannot be, or NNI is missing.
    """
    parsed = parse(
        __doc__.splitlines()[0], OPTIONS, with_settings_of(arguments, lambda: experiment_file("table")), "one_shot_peer"
    )
    own = parsed.own
    for name in ("seeds", "trainers"):
        if not own[name] or len(set(own[name])) < len(own[name]):
            raise UserError(f"--{name} must name at least one value, and none twice")
    if unknown := [name for name in own["trainers"] if name not in TRAINERS]:
        raise UserError(f"unknown trainer {unknown[0]!r}; known are: {', '.join(TRAINERS)}")
    if min(own["seeds"]) < 0:
        raise UserError("--seeds must not be negative")
    if 0 < own["members"] < LEAST:
        raise UserError(f"--members must be at least {LEAST}, or 0 for all")
    if parsed.experiment.supernet.steps * parsed.experiment.supernet.accumulate < 2:
        raise UserError("supernet.steps must be at least 2: the first does not count")
    if any(name.startswith("nni") for name in own["trainers"]) and find_spec("nni") is None:
        raise UserError("NNI's training needs the package nni: pip install 'nasface[nni]'")
    device = replace(parsed.experiment.device, devices=1, num_nodes=1, strategy="auto")
    return replace(parsed.experiment, device=device, log=replace(parsed.experiment.log, wandb="off")), own


def main(arguments: Sequence[str]) -> int:
    experiment, own = read_arguments(arguments)
    table = matching_table(own["table"], experiment)
    members = chosen_members(table, own["members"])
    workspace = prepare(experiment, table.space)
    config = experiment.supernet
    print(
        f"{table.space.title}: {config.steps} steps of {config.batch_size * config.accumulate} faces of"
        f" {experiment.network.input_size} px, {torch.get_num_threads()} threads; {len(members)} of"
        f" {len(table.by_member)} members are ranked"
    )
    results = []
    for seed in own["seeds"]:
        for trainer in own["trainers"]:
            seeded = replace(workspace, experiment=replace(experiment, seed=seed))
            one = measure(seeded, trainer, table, members)
            results.append(one)
            print(f"seed {seed}  {NAMES[trainer]}: {one.faces_per_second:.0f} faces/s, tau {one.ranking.kendall:+.3f}")
    if len(own["seeds"]) > 1:
        print(f"\neach seed\n\n{seeds_table(results)}")
    print(f"\nmean of {len(own['seeds'])} seeds\n\n{peer_table(results)}\n")
    print("faces/s counts a face once for each of the K children that see it in a step; connections: of one child")
    output = own["json"]
    figures = {
        "table": table.fingerprint,
        "environment": environment(),
        "trainings": [one.record() for one in results],
        "experiment": described(experiment),
    }
    write_json(output, figures)
    print(f"figures  {output}")
    return 0


if __name__ == "__main__":
    run_benchmark(main)
