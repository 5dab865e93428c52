"""The figures that a command logs, as lines of JSON that another process can follow while the command runs.

A sweep reads its metric there: W&B's offline files hold the same figures, but nothing can be read of them before a run
ends, and there may be none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytorch_lightning.loggers.logger import Logger

METRICS_FILE = "NASFACE_METRICS"
"""Environment variable: the file to append to."""


def follow_metrics(logger: Logger, folder: Path) -> None:
    """Have `logger` append what it logs to the file that NASFACE_METRICS names; nothing where that is not set.

    The first line is {"run": "<folder>"}, each further one {"step": <step>, "metrics": {<name>: <value>, ...}}.

    Args:
        logger: any Lightning logger.
        folder: of the run.
    """
    path = os.environ.get(METRICS_FILE)
    if not path:
        return
    _append(Path(path), {"run": str(folder)})
    inner: Callable[..., None] = logger.log_metrics

    def log_metrics(metrics: Mapping[str, Any], step: int | None = None) -> None:
        # Lightning's W&B logger sends images and tables through here, too.
        figures = {name: number for name, value in metrics.items() if (number := _number(value)) is not None}
        if figures:
            _append(Path(path), {"step": step, "metrics": figures})
        inner(metrics, step)

    logger.log_metrics = log_metrics  # type: ignore[method-assign]


def figures_logger(folder: Path) -> Logger | None:
    """A logger of the followed figures alone, for runs without W&B; None where nobody follows."""
    if not os.environ.get(METRICS_FILE):
        return None
    from pytorch_lightning.loggers.logger import (
        DummyLogger,
    )  # seconds that a sweep, which trains nothing, should not take

    logger = DummyLogger()
    follow_metrics(logger, folder)
    return logger


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):  # the last: a tensor of several elements
        return None


def _append(path: Path, line: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
