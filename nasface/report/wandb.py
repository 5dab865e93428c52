"""The W&B logger of a run, or none."""

from __future__ import annotations

import netrc
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import wandb
from pytorch_lightning.loggers import WandbLogger

from nasface.errors import UserError
from nasface.report.metrics_file import follow_metrics

if TYPE_CHECKING:
    from nasface.config import Experiment

_HOST = "api.wandb.ai"
# The settings' and W&B's own names, new and old.
_MODES = {
    "off": "disabled",
    "disabled": "disabled",
    "offline": "offline",
    "dryrun": "offline",
    "online": "online",
    "run": "online",
}


def make_logger(experiment: Experiment, folder: Path, stage: str) -> WandbLogger | None:
    """A logger that writes under `folder`, one W&B run for each stage, grouped by the run's id; None where logging is
    off.

    `auto` goes online with an account (WANDB_API_KEY or `wandb login`) and else writes offline files, which `wandb
    sync` uploads later. WANDB_MODE, where set, decides instead.

    Raises:
        UserError: W&B cannot start, for want of an account or a connection.
    """
    mode = _mode(experiment.log.wandb)
    if mode == "disabled":
        return None
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("WANDB_SILENT", "true")
    # `mode` and not the logger's `offline`, which would set WANDB_MODE for everything that this process does later.
    logger = WandbLogger(
        name=f"{folder.name}-{stage}",
        project=experiment.log.project,
        group=folder.name,
        job_type=stage,
        save_dir=str(folder),
        config=asdict(experiment),
        mode=mode,
    )
    logger._wandb_init.pop("anonymous", None)  # wandb has dropped it and warns of it, even where it is None
    try:
        _ = logger.experiment
    except wandb.errors.Error as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"W&B does not start ({reason}): run `wandb login`, or set --log.wandb offline or off"
        ) from None
    follow_metrics(logger, folder)
    return logger


def goes_online() -> bool:
    """Whether W&B is used with an account: one is there, and WANDB_MODE does not say otherwise."""
    return _mode("auto") == "online"


def _mode(setting: str) -> str:
    """online, offline or disabled."""
    mode = os.environ.get("WANDB_MODE") or setting
    if mode == "auto":
        return "online" if _has_account() else "offline"
    mode = _MODES.get(mode, mode)
    if mode not in _MODES.values():
        raise UserError(f"WANDB_MODE is {mode!r}: set it to online, offline or disabled, or unset it")
    return mode


def finish(logger: WandbLogger | None) -> None:
    """Close the W&B run of a stage, so that the next stage starts its own."""
    if logger is not None:
        logger.experiment.finish()


def _has_account() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators(_HOST) is not None
    except (OSError, netrc.NetrcParseError):
        return False
