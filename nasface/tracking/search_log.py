"""The curves of a search in a Lightning logger, W&B's above all."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nasface.metrics.aflw2000 import BIN_NAMES
from nasface.search.strategy import Strategy
from nasface.search.study import Evaluation

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from nasface.runs.metrics import RunMetrics
    from nasface.space.space import Architecture


class SearchLog:
    """A callback of `run_study`: logs every evaluation, with its number as the step.

    search/penalty, search/nme_0-30 (and so on, search/nme_all) of complete evaluations; search/bound of stopped ones;
    search/seconds, search/stopped_early (0 or 1), search/saved; and all that the strategy's status holds, such as
    search/incumbent, search/temperature, search/acceptance and search/evaluations. A W&B logger also gets the drawing
    of each new incumbent. Replayed evaluations are logged too, so that a resumed search's curves are whole.

    Args:
        logger: any Lightning logger, or `RunMetrics`.
    """

    def __init__(self, logger: Logger | RunMetrics) -> None:
        self.logger = logger
        self._drawn: str | None = None

    def __call__(self, evaluation: Evaluation, strategy: Strategy) -> None:
        self.logger.log_metrics(search_metrics(evaluation), step=evaluation.number)
        # One drawing for all the incumbents of a replay: the last one.
        if strategy.best is not None and not evaluation.replayed and strategy.best[0].digest != self._drawn:
            self._drawn = strategy.best[0].digest
            self._draw(strategy.best[0], strategy.best[1], evaluation.number)

    def _draw(self, architecture: Architecture, penalty: float, step: int) -> None:
        if log_image := getattr(self.logger, "log_image", None):  # W&B's: its class is slow to import
            caption = f"{architecture.digest}: {penalty:.3f} %"
            log_image("search/architecture", [architecture_image(architecture)], step=step, caption=[caption])


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
    return {f"search/{key}": float(value) for key, value in metrics.items() if is_finite(value)}


def is_finite(value: Any) -> bool:
    """Whether a figure can be logged."""
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
