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

import copy
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from nasface.config import Experiment, HalvingConfig
from nasface.evaluation.costs import MemberCosts
from nasface.inference.latency_table import kept_latencies
from nasface.inference.member_latencies import Latencies, MemberLatencies
from nasface.metrics.aflw2000 import BIN_NAMES
from nasface.nets.multipath import HPM_BLOCK, IDENTITY, MemberSpec
from nasface.pipelines.scoring import macs_limit, search_constraints
from nasface.pipelines.search import write_member
from nasface.pipelines.workers import run_side_by_side
from nasface.pipelines.workspace import Workspace, prepare
from nasface.runs.metrics import RunMetrics
from nasface.runs.run import Run
from nasface.search.strategy import Constraint
from nasface.space.neighbours import random_neighbour
from nasface.space.presets import presets_in
from nasface.space.random_members import first_that_fit, members_of_every_density
from nasface.space.space import Architecture, MultipathSpace
from nasface.tabular.side_by_side import TOGETHER, train_together, trains_on_gpu
from nasface.tabular.training import DivergedError, SharedBatches, errors_of, figures_of, train_alone
from nasface.tracking.artifacts import ARCHITECTURE, RunFile
from nasface.tracking.stage_log import StageLog
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError
from nasface.utils.line_record import append_line, read_entries
from nasface.utils.progress import stage_bar
from nasface.utils.run_files import TRAININGS

_ATTEMPTS = 2_000
_WALKS, _WALK = 20, 300
"""The last of the attempts walk to the limits; greatest number of moves of a walk."""


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
        """What a search minimises (`search.penalty`): `mean` of the yaw bins, or one; infinite where there is none."""
        value = math.inf if self.nme is None else self.nme[(*BIN_NAMES, "mean").index(bins)]
        return math.inf if math.isnan(value) else value


def search_by_trainings(
    experiment: Experiment, space: MultipathSpace, run: Run, say: Callable[[str], None] = lambda line: None
) -> Path:
    """Search a space by short trainings, and write best.json; its path.

    Args:
        experiment: every setting.
        space: what is searched.
        run: keeps what is done; a search that it has begun goes on.
        say: is given a line a round, for the user.

    Raises:
        UserError: a setting does not fit, the space has too few members of that cost, or all trainings failed.
    """
    config = experiment.halving
    latency = _latencies(experiment, space, run)
    if latency:
        say("limit    members whose time the table leaves in doubt are measured, half a second each")
    limits = Limits.of(experiment, space, latency)
    members = draw_candidates(experiment, space, limits)
    with run.timed("data_s"):
        workspace = prepare(experiment, space)
    rounds = _Rounds(workspace, run, say)
    with run.timed("search_s"):
        ranked = rounds.train(members, config.steps[0], "members")
        for generation in range(1, config.generations + 1):
            rng = np.random.default_rng([experiment.seed, generation])
            if children := draw_children(config, limits, ranked, rng):
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
    rounds.log.made(RunFile(run.path("best.json"), ARCHITECTURE, run.id))
    rounds.log.close()
    run.update_summary(finished=True)
    return path


def _latencies(experiment: Experiment, space: MultipathSpace, run: Run) -> dict[int, MemberLatencies]:
    """The members' times, by width; none where latency is not limited."""
    most = experiment.search.max_latency
    if not most:
        return {}
    several = "-{}" if space.widths else ""
    found = {}
    for width, costs in costs_of(space, experiment).items():
        name = f"latency{several.format(width)}.json"
        table = kept_latencies(run.path("search", name), space, costs.config)
        limits = (experiment.halving.share * most, most)
        found[width] = MemberLatencies(table, costs.config, limits, run.path("search", f"{name}l"))
    return found


def _tell_latency(latency: MemberLatencies, member: MemberSpec, parameters: float, run: Run) -> None:
    """Record what the found member was foretold to need, and needs."""
    table = latency.table
    told = {"ms": table.milliseconds(member.architecture, parameters), "error": table.error, "worst": table.worst}
    run.update_summary(latency=told | {"measured": latency.measured(member.architecture), "limit": latency.limits[-1]})


Ranking = list[tuple[ShortTraining, MemberSpec]]
"""Members with their trainings, best first."""


class _Rounds:
    """The rounds of one search: trains, ranks, logs, and tells the user."""

    def __init__(self, workspace: Workspace, run: Run, say: Callable[[str], None]) -> None:
        self.workspace, self.run, self.say = workspace, run, say
        self.bins = workspace.experiment.search.penalty
        self.log, self.metrics = StageLog(workspace.experiment, run, "search"), RunMetrics(run.folder, "search/")
        self.trained: list[ShortTraining] = []
        self.told: list[dict[str, Any]] = []

    def rank(self, trained: Iterable[tuple[ShortTraining, MemberSpec]]) -> Ranking:
        """The best first, those whose training failed last."""
        return sorted(trained, key=lambda one: (one[0].penalty(self.bins), one[0].digest))

    def train(self, members: Sequence[MemberSpec], steps: int, what: str) -> Ranking:
        """The members after so many steps."""
        found = _train_round(self.workspace, members, steps, self.run)
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


@dataclass(frozen=True)
class Limits:
    """What a member may cost, at each width: the search's limits, and a least share of one of them: of that on latency
    where there is one, or else of that on multiply-adds."""

    most: Mapping[int, Sequence[Constraint]]
    least: Mapping[int, Constraint]

    @classmethod
    def of(
        cls, experiment: Experiment, space: MultipathSpace, latency: Mapping[int, Latencies] = MappingProxyType({})
    ) -> Limits:
        """`latency` are those of each width, where latency is limited. One limit is enough: multiply-adds have
        none of their own beside it that the user did not ask for."""
        search, of_width = experiment.search, costs_of(space, experiment)
        macs = 0.0
        if search.max_macs is not None or not latency:
            usual = of_width.get(experiment.network.width) or MemberCosts(space, experiment.network)
            macs = macs_limit(experiment, usual)
        limited = replace(experiment, search=replace(search, max_macs=macs))
        most, least = {}, {}
        for width, costs in of_width.items():
            most[width] = search_constraints(limited, costs, latency.get(width))
            leading = [limit for limit in most[width] if limit.name == ("latency" if latency else "macs")]
            least[width] = leading[0] if leading else Constraint("macs", 0.0, costs.macs)
        share = experiment.halving.share
        return cls(most, {width: replace(limit, limit=share * limit.limit) for width, limit in least.items()})

    def allow(self, member: MemberSpec) -> bool:
        return self.off(member) == 0

    def off(self, member: MemberSpec) -> float:
        """By which share a member misses the limits: above 0 where it costs too much, below where too little."""
        width, architecture = member.config.width, member.architecture
        for limit in self.most[width]:
            if (cost := limit.measure(architecture)) > limit.limit:
                return cost / limit.limit - 1
        least = self.least[width]
        return min(0.0, least.measure(architecture) / least.limit - 1) if least.limit else 0.0


def widths_of(space: MultipathSpace, experiment: Experiment) -> tuple[int, ...]:
    """Widths of the finest scale that members may have: the space's, or else the experiment's one."""
    return space.widths or (experiment.network.width,)


def costs_of(space: MultipathSpace, experiment: Experiment) -> dict[int, MemberCosts]:
    """What members cost, by width."""
    widths = widths_of(space, experiment)
    return {width: MemberCosts(space, replace(experiment.network, width=width)) for width in widths}


def draw_members(space: MultipathSpace, experiment: Experiment, rng: np.random.Generator) -> Iterator[MemberSpec]:
    """Random members without end, of every density, and of a random width where the space has several."""
    for architecture in members_of_every_density(space, rng):
        width = int(rng.choice(space.widths)) if space.widths else experiment.network.width
        yield MemberSpec(architecture, replace(experiment.network, width=width))


def draw_candidates(experiment: Experiment, space: MultipathSpace, limits: Limits | None = None) -> list[MemberSpec]:
    """Different random members of every density that keep the search's limits and cost at least `halving.share` of the
    multiply-adds that are allowed; the well-known networks first, where they do, each at the greatest width at which it
    does. With `halving.adapt`, each is there at the next greater width, too, changed until it keeps the limits, and
    those that keep them at none are changed at the width that is nearest.

    Raises:
        UserError: too few are met.
    """
    config, limits = experiment.halving, limits or Limits.of(experiment, space)
    rng = np.random.default_rng([experiment.seed, 0x4A1F])
    known = _well_known(experiment, space, limits)
    limit = "search.max_latency" if experiment.search.max_latency else "search.max_macs"
    lacking = (
        f"keep the limits, not halving.candidates {config.candidates}: lower it or halving.share, or raise {limit}"
    )
    drawn = draw_members(space, experiment, rng)
    return first_that_fit(drawn, limits.allow, config.candidates, key_of, lacking, known)


def _well_known(experiment: Experiment, space: MultipathSpace, limits: Limits) -> Iterator[MemberSpec]:
    """The space's well-known networks that keep the limits, or are brought to them."""
    sizes = [replace(experiment.network, width=width) for width in reversed(widths_of(space, experiment))]
    for number, preset in enumerate(presets_in(space).values()):
        members = [MemberSpec(preset, size) for size in sizes]
        widest = next((place for place, member in enumerate(members) if limits.allow(member)), None)
        if widest is not None:
            yield members[widest]
        if experiment.halving.adapt and widest != 0:
            near = members[widest - 1] if widest else min(members, key=lambda member: abs(limits.off(member)))
            adapted = _within(limits, near, np.random.default_rng([experiment.seed, 0xADA, number]))
            if limits.allow(adapted):
                yield adapted


def key_of(member: MemberSpec) -> str:
    """What tells a member from others: its digest, and its width where the space has several."""
    return f"{member.digest}@{member.config.width}" if member.architecture.space.widths else member.digest


def draw_children(config: HalvingConfig, limits: Limits, ranked: Ranking, rng: np.random.Generator) -> list[MemberSpec]:
    """`halving.children` new members, each some random moves from one of the best, which take turns; fewer where the
    space or the limits leave no more.

    Most children are near: m moves are drawn with a probability that falls as 1/m, so that a few are far without a
    number to tune (Doerr et al., "Fast genetic algorithms", GECCO 2017, whose power is 1.5).

    Where the space has several widths, half of the children are of another than their parents. Further moves, each to
    a cost nearer to the limits, bring them within these; so they do where too few others keep the limits.
    """
    known = {training.digest for training, _ in ranked}
    parents = [member for _, member in ranked[: config.parents]]
    found: dict[str, MemberSpec] = {}
    nearness = 1 / np.arange(1, config.moves + 1)
    nearness /= nearness.sum()
    for attempt in range(_ATTEMPTS):
        if len(found) == config.children:
            break
        parent = parents[attempt % len(parents)]
        width = _other_width(parent, rng)
        moves = 1 + rng.choice(config.moves, p=nearness)
        child = MemberSpec(random_neighbour(parent.architecture, rng, moves), replace(parent.config, width=width))
        if width != parent.config.width or attempt >= _ATTEMPTS - _WALKS:
            child = _within(limits, child, rng)
        if key_of(child) not in known and limits.allow(child):
            found.setdefault(key_of(child), child)
    return list(found.values())


def _other_width(parent: MemberSpec, rng: np.random.Generator) -> int:
    """Every second time the next width above or below, where there is one; else the parent's."""
    widths = parent.architecture.space.widths or (parent.config.width,)
    if len(widths) == 1 or rng.random() < 0.5:
        return parent.config.width
    place = widths.index(parent.config.width)
    return int(rng.choice([widths[near] for near in (place - 1, place + 1) if 0 <= near < len(widths)]))


def _within(limits: Limits, member: MemberSpec, rng: np.random.Generator) -> MemberSpec:
    """A member within the limits, if one is met: HPM blocks are exchanged for identities, or the reverse, which leaves
    all ways through the network; then random moves follow by which the limits are never missed by more."""
    member = _with_other_blocks(limits, member, rng)
    off = limits.off(member)
    for _ in range(_WALK):
        if off == 0:
            break
        near = replace(member, architecture=random_neighbour(member.architecture, rng))
        if abs(now := limits.off(near)) <= abs(off):
            member, off = near, now
    return member


def _with_other_blocks(limits: Limits, member: MemberSpec, rng: np.random.Generator) -> MemberSpec:
    """The member with random blocks fewer, where it costs too much, or more, where it costs too little, until it keeps
    the limits, or as near to them as that brings it."""
    off = limits.off(member)
    old, new = (HPM_BLOCK, IDENTITY) if off > 0 else (IDENTITY, HPM_BLOCK)
    space, codes = member.architecture.space, list(member.architecture.canonical.codes)
    for place in rng.permutation([place for place, code in enumerate(codes) if code == old]):
        if off == 0:
            break
        near = replace(member, architecture=Architecture(space, (*codes[:place], new, *codes[place + 1 :])))
        if (now := limits.off(near)) * off >= 0:  # not beyond the limits on the other side
            member, off, codes[place] = near, now, new
    return member


@dataclass(frozen=True)
class _Job:
    member: MemberSpec
    steps: int

    def trained(self, nme: tuple[float, ...] | None) -> ShortTraining:
        return ShortTraining(key_of(self.member), self.steps, nme)


def _train_round(workspace: Workspace, members: Sequence[MemberSpec], steps: int, run: Run) -> list[ShortTraining]:
    """What the members are worth after so many steps, in their order; those on record are not trained again."""
    path = run.path(TRAININGS)
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {(one.digest, one.steps): one for one in read_entries(path, _training_of)}
    waiting = [_Job(member, steps) for member in members if (key_of(member), steps) not in done]
    with stage_bar(f"training for {steps} steps", len(members), len(members) - len(waiting)) as bar:
        for training in _trainings(workspace, waiting, run):
            append_line(path, json.dumps(asdict(training)))
            done[training.digest, training.steps] = training
            bar.update(1)
    return [done[key_of(member), steps] for member in members]


def _training_of(entry: Any) -> ShortTraining:
    nme = None if entry["nme"] is None else tuple(map(float, entry["nme"]))
    return ShortTraining(str(entry["digest"]), int(entry["steps"]), nme)


def _trainings(workspace: Workspace, jobs: Sequence[_Job], run: Run) -> Iterator[ShortTraining]:
    experiment = workspace.experiment
    if jobs and trains_on_gpu(experiment.device):
        for start in range(0, len(jobs), TOGETHER):
            yield from _train_on_gpu(workspace, jobs[start : start + TOGETHER])
        return
    single = replace(experiment, device=replace(experiment.device, threads=1))
    workers = min(experiment.halving.workers or available_cores(), len(jobs))
    if not workers:
        return
    here = replace(workspace, experiment=single)
    how = "the same command with --resume true goes on"
    for _, future in run_side_by_side(single, workspace.space, run.path("search"), workers, _train, jobs, here, how):
        yield future.result()


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


def _measured(workspace: Workspace, job: _Job, network: torch.nn.Module, uv: Any) -> ShortTraining:
    return job.trained(figures_of(errors_of(network, uv, workspace.faces.val)))


_kept: tuple[Workspace, int, SharedBatches] | None = None  # of this process: what networks have in common


def _batches(workspace: Workspace, steps: int) -> SharedBatches:
    global _kept
    if _kept is None or _kept[0] is not workspace or _kept[1] != steps:
        experiment = workspace.experiment
        config = replace(experiment.retrain, steps=steps, epochs=None, batch_size=_batch_size(experiment, steps))
        batches = SharedBatches(workspace.faces.train, workspace.uv, config, experiment.seed, keep=False)
        _kept = workspace, steps, batches
    return _kept[2]


def _batch_size(experiment: Experiment, steps: int) -> int:
    """Faces a step of the trainings of so many steps. The longest, which decide, are as the retraining's."""
    config = experiment.halving
    if len(config.steps) == 1 or steps != config.steps[-1]:
        return config.batch_size
    return config.last_batch_size or experiment.retrain.batch_size
