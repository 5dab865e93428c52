"""Complaints about arguments, in one line that a user can act on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, get_args, get_origin

from nasface.cli.command import Command
from nasface.cli.commands import COMMANDS, GROUPS, load_command
from nasface.config import EXPERIMENTS, RENAMED_SETTINGS, Experiment
from nasface.space.catalogue import space_names
from nasface.utils.errors import nearest
from nasface.utils.type_words import kind_of

# What jsonargparse says of a wrong setting, and how to say it in a line that a user can act on.
_REWORDINGS = (
    (r"unrecognized arguments: (\S+).*", r"unknown setting \1"),
    (r"unrecognized arguments:$", "an argument is empty: leave it out"),
    (r"Option '(.+?)' is not accepted", r"unknown setting \1"),
    (r"Group '(.+?)' does not accept option '(.+?)'", r"unknown setting \1.\2"),
    (r"argument command: invalid choice: ('.*?') \(choose from (.*)\)", r"unknown command \1; known are: \2"),
    (r'expected "command" to be one of \{(.*)\}, but it was not provided\.', r"which command? give one of \1"),
    (r"argument (--\S+): expected one argument", r"\1 needs a value"),
    (r"the following arguments are required: (\S+).*", r"\1 is missing"),
    (r"Subclasses are disabled for .*", "unknown setting class_path"),
)


def reworded(message: str, command: str, words: Sequence[str], hints: Mapping[str, Any]) -> str:
    """jsonargparse's message in one line, with the nearest known setting in place of an unknown one.

    Args:
        message: what jsonargparse says.
        command: whose argument it is about; a group or an unknown word where the command line names no command.
        words: the command line.
        hints: the type of each option, by its flag.
    """
    message = " ".join(message.split())
    for pattern, replacement in _REWORDINGS:
        message = re.sub(pattern, replacement, message)
    if command not in COMMANDS:
        if word := re.match("unknown command '(.*?)'", message):
            group = f"{command} " if command in GROUPS else ""
            known = [name.removeprefix(group) for name in (*COMMANDS, *GROUPS) if name.startswith(group)]
            message += nearest(word[1], known)
        return f"{message}; see nasface {command if command in GROUPS else ''} --help".replace("  ", " ")
    if key := re.match(r'Parser key "(.+?)":', message):
        message = _type_message(key[1], words, hints, message)
    if message.startswith("unknown setting "):
        unknown = message.removeprefix("unknown setting ")
        found = load_command(command)
        placed = unknown in words[1:] and not unknown.startswith("-")
        message += _by_name(found, unknown) if placed else _instead(found, command, unknown)
    return f"{message}; see nasface {command} --help"


def _type_message(key: str, words: Sequence[str], hints: Mapping[str, Any], message: str) -> str:
    given = next((word for word in words if re.match(rf"--{re.escape(key)}\.[\w.-]", word)), None)
    if "NestedArg" in message and given:
        return f"unknown setting {given.partition('=')[0]}"
    if "." not in key and f"<{key}>" in hints:  # given by its place
        hints = {f"--{key}": hints[f"<{key}>"]}
    if hints.get(f"--{key}") is None or "Unable to load config" in message:
        inside = next((name for name in _leaves(Experiment()) if name.startswith(f"{key}.")), f"{key}.NAME")
        return f"{key} is a section of settings: give one of them, such as --{inside} VALUE"
    # The value as the parser shows it, or as it stands on the command line.
    shown = re.search(r"Given value: (.*)$", message) or re.search(r"(?:Got value|Expected a .*, got): (.*)$", message)
    value, hint = shown[1] if shown else _value(f"--{key}", words), hints[f"--{key}"]
    said = f", not {value[:80]}" if value else ""
    return f"{key}: must be {kind_of(hint)}{said}{nearest(value, _choices(hint)) if value else ''}"


def _choices(hint: Any) -> list[str]:
    if get_origin(hint) is Literal:
        return [one for one in get_args(hint) if isinstance(one, str)]
    return [choice for part in get_args(hint) for choice in _choices(part)]


def _value(flag: str, words: Sequence[str]) -> str:
    found = ""
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == flag:
            found = value if equals else "".join(words[number + 1 : number + 2])
    return found


def _instead(command: Command, name: str, unknown: str) -> str:
    """What may have been meant by an unknown setting."""
    former = RENAMED_SETTINGS if command.settings is not None else {}
    wanted = unknown.lstrip("-").partition("=")[0].replace("-", "_")
    if command.settings is not None and wanted == "experiment":  # within a file
        return ": it is given on the command line alone, --experiment NAME"
    if near := _named_alike(command, name, wanted):
        return f"; did you mean {' or '.join(near)}?"
    found = nearest(wanted, [*setting_names(name), *former])
    for old, new in former.items():
        found = found.replace(f" {old}?", f" {new.name}?")
    return found


def _by_name(command: Command, unknown: str) -> str:
    """How to give a value that stands where none is taken."""
    settings = command.settings is not None
    option = next((one for one in command.options if one in ("arch", "weights", "space")), "")
    if settings and unknown in space_names():
        option = "space"
    elif settings and (EXPERIMENTS / f"{unknown}.yaml").is_file():
        option = "experiment"
    return f"; values are given by name{f': --{option} {unknown}' if option else ''}"


def _named_alike(command: Command, name: str, wanted: str) -> list[str]:
    """The settings, three at most, whose last part is the wanted one's, the likeliest alone where there are some."""
    last, section = wanted.rpartition(".")[2], _section(wanted)
    alike = [one for one in setting_names(name) if one.rpartition(".")[2] == last and one != wanted]
    for likely in (
        [one for one in alike if "." in wanted and _section(one) == section],
        [one for one in alike if one in (command.settings or ())],
        [one for one in alike if _section(one) == name],
        alike,
    ):
        if likely:
            return likely[:3]
    return []


def _section(name: str) -> str:
    return name.lstrip("-").partition(".")[0]


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
