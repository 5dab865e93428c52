"""What a search shows: curves in a Lightning logger (W&B's above all) and a progress bar; at its end, in W&B, a table
of all members and the Pareto front."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nasface.metrics.aflw2000 import BIN_NAMES
from nasface.search.strategy import Strategy
from nasface.search.study import Evaluation, StudyResult

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger, WandbLogger

    from nasface.runs.run import Run
    from nasface.space.space import Architecture


class SearchLog:
    """A callback of `run_study`: logs every evaluation, with its number as the step.

    search/penalty, search/nme_0-30 (and so on, search/nme_all) of complete evaluations; search/bound of stopped ones;
    search/seconds, search/stopped_early (0 or 1), search/saved; and all that the strategy's status holds, such as
    search/incumbent, search/temperature, search/acceptance and search/evaluations. A W&B logger also gets the drawing
    of each new incumbent. Replayed evaluations are logged too, so that a resumed search's curves are whole.

    Args:
        logger: any Lightning logger.
    """

    def __init__(self, logger: Logger) -> None:
        self.logger = logger
        self._drawn: str | None = None

    def __call__(self, evaluation: Evaluation, strategy: Strategy) -> None:
        self.logger.log_metrics(search_metrics(evaluation), step=evaluation.number)
        # One drawing for all the incumbents of a replay: the last one.
        if strategy.best is not None and not evaluation.replayed and strategy.best[0].digest != self._drawn:
            self._drawn = strategy.best[0].digest
            self._draw(strategy.best[0], strategy.best[1], evaluation.number)

    def _draw(self, architecture: Architecture, penalty: float, step: int) -> None:
        # Both are slow to import, and tests of strategies need neither.
        from pytorch_lightning.loggers import WandbLogger

        if isinstance(self.logger, WandbLogger):
            caption = f"{architecture.digest}: {penalty:.3f} %"
            self.logger.log_image(
                "search/architecture", [architecture_image(architecture)], step=step, caption=[caption]
            )


def search_metrics(evaluation: Evaluation) -> dict[str, float]:
    """The finite figures of an evaluation under the names that `SearchLog` lists."""
    outcome = evaluation.outcome
    details = outcome.details
    metrics: dict[str, Any] = {
        "penalty" if outcome.complete else "bound": outcome.penalty,
        "seconds": evaluation.seconds,
        "stopped_early": float(not outcome.complete),
        "saved": details.get("saved"),
        "nme_all": details.get("nme_all"),
    }
    bins: Sequence[float | None] = details.get("nme", ())
    metrics |= {f"nme_{name}": value for name, value in zip(BIN_NAMES, bins, strict=False)}
    metrics |= evaluation.status
    return {f"search/{key}": float(value) for key, value in metrics.items() if _is_finite(value)}


def member_table(evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of all evaluations, in order; what is not known is None.

    `bound` stands in the place of a penalty where the evaluation stopped early; `front` tells the members that no other
    one beats in all objectives.
    """
    from nasface.report.pareto import pareto_front

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
        row += [value if _is_finite(value) else None for value in errors]
        row += [details.get("costs", {}).get(name) for name in costs]
        rows.append([*row, one.seconds, outcome.complete and one.architecture.digest in front])
    return columns, rows


def log_search(logger: WandbLogger, run: Run, result: StudyResult, objectives: Sequence[str]) -> None:
    """Log what a finished search found: the table of all evaluated members, the Pareto front (in multiply-adds, where
    the search had no further objective), the best member's drawing and files.

    Args:
        logger: of the search's W&B run.
        run: holds best.json and, of a front, best_1.json and so on.
        result: of the search.
        objectives: of the search, the penalty first.
    """
    import wandb

    from nasface.report.pareto import pareto_figure
    from nasface.tracking.artifacts import ARCHITECTURE, SUPERNET, RunFile, log_file

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
        table = wandb.Table(columns=columns, data=complete)
        title = f"Pareto front: objective value (%) against {shown[1]}"
        logger.experiment.log({"search/pareto_chart": wandb.plot.scatter(table, shown[1], "penalty", title)})
    supernet = RunFile(run.path("supernet", "supernet.pt"), SUPERNET, run.id)
    for path in [run.path("best.json"), *sorted(run.folder.glob("best_*.json"))]:
        log_file(logger, RunFile(path, ARCHITECTURE, run.id), (supernet,))


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def architecture_image(architecture: Architecture) -> Any:
    """The drawing of an architecture as an image of PIL."""
    from nasface.report.drawing import draw_architecture

    return png_image(draw_architecture(architecture))


def png_image(figure: Any) -> Any:
    """A figure as an image of PIL."""
    from PIL import Image

    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100)
    return Image.open(stream)


class SearchProgress:
    """A bar over the search's iterations with the time left and the incumbent's penalty.

        with SearchProgress("searching", strategy.progress[1]) as bar:
            run_study(..., callbacks=[bar.on_evaluation], progress=bar.on_progress)

    Args:
        description: what stands before the bar.
        total: iterations, in the strategy's unit.
    """

    def __init__(self, description: str, total: int) -> None:
        from nasface.utils.progress import stage_bar

        self._bar = stage_bar(description, total)

    def __enter__(self) -> SearchProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def on_evaluation(self, evaluation: Evaluation, strategy: Strategy) -> None:
        """A callback of `run_study`: shows the incumbent."""
        del evaluation
        if strategy.best is not None:
            self._bar.set_postfix_str(f"best {strategy.best[1]:.3f} %", refresh=False)

    def on_progress(self, done: int, total: int) -> None:
        """The progress callback of `run_study`."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)
