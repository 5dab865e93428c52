"""A sweep's folder: runs/<time>-sweep-<name> with its file, its study and the records of its runs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasface.sweeps.sweep_file import SweepFile
from nasface.utils.errors import UserError
from nasface.utils.files import write_json
from nasface.utils.held_folders import hold_first, hold_folder
from nasface.utils.reading import read_json
from nasface.utils.run_files import files_of_runs, new_folder, run_folder

_FILE, _STATUS = "sweep.yaml", "sweep.json"
STUDY = "journal.log"
"""File of the study of a sweep on this machine."""


@dataclass(frozen=True)
class SweepFolder:
    """Where a sweep keeps its records."""

    folder: Path

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    def run(self, number: int) -> Path:
        """The folder of a run's records."""
        return self.path("trials", f"{number:04d}")

    def has_trials(self) -> bool:
        """Whether runs have been started on this machine, without W&B."""
        return self.path(STUDY).exists()

    def status(self) -> dict[str, Any]:
        """What the sweep has said of itself: `finished`, `seed`, with W&B `sweep`, its path there."""
        return read_json(self.path(_STATUS), "start a new sweep")

    def update(self, **values: Any) -> None:
        """Add to what the sweep says of itself."""
        status = self.status() if self.path(_STATUS).exists() else {}
        write_json(self.path(_STATUS), status | values)


def open_sweep_folder(sweep: SweepFile, runs: Path, run_id: str | None, resume: bool, **about: Any) -> SweepFolder:
    """A new sweep's folder, or with `resume` that of `run_id` or the newest unfinished one of the same file.

    Raises:
        UserError: nothing to resume, the file was changed since, a new sweep's id is taken, or another command is
            writing to it.
    """
    found = _resumed(sweep, runs, run_id) if resume else _new(sweep, runs, run_id, about)
    if not hold_folder(found.folder):
        raise UserError(f"another command is writing to {found.folder}: wait for it, or choose another --run")
    if found.status().get("failed"):
        found.update(failed="")
    return found


def _new(sweep: SweepFile, runs: Path, run_id: str | None, about: dict[str, Any]) -> SweepFolder:
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-sweep-{sweep.path.stem}"
    contents = {_FILE: sweep.text, _STATUS: json.dumps({"finished": False, **about})}
    return SweepFolder(new_folder(runs, run_id, name, contents))


def _resumed(sweep: SweepFile, runs: Path, run_id: str | None) -> SweepFolder:
    if run_id:
        found = SweepFolder(run_folder(runs, run_id))
        if not found.path(_FILE).is_file():
            raise UserError(f"there is no sweep {found.folder} to resume: start it without --resume")
        if not _same(sweep, found):
            raise UserError(f"{sweep.path} is not the file of {found.folder}: resume with {found.path(_FILE)}")
        return found

    def waits(folder: Path) -> bool:
        return not SweepFolder(folder).status().get("finished") and _same(sweep, SweepFolder(folder))

    if folder := hold_first((path.parent for path in files_of_runs(runs, _STATUS)), waits):
        return SweepFolder(folder)
    raise UserError(f"{runs} holds no unfinished sweep of {sweep.path}: start it without --resume")


def _same(sweep: SweepFile, found: SweepFolder) -> bool:
    try:
        return found.path(_FILE).read_text(encoding="utf-8") == sweep.text
    except (OSError, UnicodeDecodeError):
        return False
