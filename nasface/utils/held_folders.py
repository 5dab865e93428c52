"""Folders that this process has to itself until its command ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from nasface.utils.errors import UserError
from nasface.utils.lock import lock_folder

_PATIENCE = 2.0  # seconds: processes that a killed command has forked end a moment after it
_held: dict[tuple[int, int], int] = {}
"""Descriptors of the locked folders, by device and inode."""


def hold_folder(folder: Path) -> bool:
    """Lock a folder for this process until it ends, or `free_folders` is called; False where another one has it."""
    key = _key(folder)
    until = time.monotonic() + _PATIENCE
    while key not in _held:
        if (descriptor := lock_folder(folder)) is not None:
            _held[key] = descriptor
        elif time.monotonic() > until:
            return False
        else:
            time.sleep(0.1)
    return True


def hold_first(folders: Iterable[Path], waits: Callable[[Path], bool]) -> Path | None:
    """Hold the first of the folders that waits to be gone on with and that no other process has; None where there is
    none. What is left out for another process, or because it cannot be read (UserError), is said."""
    for folder in folders:
        try:
            if not waits(folder):
                continue
            if not hold_folder(folder):
                print(f"left out {folder}: another command is writing to it", file=sys.stderr)
            elif waits(folder):  # it may have been finished by the command that has just let go of it
                return folder
        except UserError as error:  # a neighbour that is damaged stops no other
            print(f"left out {error}", file=sys.stderr)
    return None


def is_held(folder: Path) -> bool:
    """Whether a process, this one or another, has a folder to itself."""
    if _key(folder) in _held:
        return True
    if (descriptor := lock_folder(folder)) is None:
        return True
    os.close(descriptor)
    return False


def free_folders() -> None:
    """Let other processes have all folders that this one holds."""
    while _held:
        os.close(_held.popitem()[1])


def _key(folder: Path) -> tuple[int, int]:
    about = folder.stat()
    return about.st_dev, about.st_ino
