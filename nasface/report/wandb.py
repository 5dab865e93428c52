"""The W&B logger of a run, or none."""

from __future__ import annotations

import netrc
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_lightning.loggers import WandbLogger

if TYPE_CHECKING:
    from nasface.config import Experiment

_HOST = "api.wandb.ai"


def make_logger(experiment: Experiment, folder: Path, stage: str) -> WandbLogger | None:
    """A logger that writes under `folder`, one W&B run for each stage, grouped by the run's id; None where logging is
    off.

    `auto` goes online with an account (WANDB_API_KEY or `wandb login`) and else writes offline files, which `wandb
    sync` uploads later.
    WANDB_MODE, where set, decides instead.
    """
    mode = os.environ.get("WANDB_MODE") or experiment.log.wandb
    if mode == "auto":
        mode = "online" if _has_account() else "offline"
    if mode in ("off", "disabled"):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("WANDB_SILENT", "true")
    return WandbLogger(
        name=f"{folder.name}-{stage}",
        project=experiment.log.project,
        group=folder.name,
        job_type=stage,
        save_dir=str(folder),
        offline=mode == "offline",
        config=asdict(experiment),
    )


def finish(logger: WandbLogger | None) -> None:
    """Close the W&B run of a stage, so that the next stage starts its own."""
    if logger is not None:
        logger.experiment.finish()


def _has_account() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators(_HOST) is not None
    except (FileNotFoundError, netrc.NetrcParseError):
        return False
