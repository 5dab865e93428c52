"""Complaints about arguments, in one line that a user can act on."""

from __future__ import annotations

import difflib
import re
from dataclasses import fields, is_dataclass
from typing import Any

from nasface.cli.commands import COMMANDS, GROUPS, load_command
from nasface.config import RENAMED_SETTINGS, Experiment

# What jsonargparse says of a wrong setting, and how to say it in a line that a user can act on.
_REWORDINGS = (
    (r"unrecognized arguments: (\S+).*", r"unknown setting \1"),
    (r"Option '(.+?)' is not accepted", r"unknown setting \1"),
    (r"Group '(.+?)' does not accept option '(.+?)'", r"unknown setting \1.\2"),
    (r"argument command: invalid choice: ('.*?') \(choose from (.*)\)", r"unknown command \1; known are: \2"),
    (r'Parser key "(.+?)":\s+(.*)', r"\1: \2"),
    (r"Expected a typing\.Literal\[(.*?)\]\. Got value: (.*)", r"must be one of \1, not \2"),
    (r"Not of type PositiveInt: .*", "must be a whole number of at least 1"),
    (r"Not of type NonNegativeInt: .*", "must be a whole number, not negative"),
    (r"Not of type PositiveFloat: .*", "must be a number greater than 0"),
    (r"Not of type NonNegativeFloat: .*", "must be a number, not negative"),
    (r"Not of type ClosedUnitInterval: .*", "must be a number from 0 to 1"),
    (r"Expected a <class 'int'>\. Got value: (.*)", r"must be a whole number, not \1"),
    (r"Expected a <class 'float'>\. Got value: (.*)", r"must be a number, not \1"),
    (r"Expected a <class 'bool'>\. Got value: (.*)", r"must be true or false, not \1"),
    (r"Expected a <class 'str'>\. Got value: (.*)", r"must be text, not \1"),
    (r"Does not validate against any of the Union subtypes.*Given value: (.*)", r"\1 is not of its type"),
    (r'expected "command" to be one of \{(.*)\}, but it was not provided\.', r"which command? give one of \1"),
    (r"argument (--\S+): expected one argument", r"\1 needs a value"),
)


def reworded(message: str, command: str) -> str:
    """jsonargparse's message in one line, with the nearest known setting in place of an unknown one.

    Args:
        message: what jsonargparse says.
        command: whose argument it is about; a group or an unknown word where the command line names no command.
    """
    message = " ".join(message.split())
    for pattern, replacement in _REWORDINGS:
        message = re.sub(pattern, replacement, message)
    if command not in COMMANDS:
        return f"{message}; see nasface {command if command in GROUPS else ''} --help".replace("  ", " ")
    if message.startswith("unknown setting "):
        unknown = message.removeprefix("unknown setting ").lstrip("-").partition("=")[0]
        former = RENAMED_SETTINGS if load_command(command).settings is not None else {}
        near = difflib.get_close_matches(unknown, [*setting_names(command), *former], n=1, cutoff=0.6)
        message += f"; did you mean {former[near[0]].name if near[0] in former else near[0]}?" if near else ""
    return f"{message}; see nasface {command} --help"


def setting_names(command: str) -> list[str]:
    """Names of a command's options, and dotted ones of its experiment's settings."""
    found = load_command(command)
    names = [] if found.settings is None else ["experiment", "config", *_leaves(Experiment())]
    return [*found.options, *names]


def _leaves(settings: Any, prefix: str = "") -> list[str]:
    names: list[str] = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        names += _leaves(value, f"{prefix}{field.name}.") if is_dataclass(value) else [f"{prefix}{field.name}"]
    return names
