"""Command lines: the parser of each command, and what it reads."""

from __future__ import annotations

import shutil
from argparse import Action
from collections.abc import Mapping, Sequence
from functools import cache
from types import NoneType
from typing import Any, get_args, get_origin

from jsonargparse import SUPPRESS, ArgumentError, ArgumentParser

from nasface import __version__
from nasface.cli.command import Command
from nasface.cli.commands import COMMANDS, GROUPS, command_of, load_command
from nasface.cli.messages import reworded
from nasface.cli.settings_files import AS_TEXT, type_hints, with_files
from nasface.config import EXPERIMENTS, SearchConfig, add_settings, take_settings
from nasface.utils.errors import UserError
from nasface.utils.type_words import kind_of

_HELP_ALL = "--help-all"


def read_arguments(arguments: Sequence[str]) -> tuple[Command, dict[str, Any]]:
    """The command that a command line names, and the values for its function.

    Raises:
        UserError: there is no such command, or an argument is unknown or not of its type.
        SystemExit: help or the version was asked for and has been printed.
    """
    words = list(arguments)
    if zero := next((word for word in words if "\0" in word), None):  # no shell can give one, a sweep's file can
        raise UserError(f"{zero[:80]!r} holds a zero byte: leave it out")
    name = command_of(words)
    hints: dict[str, Any] = {}
    try:
        if name not in COMMANDS:
            _overview(name if name in GROUPS else "").parse_args(words[name in GROUPS :])
        command, parser = load_command(name), command_parser(name, _HELP_ALL in words)
        hints |= type_hints(parser)
        settings = parser.parse_args(with_files(name, words[len(name.split()) :], hints))
    except ArgumentError as error:
        raise UserError(reworded(str(error), name, words, hints)) from None
    _check_values(parser, settings, hints)
    values: dict[str, Any] = {
        key: value.removeprefix(AS_TEXT) if isinstance(value, str) else value
        for key, value in vars(parser.instantiate(settings)).items()
    }
    if command.settings is not None:
        values = {"experiment": take_settings(values)} | values
        if name == "search":
            _check_strategy(values["experiment"].search)
            values["on"] = values["on"] or _asked_for(words, values)
    return command, values


def _check_values(parser: ArgumentParser, settings: Any, hints: Mapping[str, Any]) -> None:
    """Refuse what no parser does: nothing, where a value must be; numbers that no library takes; names that no system
    takes."""
    for flag, hint in hints.items():
        name = flag.removeprefix("--")
        key = name.replace("-", "_")
        value = settings.get(key) if name != flag and name[-1] != "+" else ""
        if value is None and hint and NoneType not in get_args(hint) and parser.get_default(key) is not None:
            raise UserError(f"{name}: must be {kind_of(hint)}, and has no value: give one, or leave it out")
        bits = 32 if name == "seed" or name.endswith("seeds") else 63
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, int) and one >= 2**bits:
                raise UserError(f"{name}: must be less than 2^{bits}, not {str(one)[:40]}")
            if isinstance(one, str) and "\0" in one:
                raise UserError(f"{name}: {one!r} holds a zero byte: leave it out")
            if isinstance(one, str) and name.endswith("storage") and "://" in one and len(one.split()) > 1:
                raise UserError(f"{name}: a space ends a URL: write %20 in its place")  # it may be a password's


def _asked_for(words: Sequence[str], values: Mapping[str, Any]) -> str:
    """What a search is on by the settings that are given; empty where they do not say, or its run does."""
    from nasface.cli.search import asks_for_supernet

    goes_on = values["resume"] and values["run"]
    return "supernet" if not goes_on and asks_for_supernet(words) else ""


def _check_strategy(config: SearchConfig) -> None:
    if config.settings:  # else a command need not know the strategies
        from nasface.search.registry import check_settings

        check_settings(config.strategy, config.settings)


def print_overview() -> None:
    """Print what `nasface --help` does."""
    _overview("").print_help()


@cache
def command_parser(name: str, every: bool = True) -> ArgumentParser:
    """The parser of one command.

    Args:
        name: in COMMANDS.
        every: its help shows all settings, instead of the main ones.
    """
    command = load_command(name)
    parser = _parser(f"nasface {name}", COMMANDS[name].help, " ".join(["%(prog)s", *command.places, "[options]"]))
    parser.add_function_arguments(command.run, as_group=False, as_positional=True, skip={"experiment"})
    for action in parser._actions:
        hint = getattr(action, "_typehint", None)
        listed = next((one for one in (hint, *get_args(hint)) if get_origin(one) is list), None)
        if listed is not None:  # a list takes all that follow
            action._typehint = get_args(listed)[0]  # type: ignore[attr-defined]
            action.nargs, action.metavar = "+", None if action.dest in command.places else action.metavar
            action.option_strings = action.option_strings[:1]  # without jsonargparse's --name+
        elif hint is bool:  # `--resume` is `--resume true`; the settings of an experiment, added below, need a value
            action.nargs, action.const = "?", True
            parser._option_string_actions[f"--{action.dest.replace('_', '-')}"] = action
    if command.settings is not None:
        parser.add_argument(_HELP_ALL, action=_HelpAll, help="Show every setting, not only the main ones, and exit.")
        before = len(parser._actions)
        add_settings(parser)
        for action in () if every else parser._actions[before:]:
            if action.dest not in ("config", *command.settings):
                action.help = SUPPRESS
    return parser


class _HelpAll(Action):
    """Prints the help, and below it what no parser knows: data sets, strategies' own settings, recipes."""

    def __init__(self, option_strings: Sequence[str], **keywords: Any) -> None:
        super().__init__(option_strings, **keywords | {"nargs": 0, "default": SUPPRESS})

    def __call__(self, parser: Any, *_: Any) -> None:
        parser.print_help()
        if parser.prog == "nasface search":
            from nasface.search.registry import settings_help

            print("\n" + settings_help(shutil.get_terminal_size().columns - 2))
        if parser.prog in ("nasface search", "nasface retrain", "nasface compare"):
            from nasface.data.registry import DATA_SETS

            print("\ndata sets (--data.train, --data.test): " + ", ".join(DATA_SETS.names()))
        if parser.prog in ("nasface retrain", "nasface compare"):
            names = sorted(f"papers/{path.stem}" for path in EXPERIMENTS.glob("papers/*.yaml"))
            print("\nrecipes of the papers (--experiment NAME): " + ", ".join(names))
        parser.exit()


def _parser(name: str, description: str, usage: str | None = None) -> ArgumentParser:
    return ArgumentParser(
        prog=name,
        usage=usage,
        description=description,
        exit_on_error=False,
        allow_abbrev=False,  # an abbreviation would change its meaning with the next setting that is added
        print_config=None,
    )


def _overview(group: str) -> ArgumentParser:
    """The parser of the program, or of a group of commands, for its help and its complaints: it lists the commands
    without their options."""
    parser = _parser(
        f"nasface {group}".strip(),
        GROUPS.get(group, "Search, train and compare neural networks for 3D face alignment."),
    )
    if not group:
        parser.add_argument("--version", action="version", version=f"nasface {__version__}", help="Print the version.")
    helps = {
        name.removeprefix(f"{group} "): entry.help
        for name, entry in COMMANDS.items()
        if name.rpartition(" ")[0] == group
    }
    commands = parser.add_subcommands(required=True, dest="command")
    for name, text in (helps if group else helps | GROUPS).items():
        commands.add_subcommand(name, ArgumentParser(exit_on_error=False), help=text)
    return parser
