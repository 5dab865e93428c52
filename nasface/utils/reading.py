"""Reading files that somebody else has written: regular files only, sizes checked before memory is taken, and one line
that names the file whatever a library raises over it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nasface.utils.errors import OF_THE_SYSTEM, UserError, first_line, os_reason


@contextmanager
def reading(path: str | Path, fault: str, mend: str, absent: str = "") -> Iterator[None]:
    """Turn whatever goes wrong in the block over a file into a UserError of one line.

    Args:
        path: the file; a folder, pipe or device is refused before the block.
        fault: what is said of it then: "is not a list of image names".
        mend: what to do where it is not, for the message.
        absent: what to do where there is no such file; `mend` where empty.
    """
    try:
        require_file(path, mend)
        yield
    except FileNotFoundError:
        raise UserError(f"{str(path) or repr('')} does not exist: {absent or mend}") from None
    except Exception as error:  # a library may raise nearly anything over a damaged file
        if isinstance(error, UserError) and str(path) in str(error):
            raise
        if isinstance(error, OSError) and error.errno in OF_THE_SYSTEM:
            raise UserError(f"cannot read {path}: {os_reason(error)}") from None
        raise UserError(f"{path} {fault} ({first_line(error)}): {mend}") from None


def require_file(path: str | Path, mend: str) -> None:
    """Refuse what is no regular file: a pipe or an endless device would be read for ever.

    Raises:
        UserError: it is none.
        OSError: it is not there.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        kind = "a folder" if os.path.isdir(path) else "a pipe, socket or device"
        raise UserError(f"{path} is {kind}, not a file: {mend}")


def read_text(path: str | Path, fault: str, mend: str, absent: str = "") -> str:
    """A text in UTF-8, without its byte order mark.

    Raises:
        UserError: see `reading`.
    """
    with reading(path, fault, mend, absent):
        return Path(path).read_text(encoding="utf-8-sig")


def read_lines(path: str | Path, fault: str, mend: str) -> list[str]:
    """The lines of a list that hold something, without spaces around them.

    Raises:
        UserError: see `reading`.
    """
    return [line.strip() for line in read_text(path, fault, mend).splitlines() if line.strip()]


def read_json(path: str | Path, mend: str, absent: str = "") -> dict[str, Any]:
    """The object of a JSON file.

    Raises:
        UserError: see `reading`; it is no JSON object.
    """
    text = read_text(path, "cannot be read", mend, absent)
    with reading(path, "cannot be read", mend):
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
        return content


def files_in(folder: Path, *suffixes: str, deep: bool = False) -> list[Path]:
    """The entries of a folder with one of the suffixes (lower case) in any case, sorted. Names with a dot in front are
    passed over: macOS leaves a `._NAME` beside every file that it copies."""
    found = folder.rglob("*") if deep else folder.glob("*")
    return sorted(path for path in found if path.suffix.lower() in suffixes and not path.name.startswith("."))


def beside(path: Path, suffix: str) -> Path:
    """The file of the same name with another suffix, in upper case where only that is there."""
    lower, upper = path.with_suffix(suffix), path.with_suffix(suffix.upper())
    return upper if upper.is_file() and not lower.is_file() else lower
