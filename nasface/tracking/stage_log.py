"""One W&B run of a command's stage (supernet, search, retrain): its logger, and the files that it used and made."""

from __future__ import annotations

from functools import partial
from typing import Any

from nasface.config import Experiment
from nasface.runs.run import Run
from nasface.tracking.artifacts import RunFile, declare
from nasface.tracking.metrics_file import figures_logger
from nasface.tracking.wandb import make_logger


class StageLog:
    """A stage's W&B run, or nothing at all where logging is off.

    Args:
        experiment: settings; `log` says whether and where.
        run: its folder holds the offline files.
        stage: of the command, W&B's job type.

    Attributes:
        wandb: the W&B run's logger, None where logging is off.
        logger: what Lightning logs to: the same, or else the figures that a sweep follows; None without either.
    """

    def __init__(self, experiment: Experiment, run: Run, stage: str) -> None:
        self.wandb = make_logger(experiment, run.folder, stage)
        self.logger = self.wandb or figures_logger(run.folder)

    def used(self, *files: RunFile) -> None:
        """Say which files the stage goes back to; one that is not there any more is passed over."""
        for file in files:
            if self.wandb is not None and file.path.is_file():
                run, artifact = self.wandb.experiment, file.artifact({})
                if run.offline is True:
                    # `use_artifact` refuses to work offline, and W&B documents nothing that takes its place. This is
                    # what it does with a new artifact online; a later W&B without it leaves out a line of the graph.
                    declare(file, partial(run._log_artifact, artifact, is_user_created=True, use_after_commit=True))
                else:
                    declare(file, partial(run.use_artifact, artifact))

    def made(self, file: RunFile, parents: tuple[RunFile, ...] = (), **facts: Any) -> None:
        """Keep a file that the stage made from others, which its metadata name."""
        if self.wandb is not None:
            artifact = file.artifact({"from": [parent.name for parent in parents], **facts})
            declare(file, partial(self.wandb.experiment.log_artifact, artifact))

    def close(self) -> None:
        """End the W&B run, so that the next stage starts its own."""
        if self.wandb is not None:
            self.wandb.experiment.finish()
