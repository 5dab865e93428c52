"""`nasface completion`."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from importlib import import_module
from typing import Any, Literal, get_args, get_origin

from nasface import __version__
from nasface.cli.command import Command
from nasface.cli.commands import COMMANDS, GROUPS
from nasface.utils.errors import UserError


def completion(shell: Literal["bash", "zsh", "tcsh"]) -> None:
    """Print what makes a shell complete commands, options and their values: eval "$(nasface completion bash)".

    Args:
        shell: the shell.
    """
    try:
        shtab: Any = import_module("shtab")
    except ImportError:
        raise UserError("completion needs the package shtab: pip install 'nasface[completion]'") from None
    print(shtab.complete(whole_parser(shtab.FILE), shell))


def whole_parser(files: dict[str, str]) -> ArgumentParser:
    """One parser of all commands, which are read one by one otherwise, as plain argparse; `files` is how shtab
    completes paths."""
    from nasface.cli.parser import command_parser

    parser = ArgumentParser("nasface")
    parser.add_argument("--version", action="version", version=__version__, help="Print the version.")
    places = {"": parser.add_subparsers()}
    for group, text in GROUPS.items():
        places[group] = places[""].add_parser(group, help=text).add_subparsers()
    for name, entry in COMMANDS.items():
        group, _, word = name.rpartition(" ")
        command = places[group].add_parser(word, help=entry.help)
        for action in command_parser(name)._actions:
            if "--help" in action.option_strings:
                continue
            told = action.help if isinstance(action.help, str) and action.help != SUPPRESS else ""
            kept: dict[str, Any] = {"help": " ".join(told.split()).replace("%", "%%"), "nargs": action.nargs}
            values = _values(getattr(action, "_typehint", None))
            if action.nargs == 0:
                kept = {"help": kept["help"], "action": "store_true"}
            made = command.add_argument(*(action.option_strings or [action.dest]), **kept)
            if values:
                made.choices = values
            elif action.nargs != 0:
                made.complete = files  # type: ignore[attr-defined]  # of shtab
    return parser


def _values(hint: Any) -> list[str]:
    """The values of an option's type, where they are few."""
    kinds = [hint, *get_args(hint)]
    words = [str(value) for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]
    return words + ["true", "false"] * (bool in kinds)


COMMAND = Command(completion)
