"""A search without a supernet: short trainings of members, of which the best have changed children and go on to longer
ones.

Within a band of cost a member's error after a few hundred steps of its own says how good it becomes (docs/search.md has
the figures, and those of supernets). It begins with the well-known networks of the space and random members, changes
the best as evolution does (Real et al., "Regularized evolution for image classifier architecture search", AAAI 2019),
and ends by successive halving (Karnin, Koren and Somekh, "Almost optimal exploration in multi-armed bandits", ICML
2013; Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016).

Every training is a line of `search/trainings.jsonl`, on disk before the next one ends: a killed search goes on with
those that the file lacks. Which members win does not depend on the number of workers.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from nasface.config import Experiment
from nasface.evaluation.costs import MemberCosts
from nasface.inference.member_latencies import MemberLatencies
from nasface.nets.multipath import MemberSpec
from nasface.pipelines.candidates import draw_candidates, draw_children
from nasface.pipelines.member_limits import Limits, latencies_of
from nasface.pipelines.search import write_member
from nasface.pipelines.short_trainings import ShortTraining, ShortTrainings, weights_file
from nasface.pipelines.workspace import prepare_search
from nasface.runs.metrics import RunMetrics
from nasface.runs.run import Run
from nasface.space.space import MultipathSpace
from nasface.tracking.artifacts import ARCHITECTURE, NETWORK, RunFile
from nasface.tracking.stage_log import StageLog
from nasface.utils.errors import UserError


def search_by_trainings(
    experiment: Experiment, space: MultipathSpace, run: Run, say: Callable[[str], None] = lambda line: None
) -> Path:
    """Search a space by short trainings, and write best.json; its path. The found member's network, as its last
    training left it, is the run's network.pt.

    Args:
        experiment: every setting.
        space: what is searched.
        run: keeps what is done; a search that it has begun goes on.
        say: is given a line a round, for the user.

    Raises:
        UserError: a setting does not fit, the space has too few members of that cost, or all trainings failed.
    """
    config = experiment.halving
    latency = latencies_of(experiment, space, run)
    if latency:
        say("limit    members whose time the table leaves in doubt are measured, half a second each")
    limits = Limits.of(experiment, space, latency)
    members = draw_candidates(experiment, space, limits)
    with run.timed("data_s"):
        workspace = prepare_search(experiment, space)
    with run.timed("search_s") as write_time, ShortTrainings(workspace, run, write_time) as trainings:
        rounds = _Rounds(trainings, say)
        ranked = rounds.train(members, config.steps[0], "members")
        for generation in range(1, config.generations + 1):
            rng = np.random.default_rng([experiment.seed, generation])
            if children := draw_children(config, limits, [member for _, member in ranked], rng):
                ranked = rounds.rank([*ranked, *rounds.train(children, config.steps[0], "children of the best")])
        for steps in config.steps[1:]:
            best = [member for _, member in ranked[: math.ceil(len(ranked) / config.keep)]]
            ranked = rounds.train(best, steps, "best")
    training, member = ranked[0]
    penalty = training.penalty(rounds.bins)
    if training.nme is None or math.isinf(penalty):
        raise UserError("the loss of every candidate became infinite: lower retrain.optimizer.lr")
    run.update_summary(search={"evaluations": len(rounds.trained), "penalty": penalty, "rounds": rounds.told})
    found = replace(experiment, network=member.config)
    path = write_member(found, run, member.architecture, penalty, training.nme[:3], training.nme[4], "halving")
    if latency:
        parameters = MemberCosts(space, member.config).parameters(member.architecture)
        _tell_latency(latency[member.config.width], member, parameters, run)
    made = RunFile(run.path("best.json"), ARCHITECTURE, run.id)
    rounds.log.made(made)
    if _keep_network(run, member):
        rounds.log.made(RunFile(run.path("network.pt"), NETWORK, run.id), (made,))
    rounds.log.close()
    run.update_summary(finished=True)
    return path


def _keep_network(run: Run, member: MemberSpec) -> bool:
    """Keep the found member's network, and none of the others of its round; whether there is one."""
    kept, weights = run.path("network.pt"), weights_file(run, member)
    if weights.exists():  # a search that an earlier version began has none
        weights.replace(kept)
    shutil.rmtree(weights.parent, ignore_errors=True)
    return kept.exists()


def _tell_latency(latency: MemberLatencies, member: MemberSpec, parameters: float, run: Run) -> None:
    """Record what the found member was foretold to need, and needs."""
    table = latency.table
    told = {"ms": table.milliseconds(member.architecture, parameters), "error": table.error, "worst": table.worst}
    run.update_summary(latency=told | {"measured": latency.measured(member.architecture), "limit": latency.limits[-1]})


Ranking = list[tuple[ShortTraining, MemberSpec]]
"""Members with their trainings, best first."""


class _Rounds:
    """The rounds of one search: trains, ranks, logs, and tells the user."""

    def __init__(self, trainings: ShortTrainings, say: Callable[[str], None]) -> None:
        self.trainings, self.say = trainings, say
        experiment, run = trainings.workspace.experiment, trainings.run
        self.bins = experiment.search.penalty
        self.log, self.metrics = StageLog(experiment, run, "search"), RunMetrics(run.folder, "search/")
        self.trained: list[ShortTraining] = []
        self.told: list[dict[str, Any]] = []

    def rank(self, trained: Iterable[tuple[ShortTraining, MemberSpec]]) -> Ranking:
        """The best first, those whose training failed last."""
        return sorted(trained, key=lambda one: (one[0].penalty(self.bins), one[0].digest))

    def train(self, members: Sequence[MemberSpec], steps: int, what: str) -> Ranking:
        """The members after so many steps."""
        found = self.trainings.train(members, steps)
        for training in found:
            self._record(training)
        ranked = self.rank(zip(found, members, strict=True))
        best, worst = (ranked[place][0].penalty(self.bins) for place in (0, -1))
        self.told.append({"steps": steps, "members": [asdict(training) for training, _ in ranked]})
        self.say(f"round    {len(found)} {what} x {steps} steps: {best:.2f} to {worst:.2f} %")
        return ranked

    def _record(self, training: ShortTraining) -> None:
        self.trained.append(training)
        penalty = training.penalty(self.bins)
        incumbent = min(one.penalty(self.bins) for one in self.trained)
        logged = {"search/penalty": penalty, "search/incumbent": incumbent, "search/steps": training.steps}
        for logger in (self.metrics, self.log.wandb):
            if logger is not None and math.isfinite(penalty):
                logger.log_metrics(logged, step=len(self.trained) - 1)
