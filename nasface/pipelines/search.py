"""A search from beginning to end (MONAS, Fig. 1): faces, supernet, evaluator, study, best.json.

Every stage keeps what it has done in the run, so that a killed search goes on where it was.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nasface.config import Experiment, recorded_settings
from nasface.evaluation.costs import MemberCosts
from nasface.inference.latency_table import LatencyTable, kept_latencies
from nasface.nets.multipath import MemberSpec, Supernet
from nasface.pipelines.finalists import decide
from nasface.pipelines.scoring import (
    foretold,
    make_scorer,
    make_search_strategy,
    provenance_of,
    search_context,
    search_storage,
)
from nasface.pipelines.supernet import take_supernet, train_supernet
from nasface.pipelines.workspace import Workspace, prepare_search
from nasface.report.drawing import draw_architecture
from nasface.report.pareto import pareto_figure, pareto_front
from nasface.runs.metrics import read_metrics
from nasface.runs.run import Run, end_other_processes
from nasface.search.local_workers import LocalWorkers
from nasface.search.strategy import Strategy
from nasface.search.study import Callback, StudyResult, run_study, search_counts
from nasface.search.workers import create_shared_study, run_shared
from nasface.space.record import found_width
from nasface.space.space import Architecture, MultipathSpace
from nasface.tracking.progress import SearchProgress
from nasface.tracking.search_stage import SearchStage
from nasface.utils.errors import UserError, without_passwords
from nasface.utils.run_files import supernet_file


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
    latency = latencies(experiment, space, run)
    make_search_strategy(experiment, space, latency).ask()  # a limit that no member keeps shall come out now
    with run.timed("data_s"):
        workspace = prepare_search(experiment, space)
    if reuse_supernet and not supernet_file(run.folder).exists():
        origin = take_supernet(experiment, run)
        say(f"supernet {origin or 'trained here: that of no earlier run was trained alike'}")
    supernet = train_supernet(workspace, run)
    end_other_processes()
    if resume and any(name.startswith("search/") for name in read_metrics(run.folder)):
        _require_journal(experiment, run)
    log = SearchStage(experiment, run)
    result = search_supernet(workspace, supernet, run, resume, workers, log.callbacks, say, latency)
    result = decide(workspace, run, result)
    found = Found(result, write_best(workspace, run, result), write_front(workspace, run, result))
    log.finish(result)
    if latency:
        milliseconds = foretold(latency, MemberCosts(space, experiment.network), result.best)
        run.update_summary(latency={"ms": milliseconds, "error": latency.error, "worst": latency.worst})
    run.update_summary(finished=True)
    return found


def search_supernet(
    workspace: Workspace,
    supernet: Supernet,
    run: Run,
    resume: bool,
    workers: int = 1,
    callbacks: Sequence[Callback] = (),
    say: Callable[[str], None] = lambda line: None,
    latency: LatencyTable | None = None,
) -> StudyResult:
    """Search the space on a trained supernet; every evaluation is recorded before the next begins.

    With one worker it is this process; with several, or 0, the study is shared: so many processes are started here,
    and others may join (`join_search`).
    """
    experiment, weights = workspace.experiment, supernet_file(run.folder)
    strategy = make_search_strategy(experiment, workspace.searched, latency)
    storage, context = search_storage(experiment, run), search_context(workspace, supernet)
    if resume and "search" in run.read_summary():
        _require_journal(experiment, run)
    with SearchProgress("searching", strategy.progress[1]) as bar:
        told: dict[str, Any] = {"context": context, "callbacks": [*callbacks, bar.on_evaluation]}
        told["progress"] = bar.on_progress
        if workers == 1:
            result = run_study(strategy, make_scorer(workspace, supernet), storage, run.id, resume=resume, **told)
        else:
            place = without_passwords(str(storage))
            say(f"workers  {workers} here; join by: nasface search-worker --storage {place} --study {run.id}")
            about = {"experiment": recorded_settings(experiment), "supernet": str(weights.absolute())}
            about |= {"latency": asdict(latency)} if latency else {}
            create_shared_study(strategy, storage, run.id, resume=resume, context=context, about=about)
            with LocalWorkers(workers, storage, run.id, run.path("search"), experiment.device.threads) as crew:
                result = run_shared(strategy, None, storage, run.id, look=crew.look, **told)
    run.update_summary(**_summary(strategy, result))
    return result


def _require_journal(experiment: Experiment, run: Run) -> None:
    """Refuse to search a run anew whose record of evaluations is gone."""
    storage = search_storage(experiment, run)
    if isinstance(storage, Path) and not (storage.is_file() and storage.stat().st_size):
        raise UserError(f"{storage} is empty, but {run.folder} has been searched: restore it, or take another run id")


def _summary(strategy: Strategy, result: StudyResult) -> dict[str, Any]:
    details = [one.outcome.details for one in result.evaluations]
    calibration = sum(one.get("calibration_s", 0.0) for one in details)
    needed, executed = (sum(one.get(name, 0.0) for one in details) for name in ("needed_macs", "executed_macs"))
    return {
        "costs": {"calibration_s": round(calibration, 1), "search_s": round(result.seconds - calibration, 1)},
        "search": {
            **search_counts(strategy, result),
            "work_saved": round(1 - executed / needed, 4) if needed else 0.0,
            "penalty": result.penalty,
        },
    }


def latencies(experiment: Experiment, space: MultipathSpace, run: Run) -> LatencyTable | None:
    """What the limit on latency is checked with: the run's table, measured where it has none; None without a limit.

    Raises:
        UserError: onnxruntime is not installed, or the table is damaged.
    """
    if not experiment.search.max_latency:
        return None
    return kept_latencies(run.path("search", "latency.json"), space, experiment.network)


def write_best(workspace: Workspace, run: Run, result: StudyResult) -> Path:
    """Write best.json (in the run and where the experiment wants it) and the drawing."""
    details = result.best_evaluation.outcome.details
    return write_member(workspace.experiment, run, result.best, result.penalty, details["nme"], details["nme_all"])


def write_member(
    experiment: Experiment,
    run: Run,
    best: Architecture,
    penalty: float,
    bins: Sequence[float | None],
    every: float,
    strategy: str | None = None,
) -> Path:
    """`write_best` of a member with its penalty, and its NME (%) by yaw and over all faces; `strategy` where it is not
    the experiment's on a supernet."""
    parameters, macs = MemberSpec(best, experiment.network).cost()
    scores = {
        "penalty": penalty,
        "nme": _known(bins),
        "nme_all": every,
        "parameters": parameters,
        "macs": macs,
    }
    provenance = _provenance(experiment, run)
    if strategy:
        provenance |= {"strategy": strategy, "sampler": None}
    if strategy and best.space.widths:  # a supernet's was given
        provenance["width"] = experiment.network.width
    best.save(run.path("best.json"), provenance, scores)
    for kind in ("png", "svg"):
        draw_architecture(best, run.path(f"architecture.{kind}"), width=found_width(provenance))
    # At last, so that an earlier search's result stays where this one could not be written whole.
    best.save(experiment.output, provenance, scores)
    return Path(experiment.output)


def _known(bins: Sequence[float | None]) -> list[float | None]:
    """As JSON can hold it: a yaw bin without validation faces has no error."""
    return [None if value is None or math.isnan(value) else value for value in bins]


def write_front(workspace: Workspace, run: Run, result: StudyResult) -> list[Path]:
    """Write the Pareto front of a search for several objectives: best_<k>.json of its members by rising penalty, and a
    figure; nothing for one objective. Beside the output, NAME.json, they are NAME_<k>.json, and those of an earlier,
    larger front go."""
    experiment, objectives = workspace.experiment, workspace.experiment.search.objectives
    if len(objectives) < 2:
        return []
    paths, provenance, output = [], _provenance(experiment, run), Path(experiment.output)
    for number, (evaluation, values) in enumerate(pareto_front(result.evaluations, objectives), start=1):
        details = evaluation.outcome.details
        scores = {"nme": _known(details["nme"]), "nme_all": details["nme_all"], **details["costs"]}
        scores |= dict(zip(objectives, values, strict=True))
        paths.append(run.path(f"best_{number}.json"))
        for path in (paths[-1], output.with_name(f"{output.stem}_{number}.json")):
            evaluation.architecture.save(path, provenance, scores)
    beside = (output.with_name(f"{output.stem}_{number}.json") for number in itertools.count(len(paths) + 1))
    for former in itertools.takewhile(Path.is_file, beside):
        former.unlink()
    pareto_figure(result.evaluations, objectives, run.path("pareto.png"))
    return paths


def _provenance(experiment: Experiment, run: Run) -> dict[str, Any]:
    summary = run.read_summary()
    return provenance_of(experiment, run) | {
        "sampler": experiment.supernet.sampler,
        "costs": summary.get("costs", {}),
        "search": summary.get("search", {}),
    }
