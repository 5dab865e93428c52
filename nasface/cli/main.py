"""The `nasface` command: runs what its arguments ask for; exit codes, and what is said when it fails."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from tempfile import NamedTemporaryFile
from typing import Any

from nasface.cli.commands import COMMANDS, command_of, load_command
from nasface.cli.parser import print_overview, read_arguments
from nasface.runs.run import started_by
from nasface.utils.errors import UserError, first_line, without_passwords
from nasface.utils.files import kept
from nasface.utils.progress import close_bars
from nasface.utils.signals import Terminated, terminable

_OUTPUTS = ("output", "parquet", "folder", "cache", "runs", "run")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command.

    Exit codes: 0 done; 2 the user can mend it, and a line says how; 1 a mistake of ours, whose traceback is kept in a
    file; 130, 143, 129 and 141 ended by Ctrl-C, SIGTERM, SIGHUP, or for want of a reader of the output.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not words:
            print_overview()
            return
        command, values = read_arguments(words)
        with terminable(), kept(_files(values)), started_by(words):
            command.run(**values)
    except UserError as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _fail(_ended("interrupted", words), 130)
    except Terminated as end:
        _fail(_ended("terminated", words), end.code)
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain again when it flushes at exit.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except MemoryError:
        _fail("there is too little memory: close other programs, or take fewer workers or smaller sizes", 2)
    except Exception as error:
        _fail(f"{type(error).__name__}: {first_line(error)}{_traceback()}", 1)


def _traceback() -> str:
    """Where the traceback of an error of ours is written, for the message."""
    try:
        with NamedTemporaryFile("w", prefix="nasface-", suffix=".txt", delete=False, encoding="utf-8") as file:
            file.write(without_passwords(traceback.format_exc()))
    except OSError:
        return ""
    return f"; this is a mistake of nasface, please report it with {file.name}"


def _files(values: Mapping[str, Any]) -> list[str]:
    """The files that a command is told to read."""
    named = [value for name, value in values.items() if name not in _OUTPUTS]
    flat = [one for value in named for one in (value if isinstance(value, list) else [value])]
    return [one for one in flat if isinstance(one, str) and os.path.isfile(one)]


def _ended(how: str, words: list[str]) -> str:
    name = command_of(words)
    resumes = name in COMMANDS and "resume" in load_command(name).options
    return how + ("; the same command with --resume true goes on from here" if resumes else "")


def _fail(message: str, code: int) -> None:
    close_bars()
    print(f"nasface: {without_passwords(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(code)
