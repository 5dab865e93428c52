"""The W&B run of a search: its curves, and at its end a table of all members and the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nasface.config import Experiment
from nasface.metrics.aflw2000 import BIN_NAMES
from nasface.report.pareto import pareto_figure, pareto_front
from nasface.runs.metrics import RunMetrics
from nasface.runs.run import Run
from nasface.search.study import Evaluation, StudyResult
from nasface.tracking.artifacts import ARCHITECTURE, SUPERNET, RunFile
from nasface.tracking.search_log import SearchLog, architecture_image, is_finite, png_image
from nasface.tracking.stage_log import StageLog
from nasface.utils.run_files import supernet_file

if TYPE_CHECKING:
    from pytorch_lightning.loggers import WandbLogger


class SearchStage(StageLog):
    """metrics.csv and the W&B run of a search; no W&B run where logging is off.

    Args:
        experiment: settings; `log` says whether and where.
        run: holds the supernet, and in the end best.json and, of a front, best_1.json and so on.

    Attributes:
        callbacks: of `run_study`; they log every evaluation.
    """

    def __init__(self, experiment: Experiment, run: Run) -> None:
        super().__init__(experiment, run, "search")
        self._run, self._objectives = run, experiment.search.objectives
        self._supernet = RunFile(supernet_file(run.folder), SUPERNET, run.id)
        self.used(self._supernet)
        self.callbacks = [SearchLog(RunMetrics(run.folder, "search/"))]
        self.callbacks += [] if self.logger is None else [SearchLog(self.logger)]

    def finish(self, result: StudyResult) -> None:
        """Log what was found and end the W&B run: the table of all evaluated members, the Pareto front (in
        multiply-adds, where the search had no further objective), the best member's drawing and files."""
        if self.wandb is not None:
            _log_result(self.wandb, result, self._objectives)
        for path in [self._run.path("best.json"), *sorted(self._run.folder.glob("best_*.json"))]:
            self.made(RunFile(path, ARCHITECTURE, self._run.id), (self._supernet,))
        self.close()


def _log_result(logger: WandbLogger, result: StudyResult, objectives: Sequence[str]) -> None:
    import wandb

    known = result.best_evaluation.outcome.details.get("costs", {})
    shown = list(objectives) if len(objectives) > 1 else [*objectives, *(["macs"] if "macs" in known else [])]
    columns, rows = member_table(result.evaluations, shown)
    logger.log_table("search/members", columns, rows)
    logger.log_image(
        "search/best", [architecture_image(result.best)], caption=[f"{result.best.digest}: {result.penalty:.3f} %"]
    )
    if len(shown) > 1:
        figure = png_image(pareto_figure(result.evaluations, shown))
        logger.log_image("search/pareto", [figure], caption=[", ".join(shown)])
        complete = [row for row in rows if row[2] is not None]
        table = wandb.Table(columns=list[str | int](columns), data=complete)
        title = f"Pareto front: objective value (%) against {shown[1]}"
        logger.experiment.log({"search/pareto_chart": wandb.plot.scatter(table, shown[1], "penalty", title)})


def member_table(evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of all evaluations, in order; what is not known is None.

    `bound` stands in the place of a penalty where the evaluation stopped early; `front` tells the members that no other
    one beats in all objectives.
    """
    front = {one.architecture.digest for one, _ in pareto_front(evaluations, objectives)}
    costs = sorted({name for one in evaluations for name in one.outcome.details.get("costs", {})})
    nme = [f"nme_{name}" for name in (*BIN_NAMES, "all")]
    columns = ["number", "member", "penalty", "bound", *nme, *costs, "seconds", "front"]
    rows = []
    for one in evaluations:
        outcome, details = one.outcome, one.outcome.details
        errors = [*details.get("nme", [None] * len(BIN_NAMES)), details.get("nme_all")]
        row: list[Any] = [one.number, one.architecture.digest]
        row += [outcome.penalty, None] if outcome.complete else [None, outcome.penalty]
        row += [value if is_finite(value) else None for value in errors]
        row += [details.get("costs", {}).get(name) for name in costs]
        rows.append([*row, one.seconds, outcome.complete and one.architecture.digest in front])
    return columns, rows
