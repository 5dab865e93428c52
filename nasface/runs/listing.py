"""The runs of a folder as a user asks for them: what each is, its state and its main figure, and the files that it
holds."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from nasface.config import flat
from nasface.utils.errors import UserError
from nasface.utils.held_folders import is_held
from nasface.utils.lock import lock_folder
from nasface.utils.reading import read_json
from nasface.utils.run_files import JOURNAL, TRAININGS, nearest_run, read_summary, run_folders, settings_file
from nasface.utils.yaml_files import load_yaml

SWEEP = "sweep.json"
DAMAGED = "damaged"
_REMOVED = ".removed."
EMPTY = "empty"
"""Stands for a setting that has no value, as in the help of commands."""
_NOT_COMPARED = ("seed", "runs", "output", "log", "device", "name", "data.cache")
_OF_A_SEARCH = ("space", "search", "supernet", "finalists", "halving", "compare")

FILES: tuple[tuple[str, str, str], ...] = (
    ("experiment.yaml", "every setting that the run was started with", ""),
    ("summary.json", "command, state, costs, results, environment", ""),
    ("metrics.csv", "losses, validation errors, the search's curve: step, name, value", "the report's curves"),
    ("network.pt", "the trained network, of a search by trainings that of its best", "predict, evaluate and export"),
    ("test_faces.npz", "errors of every test face, and pictures of some", "the report's faces and error curves"),
    ("faces.png", "test faces with their landmarks, by yaw", "nothing"),
    ("retrain/last.ckpt", "checkpoint of the training", "going on with a training that was cut short"),
    ("retrain/*", "figures of the training", "nothing"),
    ("best.json", "the network that the search found", "retraining it"),
    ("best_*.json", "the other networks of the Pareto front", "retraining them"),
    ("architecture.*", "drawing of the network that was found", "nothing"),
    ("pareto.png", "drawing of the Pareto front", "nothing"),
    ("supernet/supernet.pt", "the trained supernet", "searching it again, --init supernet, --reuse_supernet"),
    ("supernet/last.ckpt", "checkpoint of the supernet's training", "going on with a training that was cut short"),
    (JOURNAL, "every evaluation of the search (an Optuna study)", "resume, the report and the dashboard"),
    (TRAININGS, "every short training of `search --on trainings`", "resume"),
    ("search/*", "the search's workers: their logs, and finalists", "nothing once the search has ended"),
    ("ranking.json", "how the supernet ranks members (benchmarks.ranking)", "the report's ranking"),
    ("comparison.*", "the comparison's table", ""),
    ("latencies.json", "latencies of the compared networks", "the table of a resumed comparison"),
    ("networks/*", "one folder like a retraining's for each row and seed", "resume, and reports on single rows"),
    ("sweep.yaml", "the sweep's file as it was started", ""),
    ("sweep.json", "the sweep's state", ""),
    ("runs.csv", "the sweep's table", ""),
    ("best.yaml", "settings of the sweep's best run", ""),
    ("trials/*", "output and figures of each run of the sweep", "resume"),
    ("wandb/*", "W&B's files", "uploading them by `wandb sync`"),
    ("*.log", "what worker processes said", "nothing"),
)
"""Files of a run by pattern: what each is, and what is lost without it; where that is empty, the run itself."""


@dataclass(frozen=True)
class RunEntry:
    """A run, or a sweep, in a list.

    Attributes:
        folder: its place.
        command: that made it.
        state: `finished`, `running`, `failed`, `unfinished` (interrupted or killed) or `damaged`.
        started: seconds since the epoch.
        summary: what it says of itself.
        settings: that it was started with; empty for a sweep and where they cannot be read.
    """

    folder: Path
    command: str
    state: str
    started: float
    summary: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def figure(self) -> tuple[float, str] | None:
        """Its main error, percent, and of what; None before there is one."""
        found: tuple[Any, str] = (None, "")
        if self.command == "search":
            found = (self.summary.get("search") or {}).get("penalty"), "validation faces"
        elif isinstance(result := self.summary.get("result"), dict):
            found = result.get("mean"), "test faces"
        known = isinstance(found[0], int | float) and math.isfinite(found[0])
        return (float(found[0]), found[1]) if known else None

    @property
    def penalty(self) -> str:
        """What a search minimised (`search.penalty`); errors of different kinds are not to be compared."""
        return str((self.settings.get("search") or {}).get("penalty", "mean"))

    @property
    def product(self) -> Path:
        """The file that one takes from it."""
        names = {"search": "best.json", "compare": "comparison.md", "sweep": "best.yaml"}
        return self.folder / names.get(self.command, "network.pt")

    def size(self) -> int:
        """Bytes of its files."""
        total = 0
        for path in self.folder.rglob("*"):
            if not path.is_dir():
                with suppress(FileNotFoundError):  # a command that is at work replaces some
                    total += path.lstat().st_size
        return total


def list_runs(runs: Path) -> tuple[list[RunEntry], int]:
    """All runs and sweeps of a folder, the oldest first, and how many other folders there are.

    Raises:
        UserError: the folder is absent.
    """
    if not runs.is_dir():
        raise UserError(f"there is no folder {runs}: run `nasface search` or `nasface retrain` first, or give --runs")
    folders = run_folders(runs)
    found = [entry for folder in folders if (entry := _entry(folder))]
    return sorted(found, key=lambda entry: (entry.started, entry.id)), len(folders) - len(found)


def find_run(runs: Path, name: str) -> RunEntry:
    """A run by its id or by its folder.

    Raises:
        UserError: there is none.
    """
    folder = runs / name if (runs / name).is_dir() else Path(name)
    if not folder.is_dir():
        raise UserError(
            f"there is no run {name}, here or in {runs}: see `nasface runs list`{nearest_run(folder, runs)}"
        )
    if (entry := _entry(folder)) is None:
        raise UserError(f"{folder} is no run (it has no experiment.yaml): see `nasface runs list`")
    return entry


def _entry(folder: Path) -> RunEntry | None:
    """What is in a folder; None where it is no run."""
    sweep = (folder / SWEEP).is_file()
    file = folder / SWEEP if sweep else settings_file(folder)
    if not file.is_file():
        return None
    first = folder / "sweep.yaml"  # sweep.json is written again as the sweep goes on
    try:
        started = (first if first.is_file() else file).stat().st_mtime
    except FileNotFoundError:  # it is being removed
        return None
    try:
        summary = read_json(file, "start a new sweep") if sweep else read_summary(folder)
        settings = {} if sweep else load_yaml(file)
        if not isinstance(settings, dict):
            raise UserError(f"{file} has no settings")
    except UserError:
        return RunEntry(folder, "sweep" if sweep else "?", DAMAGED, started)
    command = "sweep" if sweep else str(summary.get("command", "?"))
    return RunEntry(folder, command, _state(folder, summary), started, summary, settings)


def _state(folder: Path, summary: Mapping[str, Any]) -> str:
    if summary.get("finished"):
        return "finished"
    with suppress(OSError):  # it is being removed
        if is_held(folder):
            return "running"
    return "failed" if summary.get("failed") else "unfinished"


def files_of(folder: Path) -> list[tuple[str, int, str, str]]:
    """The files of a run together by what they are: pattern or name, bytes, what it is, what is lost without it."""
    sizes: dict[tuple[str, str, str], int] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            name = path.relative_to(folder).as_posix()
            known = next((entry for entry in FILES if _fits(name, entry[0])), None)
            key = known or (name, "not a file of nasface", "nothing")
            with suppress(FileNotFoundError):  # a command that is at work replaces some
                sizes[key] = sizes.get(key, 0) + path.stat().st_size
    order = {entry: number for number, entry in enumerate(FILES)}
    found = sorted(sizes.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))
    return [(key[0], size, key[1], key[2]) for key, size in found]


def _fits(name: str, pattern: str) -> bool:
    # `*` goes over slashes below a folder, and no file of a folder is taken for one of the run itself.
    return fnmatch(name, pattern) and ("/" in pattern or "/" not in name)


def differences(runs: Sequence[RunEntry]) -> list[tuple[str, list[str]]]:
    """Settings in which runs differ, with each one's value; the seed, the machine and where results go are left out,
    and of retrainings what only a search reads."""
    settings = [compared_settings(run.settings, run.command == "search") for run in runs]
    table = [(name, [one.get(name, "-") for one in settings]) for name in sorted(set().union(*settings))]
    return [(name, values) for name, values in table if len(set(values)) > 1]


def compared_settings(settings: Mapping[str, Any], search: bool = False) -> dict[str, str]:
    """Settings by dotted names as far as they are a protocol, for which see `differences`."""
    sections = _NOT_COMPARED + (() if search else _OF_A_SEARCH)
    return {
        name: EMPTY if value is None else str(value)
        for name, value in flat(settings).items()
        if not any(name == section or name.startswith(f"{section}.") for section in sections)
    }


def remove_run(run: RunEntry) -> None:
    """Remove a run's folder. It leaves the list in one rename, so that a kill leaves no half of it there.

    Raises:
        UserError: it cannot be removed, or a command is writing to it.
    """
    try:
        if run.folder.is_symlink():
            run.folder.unlink()  # of a run elsewhere, which stays
            return
        folder = run.folder.resolve()
        if (lock := lock_folder(folder)) is None:
            raise UserError(f"a command is writing to {run.folder}: end it first")
        try:
            gone = Path(tempfile.mkdtemp(prefix=f"{_REMOVED}{folder.name}.", dir=folder.parent))
            try:
                os.replace(folder, gone)
            except OSError:
                gone.rmdir()
                raise
            for left in folder.parent.glob(f"{_REMOVED}*"):  # also what a kill has left of an earlier one
                shutil.rmtree(left, ignore_errors=left != gone)
        finally:
            os.close(lock)
    except OSError as error:
        raise UserError(f"cannot remove {run.folder}: {error.strerror or error}") from None


def date(seconds: float) -> str:
    """A time as the list shows it, of this machine's clock."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
