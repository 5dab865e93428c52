"""metrics.csv of a run: what its trainings and its search logged on the way, one figure a line, without any service."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from nasface.utils.errors import UserError
from nasface.utils.files import write_text
from nasface.utils.reading import read_text, reading

FILE = "metrics.csv"
_HEAD = "step,name,value\n"


def begin_metrics(folder: Path, names: tuple[str, ...], step: int = -1) -> None:
    """Make a run's file ready for figures after `step`: those of a part that was cut short, which will come again, go.

    Args:
        folder: of the run.
        names: how the figures' names begin, such as ("train/", "val/"); others stay.
        step: the last one whose figures stay.

    Raises:
        UserError: the file cannot be written.
    """
    path = folder / FILE
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(True) if path.is_file() else []
    kept = [line for line in lines if (parts := _parts(line)) and not (parts[1].startswith(names) and parts[0] > step)]
    write_text(path, _HEAD + "".join(kept))


def append_metrics(folder: Path, figures: Mapping[str, float], step: int) -> None:
    """Add the finite ones of some figures, whole lines in one write.

    Raises:
        UserError: the file cannot be written.
    """
    lines = "".join(f"{step},{name},{value:.7g}\n" for name, value in figures.items() if math.isfinite(value))
    try:
        file = os.open(folder / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(file, lines.encode())
        finally:
            os.close(file)
    except OSError as error:
        raise UserError(f"cannot write {folder / FILE}: {error.strerror or error}; free space, then resume") from None


class RunMetrics:
    """Stands where a logger does, for `SearchLog` and for figures of a run's end; what was there of the same kind goes.

    Args:
        folder: of the run.
        kind: how all names begin, such as "search/".
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        begin_metrics(folder, (kind,))

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        append_metrics(self.folder, metrics, step)


def read_metrics(folder: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and values of every figure by its name; nothing where the run has no file (of a former version).

    Raises:
        UserError: the file is damaged.
    """
    path, mend = folder / FILE, "remove it, and the report has no curves"
    found: dict[str, tuple[list[int], list[float]]] = {}
    if not path.exists():
        return found
    text = read_text(path, "cannot be read", mend)
    with reading(path, "is damaged", mend):
        head, *lines = text.splitlines(True)
        if head != _HEAD:
            raise ValueError(f"it begins with {head.strip()[:40]!r}")
        for line in lines[: None if text.endswith("\n") else -1]:  # the last one may be half written
            if (parts := _parts(line)) is None:
                raise ValueError(f"a line {line.strip()[:40]!r}")
            steps, values = found.setdefault(parts[1], ([], []))
            steps.append(parts[0])
            values.append(parts[2])
    return found


def _parts(line: str) -> tuple[int, str, float] | None:
    """Step, name and value of a whole line; None of the head and of anything else."""
    try:
        step, name, value = line.split(",")
        return (int(step), name, float(value)) if value.endswith("\n") else None
    except ValueError:
        return None
