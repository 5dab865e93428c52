"""The W&B logger of a run, or none."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from nasface.config import Experiment, recorded_settings
from nasface.tracking.metrics_file import follow_metrics
from nasface.utils.errors import UserError, without_passwords

if TYPE_CHECKING:  # a third of a second that a run without W&B should not cost
    import wandb
    from pytorch_lightning.loggers import WandbLogger

# The settings' and W&B's own names, new and old.
_MODES = {
    "off": "disabled",
    "disabled": "disabled",
    "offline": "offline",
    "dryrun": "offline",
    "online": "online",
    "run": "online",
}

# Where W&B keeps what is not a run's own, by its variables WANDB_<kind>_DIR.
_PLACES = {"CACHE": "~/.cache", "CONFIG": "~/.config", "DATA": "~/.local/share"}


def make_logger(experiment: Experiment, folder: Path, stage: str) -> WandbLogger | None:
    """A logger that writes under `folder`, one W&B run for each stage (its job type), grouped by the experiment; None
    where logging is off.

    `auto` goes online with an account (an API key or `wandb login`) and else writes offline files, which `wandb sync`
    uploads later; `wandb offline` and `wandb disabled` are kept to. WANDB_MODE, where set, decides instead; but `off`
    is off.

    Raises:
        UserError: W&B cannot start, for want of an account or a connection.
    """
    os.environ.setdefault("WANDB_SILENT", "true")  # its settings are read once, at the first question to it
    for kind, usual in _PLACES.items():  # W&B would only notice in the middle that a home cannot be written
        if not os.environ.get(f"WANDB_{kind}_DIR") and not _writable(Path(os.path.expanduser(usual), "wandb")):
            os.environ[f"WANDB_{kind}_DIR"] = str((folder / "wandb" / kind.lower()).absolute())
    mode = logging_mode(experiment.log.wandb)
    if mode == "disabled":
        return None
    import wandb
    from pytorch_lightning.loggers import WandbLogger

    folder.mkdir(parents=True, exist_ok=True)
    # `mode` and not the logger's `offline`, which would set WANDB_MODE for everything that this process does later.
    logger = WandbLogger(
        name=f"{folder.name}-{stage}",
        project=experiment.log.project,
        group=experiment.name,
        job_type=stage,
        save_dir=str(folder),
        config={**recorded_settings(experiment), "run": folder.name},
        mode=mode,
    )
    logger._wandb_init.pop("anonymous", None)  # wandb has dropped it and warns of it, even where it is None
    words = sys.argv
    try:
        sys.argv = [without_passwords(word) for word in words]  # W&B keeps them
        run = logger.experiment
    except wandb.errors.Error as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"W&B does not start ({reason}): run `wandb login`, or set --log.wandb offline or off"
        ) from None
    finally:
        sys.argv = words
    follow_metrics(logger, folder)
    if mode == "online":
        print(f"wandb    {run.url}")
    return logger


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def goes_online(mend: str) -> bool:
    """Whether W&B is used with an account: one is there, and WANDB_MODE does not say otherwise.

    Args:
        mend: how the command does without, for messages.
    """
    return logging_mode("auto", mend) == "online"


def logging_mode(setting: str, mend: str = "set --log.wandb off") -> str:
    """online, offline or disabled: what `log.wandb` comes to with WANDB_MODE, W&B's own settings and the account.

    Raises:
        UserError: WANDB_MODE or another setting of W&B's is none of these, or broken.
    """
    if setting == "off":
        return "disabled"
    mode = os.environ.get("WANDB_MODE") or (_wandb_mode(mend) if setting == "auto" else setting)
    if mode not in _MODES:
        raise UserError(f"WANDB_MODE is {mode!r}: set it to online, offline or disabled, or unset it")
    return _MODES[mode]


def _wandb_mode(mend: str) -> str:
    """What W&B's own settings say, and offline where they say online but there is no account."""
    mode = _settings().mode
    return "offline" if mode == "online" and not has_account(mend) else mode


def has_account(mend: str) -> bool:
    """Whether W&B finds an account where it looks for one: its variables, or what `wandb login` has written.

    Raises:
        UserError: W&B finds one that cannot be, or its settings are broken.
    """
    import wandb
    from wandb.sdk.lib.wbauth import authenticate_session

    host = _settings().base_url
    try:
        return bool(authenticate_session(host=host, source="nasface", prompt=False, update_session=False))
    except wandb.errors.Error as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"W&B's account cannot be used ({reason}): run `wandb login`, or {mend}") from None


def _settings() -> wandb.Settings:
    import wandb

    try:
        return wandb.setup().settings
    except ValueError as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"W&B's settings are wrong ({reason}): correct its WANDB_ variables") from None


def sync_line(folder: Path) -> str | None:
    """The line that says how to upload the offline files of a run, those of its parts included; None where there are
    none."""
    places = sorted({path.parent for path in folder.glob("**/wandb/offline-run-*")})
    if not places:
        return None
    place = places[0] if len(places) == 1 else folder / "networks" / "*" / "wandb"
    return f"wandb    offline; to upload: wandb sync {place}/offline-run-*"
