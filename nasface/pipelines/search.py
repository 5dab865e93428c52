"""A search from beginning to end (MONAS, Fig. 1): faces, supernet, evaluator, study, best.json.

Every stage keeps what it has done in the run, so that a killed search goes on where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nasface
from nasface.config import Experiment
from nasface.evaluation.costs import LIMITED, CostedEvaluator, MemberCosts, make_constraints
from nasface.evaluation.supernet import make_evaluator
from nasface.nets.multipath import MemberSpec, Supernet
from nasface.nets.weights import state_digest
from nasface.pipelines.finalists import decide
from nasface.pipelines.supernet import take_supernet, train_supernet
from nasface.pipelines.workspace import Workspace, prepare
from nasface.report.drawing import draw_architecture
from nasface.report.pareto import pareto_figure, pareto_front
from nasface.runs.run import Run, end_other_processes
from nasface.search.ledger import search_counts
from nasface.search.local_workers import LocalWorkers
from nasface.search.objectives import require_objectives
from nasface.search.registry import check_settings, make_strategy, strategy_settings
from nasface.search.strategy import Strategy
from nasface.search.study import StudyResult, run_study
from nasface.search.workers import create_shared_study, run_shared
from nasface.space.space import MultipathSpace
from nasface.tracking.artifacts import SUPERNET, RunFile
from nasface.tracking.search_log import SearchLog, SearchProgress, log_search
from nasface.tracking.stage_log import StageLog


@dataclass(frozen=True)
class Found:
    """What a search left: the study, best.json, and the members of its Pareto front where it had several objectives."""

    result: StudyResult
    best: Path
    front: list[Path]


def search(
    experiment: Experiment,
    space: MultipathSpace,
    run: Run,
    *,
    resume: bool = False,
    workers: int = 1,
    reuse_supernet: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Found:
    """Train the supernet of a space, search it, write best.json.

    Args:
        experiment: every setting.
        space: what is searched.
        run: keeps the stages.
        resume: go on with the study that the run holds.
        workers: processes that search; see `search_supernet`.
        reuse_supernet: take the supernet of an earlier run that was trained alike, where there is one.
        say: is given lines about the way, for the user.

    Raises:
        UserError: a setting does not fit, a file is absent or broken, or the disk is full.
    """
    with run.timed("data_s"):
        workspace = prepare(experiment, space)
    if reuse_supernet and (origin := take_supernet(experiment, run)):
        say(f"supernet {origin}")
    supernet = train_supernet(workspace, run)
    end_other_processes()
    if workers != 1:
        storage = search_storage(experiment, run)
        say(f"workers  {workers} here; join by: nasface search-worker --storage {storage} --study {run.id}")
    log = StageLog(experiment, run, "search")
    result = search_supernet(workspace, supernet, run, resume, workers, log)
    result = decide(workspace, run, result)
    found = Found(result, write_best(workspace, run, result), write_front(workspace, run, result))
    if log.logger is not None:
        log_search(log.logger, run, result, experiment.search.objectives)
    log.close()
    run.update_summary(finished=True)
    return found


def search_supernet(
    workspace: Workspace,
    supernet: Supernet,
    run: Run,
    resume: bool,
    workers: int = 1,
    log: StageLog | None = None,
) -> StudyResult:
    """Search the space on a trained supernet; every evaluation is recorded before the next begins.

    With one worker it is this process; with several, or 0, the study is shared: so many processes are started here,
    and others may join (`nasface search-worker`).
    """
    experiment, weights = workspace.experiment, run.path("supernet", "supernet.pt")
    strategy = make_search_strategy(experiment, workspace.space)
    storage, context = search_storage(experiment, run), search_context(experiment, supernet)
    with SearchProgress("searching", strategy.progress[1]) as bar:
        told: dict[str, Any] = {"context": context, "callbacks": [bar.on_evaluation], "progress": bar.on_progress}
        if log is not None and log.logger is not None:
            log.used(RunFile(weights, SUPERNET, run.id))
            told["callbacks"] = [SearchLog(log.logger), bar.on_evaluation]
        if workers == 1:
            result = run_study(strategy, make_scorer(workspace, supernet), storage, run.id, resume=resume, **told)
        else:
            about = {"experiment": asdict(experiment), "supernet": str(weights.absolute())}
            create_shared_study(strategy, storage, run.id, resume=resume, context=context, about=about)
            with LocalWorkers(workers, storage, run.id, run.path("search"), experiment.device.threads) as crew:
                result = run_shared(strategy, None, storage, run.id, look=crew.look, **told)
    run.update_summary(**_summary(strategy, result))
    return result


def _summary(strategy: Strategy, result: StudyResult) -> dict[str, Any]:
    details = [one.outcome.details for one in result.evaluations]
    calibration = sum(one.get("calibration_s", 0.0) for one in details)
    saved = {one.get("worker"): one.get("saved", 0.0) for one in details}
    return {
        "costs": {"calibration_s": round(calibration, 1), "search_s": round(result.seconds - calibration, 1)},
        "search": {
            **search_counts(strategy, result),
            "work_saved": round(sum(saved.values()) / len(saved), 4),
            "penalty": result.penalty,
        },
    }


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


def make_scorer(workspace: Workspace, supernet: Supernet) -> CostedEvaluator:
    """The evaluator of a search, whose outcomes also hold what a member costs."""
    experiment = workspace.experiment
    evaluator = make_evaluator(supernet, workspace.uv, workspace.faces, experiment)
    return CostedEvaluator(evaluator, MemberCosts(workspace.space, experiment.network), experiment.search.objectives)


def search_context(experiment: Experiment, supernet: Supernet) -> dict[str, Any]:
    """What a search's outcomes depend on beside its strategy."""
    return {"supernet": state_digest(supernet), "penalty": experiment.search.penalty}


def search_storage(experiment: Experiment, run: Run) -> str | Path:
    """Where a run's search is recorded."""
    return experiment.search.storage or run.path("search", "journal.log").absolute()


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


def _provenance(experiment: Experiment, run: Run) -> dict[str, Any]:
    summary = run.read_summary()
    return provenance_of(experiment, run) | {
        "sampler": experiment.supernet.sampler,
        "costs": summary.get("costs", {}),
        "search": summary.get("search", {}),
    }
