"""The `nasface` command: runs what its arguments ask for; exit codes, and what is said when it fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from nasface.cli.commands import COMMANDS, command_of, load_command
from nasface.cli.parser import print_overview, read_arguments
from nasface.utils.errors import UserError
from nasface.utils.files import kept
from nasface.utils.progress import close_bars
from nasface.utils.signals import Terminated, terminable

_OUTPUTS = ("output", "parquet", "folder", "cache", "runs", "run")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; what a user can mend ends in one line and exit code 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not words:
            print_overview()
            return
        command, values = read_arguments(words)
        with terminable(), kept(_files(values)):
            command.run(**values)
    except UserError as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _fail(_ended("interrupted", words), 130)
    except Terminated as end:
        _fail(_ended("terminated", words), end.code)
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    print(f"nasface: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
