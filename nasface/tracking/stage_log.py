"""One W&B run of a command's stage (supernet, search, retrain): its logger, and the files that it used and made."""

from __future__ import annotations

from typing import Any

from nasface.config import Experiment
from nasface.runs.run import Run
from nasface.tracking.artifacts import RunFile, log_file, use_file
from nasface.tracking.wandb import finish, make_logger


class StageLog:
    """A stage's W&B run, or nothing at all where logging is off.

    Args:
        experiment: settings; `log` says whether and where.
        run: its folder holds the offline files.
        stage: of the command, W&B's job type.

    Attributes:
        logger: Lightning's logger, None where logging is off.
    """

    def __init__(self, experiment: Experiment, run: Run, stage: str) -> None:
        self.logger = make_logger(experiment, run.folder, stage)

    def used(self, *files: RunFile) -> None:
        """Say which files the stage goes back to."""
        for file in files:
            use_file(self.logger, file)

    def made(self, file: RunFile, parents: tuple[RunFile, ...] = (), **facts: Any) -> None:
        """Keep a file that the stage made from others."""
        log_file(self.logger, file, parents, **facts)

    def close(self) -> None:
        """End the W&B run, so that the next stage starts its own."""
        finish(self.logger)
