"""Where a run's folder holds its settings, its supernet and what it has said of itself, for those that write runs and
those that read them."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict

from nasface.utils.errors import UserError, nearest, os_reason
from nasface.utils.files import write_text
from nasface.utils.reading import read_json, reading
from nasface.utils.schema import Finite, checked

JOURNAL = "search/journal.log"
"""Within a search's folder: its study."""
TRAININGS = "search/trainings.jsonl"
"""Within the folder of a search by trainings: what each has measured."""


class Summary(TypedDict, total=False):
    """What readers rely on in a run's summary."""

    command: str
    label: str
    finished: bool
    arguments: list[str]
    costs: dict[str, Finite]
    search: dict[str, Any]
    finalists: dict[str, Any]


def run_folder(runs: str | Path, run_id: str) -> Path:
    """The folder of a run or sweep by its id.

    Raises:
        UserError: the id is not one plain name, and would lead elsewhere.
    """
    if not re.fullmatch(r"[\w+-][\w.+-]{0,99}", run_id):
        raise UserError(f"--run {run_id[:100]!r} is no id: give at most 100 letters, digits, '.', '_', '+' and '-'")
    return Path(runs, run_id)


def nearest_run(folder: str | Path, runs: str | Path | None = None) -> str:
    """The end of a message about a run that is not there: which one may be meant.

    Args:
        folder: where it is looked for.
        runs: folder of the runs; the one that `folder` is in by default.
    """
    there = Path(folder).parent if runs is None else Path(runs)
    return nearest(Path(folder).name, [one.name for one in run_folders(there) if one != Path(folder)])


def run_folders(runs: str | Path) -> list[Path]:
    """The folders in `runs`, but for hidden ones: runs that are being made or removed."""
    return [path for path in Path(runs).glob("[!.]*") if path.is_dir()]


def files_of_runs(runs: str | Path, name: str | Path) -> list[Path]:
    """The files of a name, one in each of the folders in `runs` that have it; the newest first."""
    found = [file for folder in run_folders(runs) if (file := folder / name).is_file()]
    return sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)


def new_folder(runs: Path, run_id: str | None, name: str, contents: dict[str, str], what: str = "") -> Path:
    """Make the folder of a new run: by its id, or else `name`, with a number behind it where that is taken.

    Args:
        runs: folder of the runs.
        run_id: the id, if the user gave one.
        name: of the folder where there is none.
        contents: first files.
        what: stands before the folder in the message.

    Raises:
        UserError: the id is no plain name or taken, or the folder cannot be made.
    """
    folder, number = run_folder(runs, run_id) if run_id else runs / name, 1
    while not create_folder(folder, contents):
        if run_id:
            raise UserError(f"{what}{folder} exists: go on with it by --resume true, or choose another --run")
        number += 1
        folder = runs / f"{name}+{number}"
    return folder


def create_folder(folder: Path, contents: dict[str, str]) -> bool:
    """Make a folder with its first files in one rename, so that a kill leaves no half of it; False where it is taken.

    Raises:
        UserError: it cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True) as made:
            Path(made).chmod(0o755)
            for name, text in contents.items():
                write_text(Path(made, name), text)
            os.rename(made, folder)
        return True
    except OSError as error:
        if folder.exists() and error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        raise UserError(f"cannot make {folder}: {os_reason(error)}, or another --runs") from None


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
