"""A file of lines that grows while a long command runs and survives its kill."""

from __future__ import annotations

import os
from pathlib import Path

from nasface.utils.errors import UserError, os_reason


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


def read_lines(path: Path) -> list[bytes]:
    """Every whole line; none where there is no file."""
    # After the last line's end there is nothing, or what a kill has left of an unfinished line.
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []
