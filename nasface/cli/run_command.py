"""A command line, read and run."""

from __future__ import annotations

import logging
import os
import resource
import sys
from collections.abc import Mapping
from io import TextIOWrapper
from typing import Any

from nasface.cli.commands import COMMANDS, command_of, load_command
from nasface.cli.parser import print_overview, read_arguments
from nasface.runs.run import started_by
from nasface.utils.errors import UserError
from nasface.utils.files import kept

_LEAST_MEMORY = 1400 << 20
_KEEP_WHAT_IS_DONE = ("table build", "data build", "data prepare")
_OUTPUTS = ("output", "parquet", "folder", "cache", "runs", "run", "storage")


def run_command(words: list[str]) -> None:
    """Run the command that a command line names.

    Raises:
        UserError: the user can mend it.
        SystemExit: help or the version was asked for and has been printed.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # names of files that are no text, or none of the terminal's
        sys.stdout.reconfigure(errors="backslashreplace")
    if not words:
        print_overview()
        return
    # Where HOME cannot be written, matplotlib says so at every start, and Lightning imports it early.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    command, values = read_arguments(words)
    if command.settings is not None:
        _require_memory()
    with kept(_files(words, values)), started_by(words):
        command.run(**values)


def how_to_go_on(words: list[str]) -> str:
    """How to go on with a command that has ended in the middle, where it can."""
    name = command_of(words)
    if name in _KEEP_WHAT_IS_DONE:
        return "the same command goes on from here"
    resumes = name in COMMANDS and "resume" in load_command(name).options
    return "the same command with --resume true goes on from here" if resumes else ""


def _require_memory() -> None:
    """Refuse a limit below which torch's libraries end the process, or never end."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < _LEAST_MEMORY:
        raise UserError(f"too little memory: {limit >> 20} MiB (ulimit -v) are less than {_LEAST_MEMORY >> 20} MiB")


def _files(words: list[str], values: Mapping[str, Any]) -> list[str]:
    """The files that a command is told to read, those of settings (`--config`, `--space`) included."""
    named = [value for name, value in values.items() if name not in _OUTPUTS]
    flat = [one for value in named for one in (value if isinstance(value, list) else [value])]
    for flag, word in zip(["", *words], words, strict=False):
        name, equals, value = word.partition("=")
        if (name if equals else flag).lstrip("-").rpartition(".")[2] not in _OUTPUTS:
            flat.append(value if equals else word)
    return [one for one in flat if isinstance(one, str) and os.path.isfile(one)]
