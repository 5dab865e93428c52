"""The `nasface` command: runs what its arguments ask for; exit codes, and what is said when it fails."""

from __future__ import annotations

import os
import resource
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
from nasface.utils.errors import UserError, first_line, lacks_memory, os_reason, without_passwords
from nasface.utils.files import kept
from nasface.utils.progress import close_bars
from nasface.utils.signals import Terminated, terminable

_LEAST_MEMORY = 1400 << 20
_OUTPUTS = ("output", "parquet", "folder", "cache", "runs", "run")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command.

    Exit codes: 0 done; 2 the user can mend it, and a line says how; 1 a mistake of ours, whose traceback is kept in a
    file; 130, 143, 129 and 141 ended by Ctrl-C, SIGTERM, SIGHUP, or for want of a reader of the output.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words:
            command, values = read_arguments(words)
            if command.settings is not None:
                _require_memory()
            with terminable(), kept(_files(values)), started_by(words):
                command.run(**values)
        else:
            print_overview()
        print(end="", flush=True)
    except UserError as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _fail(f"interrupted{_resumes(words)}", 130)
    except Terminated as end:
        _fail(f"terminated{_resumes(words)}", end.code)
    except BrokenPipeError:  # the reader of our output has gone
        _drop_output()
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        if lacks_memory(error):
            spare = "; close other programs, or take fewer workers or smaller sizes"
            _fail(f"there is too little memory{_resumes(words) or spare}", 2)
        if isinstance(error, OSError) and error.errno is not None:
            _fail(f"{error.filename or 'the output'}: {os_reason(error)}{_resumes(words)}", 2)
        _fail(f"{type(error).__name__}: {first_line(error)}{_traceback()}", 1)


def _drop_output() -> None:
    """What is still to be written cannot be: Python would complain again when it flushes at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed, or none at all
            with suppress(OSError, ValueError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _require_memory() -> None:
    """Refuse a limit below which torch's libraries end the process, or never end."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < _LEAST_MEMORY:
        raise UserError(f"too little memory: {limit >> 20} MiB (ulimit -v) are less than {_LEAST_MEMORY >> 20} MiB")


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


def _resumes(words: list[str]) -> str:
    """How to go on with a command that has ended in the middle, where it can."""
    name = command_of(words)
    resumes = name in COMMANDS and "resume" in load_command(name).options
    return "; the same command with --resume true goes on from here" if resumes else ""


def _fail(message: str, code: int) -> None:
    with suppress(OSError, ValueError):
        close_bars()
        print(f"nasface: {without_passwords(' '.join(message.split()))}", file=sys.stderr)
    _drop_output()
    sys.exit(code)
