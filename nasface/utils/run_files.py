"""Where a run's folder holds its settings, its supernet and what it has said of itself, for those that write runs and
those that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from nasface.utils.reading import read_json, reading
from nasface.utils.schema import Finite, checked


class Summary(TypedDict, total=False):
    """What readers rely on in a run's summary."""

    command: str
    label: str
    finished: bool
    costs: dict[str, Finite]
    search: dict[str, Any]
    finalists: dict[str, Any]


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
    mend = "remove it and start the command again"
    if not path.exists():
        return {}
    with reading(path, "cannot be read", mend):
        return checked(Summary, read_json(path, mend), "")
