"""Where a run's folder holds its settings, its supernet and what it has said of itself, for those that write runs and
those that read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nasface.utils.errors import UserError


def settings_file(folder: str | Path) -> Path:
    """Where a run's folder holds the settings that it was started with."""
    return Path(folder) / "experiment.yaml"


def summary_file(folder: str | Path) -> Path:
    """Where a run's folder holds its costs, results and state."""
    return Path(folder) / "summary.json"


def supernet_file(folder: str | Path) -> Path:
    """Where a search's folder holds its trained supernet."""
    return Path(folder, "supernet", "supernet.pt")


def read_summary(folder: str | Path) -> dict[str, Any]:
    """What a run has said of itself so far; nothing where it has said nothing.

    Raises:
        UserError: the file is damaged.
    """
    path = summary_file(folder)
    if not path.exists():
        return {}
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}): remove it and start the command again") from None
    if not isinstance(summary, dict):
        raise UserError(f"{path} cannot be read (no JSON object): remove it and start the command again")
    return summary
