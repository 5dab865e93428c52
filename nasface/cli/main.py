"""The `nasface` command: reads settings, calls the workflow, prints what came out."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin

import jsonargparse
import yaml
from jsonargparse import ActionConfigFile, ArgumentParser

from nasface.cli import commands
from nasface.config import Experiment, experiment_file
from nasface.pipelines.architectures import recorded_experiment
from nasface.utils.errors import UserError
from nasface.utils.progress import close_bars


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; what a user can mend ends in one line and exit code 2."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _run(arguments)
    except UserError as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _fail(_interrupted(arguments), 130)
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupted(arguments: Sequence[str]) -> str:
    command = commands.COMMANDS.get(_command_of(arguments)) if arguments else None
    resumes = command is not None and any(option.name == "resume" for option in command.options)
    return "interrupted" + ("; the same command with --resume true goes on from here" if resumes else "")


def _fail(message: str, code: int) -> None:
    close_bars()
    print(f"nasface: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def _run(arguments: list[str]) -> None:
    parser = make_parser()
    if not arguments:
        parser.print_help()
        return
    try:
        settings = parser.parse_args(_with_files(arguments))
    except jsonargparse.ArgumentError as error:
        raise UserError(_plain(str(error), _command_of(arguments))) from None
    name, own = settings.command, parser.instantiate(settings)[settings.command]
    if name not in commands.COMMANDS:  # the first of two words
        name, own = f"{name} {own.command}", own[own.command]
    values = {key: value for key, value in vars(own).items() if key != "config"}
    command = commands.COMMANDS[name]
    if command.experiment:
        names = [field.name for field in fields(Experiment)]
        values = {"experiment": Experiment(**{key: values.pop(key) for key in names})} | values
    command.run(**values)


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse a command line that `main` would refuse, without running it.

    Raises:
        UserError: it is refused.
    """
    words = list(arguments)
    try:
        _checker().parse_args(_with_files(words))
    except jsonargparse.ArgumentError as error:
        raise UserError(_plain(str(error), _command_of(words))) from None


@cache
def _checker() -> ArgumentParser:
    return make_parser()


def make_parser() -> ArgumentParser:
    """The parser of all commands, every setting with its meaning and default."""
    parser = ArgumentParser(
        prog="nasface",
        description="Search, train and compare neural networks for 3D face alignment.",
        exit_on_error=False,
        allow_abbrev=False,  # an abbreviation would change its meaning with the next setting that is added
    )
    subcommands = parser.add_subcommands(required=True, dest="command")
    groups: dict[str, Any] = {}
    for name, command in commands.COMMANDS.items():
        parent, _, last = name.rpartition(" ")
        if parent and parent not in groups:
            group = ArgumentParser(description=commands.GROUPS[parent], exit_on_error=False)
            subcommands.add_subcommand(parent, group, help=commands.GROUPS[parent])
            groups[parent] = group.add_subcommands(required=True, dest="command")
        own = ArgumentParser(description=command.help, exit_on_error=False)
        for option in command.options:
            if option.positional:
                own.add_argument(option.name, help=option.help, **_place(option.type))
            else:
                own.add_argument(f"--{option.name}", type=option.type, default=option.default, help=option.help)
        if command.experiment:
            own.add_argument(
                "--config",
                action=ActionConfigFile,
                help="YAML file of settings (`--experiment NAME` reads experiments/NAME.yaml); later ones win",
            )
            own.add_class_arguments(Experiment)
        groups.get(parent, subcommands).add_subcommand(last, own, help=command.help)
    return parser


def _command_of(arguments: Sequence[str]) -> str:
    """The command that a command line names, of one word or two; the first word where it names none."""
    two = " ".join(arguments[:2])
    return two if two in commands.COMMANDS else arguments[0]


def _place(kind: Any) -> dict[str, Any]:
    """The type of a setting that is given by its place; a list takes all that follow."""
    return {"type": get_args(kind)[0], "nargs": "+"} if get_origin(kind) is list else {"type": kind}


# What jsonargparse says of a wrong setting, and how to say it in a line that a user can act on.
_REWORDINGS = (
    (r"unrecognized arguments: (\S+).*", r"unknown setting \1"),
    (r"Subcommand '\w+' does not accept option '(.+)'", r"unknown setting \1"),
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
    (r"argument (--\S+): expected one argument", r"\1 needs a value"),
)


def _plain(message: str, command: str) -> str:
    """jsonargparse's message in one line, with the nearest known setting in place of an unknown one."""
    message = " ".join(message.split())
    for pattern, replacement in _REWORDINGS:
        message = re.sub(pattern, replacement, message)
    if command not in commands.COMMANDS:
        return f"{message}; see nasface {command if command in commands.GROUPS else ''} --help".replace("  ", " ")
    if message.startswith("unknown setting "):
        unknown = message.removeprefix("unknown setting ").lstrip("-").partition("=")[0]
        near = difflib.get_close_matches(unknown, _settings_of(command), n=1, cutoff=0.6)
        message += f"; did you mean {near[0]}?" if near else ""
    return f"{message}; see nasface {command} --help"


def _settings_of(name: str) -> list[str]:
    """Dotted names of all settings of a command."""
    command = commands.COMMANDS[name]
    names = [option.name for option in command.options if not option.positional]
    return names + ["experiment", "config", *_leaves(Experiment())] if command.experiment else names


def _leaves(settings: Any, prefix: str = "") -> list[str]:
    names: list[str] = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        names += _leaves(value, f"{prefix}{field.name}.") if is_dataclass(value) else [f"{prefix}{field.name}"]
    return names


def _check_sections(content: dict[str, Any], default: Any, path: Path, prefix: str = "") -> None:
    """Refuse a section of settings that is given as a plain value (`data: 3`); the parser would pass over it."""
    for field in fields(default):
        expected = getattr(default, field.name)
        if not is_dataclass(expected) or field.name not in content:
            continue
        value, name = content[field.name], f"{prefix}{field.name}"
        if not isinstance(value, dict):
            keys = ", ".join(inner.name for inner in fields(expected))
            raise UserError(f"{path}: {name} must be a section of settings ({keys}), not {value!r}")
        _check_sections(value, expected, path, f"{name}.")


def _with_files(arguments: list[str]) -> list[str]:
    """Replace `--experiment NAME` by its file, and Python's None, as W&B's agents write it, by YAML's null; `retrain`
    without an experiment takes that of its architecture.

    Raises:
        UserError: a file of settings is absent or is not a mapping in YAML.
    """
    result: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        flag, equals, value = argument.partition("=")
        if flag == "--experiment":
            name = value if equals else next(waiting, "")
            result += ["--config", str(experiment_file(name))]
        else:
            result.append(f"{flag}=null" if flag.startswith("--") and value == "None" else argument)
    if result[0] == "retrain" and _values(result, "--config") == [] and not {"-h", "--help"} & set(result):
        result[1:1] = _experiment_of_architecture(result)
    for path in _values(result, "--config"):
        _check_file(Path(path))
    return result


def _experiment_of_architecture(arguments: list[str]) -> list[str]:
    recorded = recorded_experiment(next(iter(_values(arguments, "--arch")), "best.json"))
    return ["--config", str(recorded)] if recorded else []


def _values(arguments: list[str], flag: str) -> list[str]:
    """What a flag is set to, each time that it is given."""
    values = []
    for number, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == flag and (equals or number + 1 < len(arguments)):
            values.append(value if equals else arguments[number + 1])
    return values


def _check_file(path: Path) -> None:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the settings {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path} is not YAML{place}: correct it") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no settings: it must be a mapping such as `space: multipath`")
    _check_sections(content, Experiment(), path)
