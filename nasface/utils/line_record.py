"""A file of lines that grows while a long command runs and survives its kill."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from nasface.utils.errors import UserError, os_reason

Entry = TypeVar("Entry")


def append_line(path: Path, line: str) -> None:
    """Add one line and wait until the disk has it; what a kill has left of an unfinished line is cut off first."""
    try:
        with path.open("ab+") as stream:
            end = stream.seek(0, os.SEEK_END)
            if end:
                stream.seek(end - 1)
                if stream.read(1) != b"\n":
                    stream.seek(0)
                    stream.truncate(stream.read().rfind(b"\n") + 1)
            stream.write(line.encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise UserError(f"cannot write {path}: {os_reason(error)}, then start again") from None


def _lines(path: Path) -> list[bytes]:
    """Every whole line; none where there is no file."""
    # After the last line's end there is nothing, or what a kill has left of an unfinished line.
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def read_entries(path: Path, parse: Callable[[Any], Entry], mend: str = "--resume") -> list[Entry]:
    """What `parse` makes of every whole line, which is JSON; none where there is no file.

    Args:
        path: the file.
        parse: of the content of a line.
        mend: what goes on with what the file holds.

    Raises:
        UserError: a line is damaged; the message names it.
    """
    found = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            found.append(parse(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}, line {number} is damaged ({error}): remove the line, then {mend}") from None
    return found
