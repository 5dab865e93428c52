"""What a search is made of, wherever it runs: its strategy, the evaluator of its outcomes, and where they are kept.

Apart from the training, so that a worker that joins a search, and one on a table, do not wait for what they never need.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import nasface
from nasface.config import Experiment
from nasface.evaluation.costs import LIMITED, CostedEvaluator, MemberCosts, make_constraints, usual_macs
from nasface.evaluation.supernet import make_evaluator
from nasface.inference.member_latencies import Latencies
from nasface.nets.multipath import Supernet
from nasface.nets.weights import state_digest
from nasface.pipelines.workspace import Workspace
from nasface.runs.run import Run
from nasface.search.objectives import require_objectives
from nasface.search.registry import check_settings, make_strategy, strategy_settings
from nasface.search.strategy import Constraint, Strategy
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.run_files import JOURNAL


def make_search_strategy(experiment: Experiment, space: MultipathSpace, latency: Latencies | None = None) -> Strategy:
    """The strategy that the experiment names, with those of the search's settings that it knows, and its own.

    Args:
        latency: foretells members' times, where those are limited.

    Raises:
        UserError: the strategy or an objective is unknown, or a setting of its own is not one, or not of its type.
    """
    config = experiment.search
    costs = MemberCosts(space, experiment.network)
    for name in require_objectives(config.objectives)[1:]:
        costs.measure(name)
    constraints = search_constraints(experiment, costs, latency)
    known = strategy_settings(config.strategy)
    settings = {
        "iterations": config.iterations,
        "evaluations": config.iterations + 1,
        "objectives": tuple(config.objectives),
        "constraints": constraints,
    }
    settings = {name: value for name, value in settings.items() if name in known}
    own = check_settings(config.strategy, config.settings)
    return make_strategy(config.strategy, space, seed=experiment.seed, **settings, **own)


def search_constraints(
    experiment: Experiment, costs: MemberCosts, latency: Latencies | None = None
) -> tuple[Constraint, ...]:
    """The experiment's limits on what a member costs."""
    config = experiment.search
    limits = {name: getattr(config, f"max_{name}") for name in LIMITED}
    constraints = make_constraints(costs, limits | {"macs": macs_limit(experiment, costs)})
    if latency is not None and config.max_latency:
        constraints += (Constraint("latency", config.max_latency, partial(foretold, latency, costs)),)
    return constraints


def macs_limit(experiment: Experiment, costs: MemberCosts) -> float:
    """The experiment's limit on multiply-adds, the usual one where it names none; 0 is none."""
    if experiment.search.max_macs is not None:
        return experiment.search.max_macs
    return usual_macs(costs) if costs.space.drawn else 0.0


def foretold(latency: Latencies, costs: MemberCosts, member: Architecture) -> float:
    """A member's time of one image in ms, as far as it is known."""
    return latency.milliseconds(member, costs.parameters(member))


def make_scorer(workspace: Workspace, supernet: Supernet) -> CostedEvaluator:
    """The evaluator of a search, whose outcomes also hold what a member costs."""
    experiment = workspace.experiment
    evaluator = make_evaluator(supernet, workspace.uv, workspace.faces, experiment)
    return CostedEvaluator(evaluator, MemberCosts(workspace.searched, experiment.network), experiment.search.objectives)


def search_context(workspace: Workspace, supernet: Supernet) -> dict[str, Any]:
    """What a search's outcomes depend on beside its strategy. Of the faces, their numbers: their bytes need not be the
    same on every machine."""
    faces = {"train": len(workspace.faces.train), "val": len(workspace.faces.val)}
    return {"supernet": state_digest(supernet), "penalty": workspace.experiment.search.penalty, "faces": faces}


def search_storage(experiment: Experiment, run: Run) -> str | Path:
    """Where a run's search is recorded."""
    return experiment.search.storage or run.path(JOURNAL).absolute()


def provenance_of(experiment: Experiment, run: Run) -> dict[str, Any]:
    """What every best.json says of its search."""
    return {
        "nasface": nasface.__version__,
        "experiment": experiment.name,
        "run": str(run.folder),
        "seed": experiment.seed,
        "strategy": experiment.search.strategy,
        "network": asdict(experiment.network),
    }
