"""A search on a table of trained members in place of a supernet: the same strategies, study and best.json, in
seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nasface.config import Experiment, recorded_sizes
from nasface.evaluation.costs import CostedEvaluator, MemberCosts
from nasface.pipelines.scoring import make_search_strategy, provenance_of, search_storage
from nasface.runs.metrics import RunMetrics
from nasface.runs.run import Run
from nasface.search.study import StudyResult, run_study, search_counts
from nasface.tabular.evaluator import MemberTableEvaluator
from nasface.tabular.table import MemberTable, read_table
from nasface.tracking.search_log import SearchLog
from nasface.utils.errors import UserError


@dataclass(frozen=True)
class TableSearch:
    """What a search on a table found.

    Attributes:
        result: of the study.
        rank: of the member that was found among all, 1 the best.
        least: the least penalty of the table, NME (%).
        test: NME (%) on the test faces of the member that was found, and
        test_least: the least of the table.
    """

    result: StudyResult
    rank: int
    least: float
    test: float
    test_least: float


def checked_table(experiment: Experiment, on: str) -> tuple[Experiment, MemberTable]:
    """The table that `--on` names, and the experiment with its space and its sizes.

    Raises:
        UserError: see `read_table`; or the experiment's strategy cannot search it.
    """
    table = read_table(on)
    table.check_complete()
    experiment = replace(experiment, space=table.space.name, network=recorded_sizes(table.settings["network"]))
    make_search_strategy(experiment, table.space)
    if experiment.search.max_latency:
        raise UserError("a table's search knows no search.max_latency: leave it out, or take search.max_macs")
    return experiment, table


def search_table(experiment: Experiment, table: MemberTable, run: Run, resume: bool) -> TableSearch:
    """Run the experiment's strategy on a table to its end. best.json lies in the run, and in the experiment's `output`
    only where that is not the default's: a replay of seconds shall not take the place of what a supernet's search has
    left there."""
    strategy = make_search_strategy(experiment, table.space)
    evaluate = MemberTableEvaluator(table)
    scorer = CostedEvaluator(evaluate, MemberCosts(table.space, experiment.network), experiment.search.objectives)
    storage = search_storage(experiment, run)
    log, context = SearchLog(RunMetrics(run.folder, "search/")), {"table": table.fingerprint}
    result = run_study(strategy, scorer, storage, run.id, resume=resume, callbacks=[log], context=context)
    found = result.best_evaluation.outcome.details
    errors, least = table.errors("test"), evaluate.ranking[0]
    outcome = TableSearch(
        result=result,
        rank=1 + evaluate.ranking.index(result.best.digest),
        least=table.errors()[least],
        test=errors[result.best.digest],
        test_least=min(errors.values()),
    )
    scores = {"penalty": result.penalty, "nme": found["nme"], "nme_all": found["nme_all"], **found["costs"]}
    scores |= {"test_nme": found["test_nme"], "test_mean": found["test_mean"]}
    places = {run.path("best.json"), Path(experiment.output)} - {Path(Experiment.output)}
    for path in sorted(places, reverse=True):
        result.best.save(path, provenance_of(experiment, run) | {"table": table.fingerprint}, scores)
    run.update_summary(search={**search_counts(strategy, result), "penalty": result.penalty, "rank": outcome.rank})
    return outcome
