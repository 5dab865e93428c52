"""The `nasface` command: reads settings, calls the workflow, prints what came out."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import fields

import jsonargparse
from jsonargparse import ActionConfigFile, ArgumentParser

from nasface import commands
from nasface.config import Experiment, experiment_file
from nasface.errors import UserError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; what a user can mend ends in one line and exit code 2."""
    try:
        _run(list(sys.argv[1:] if arguments is None else arguments))
    except UserError as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _fail("interrupted; the same command with --resume true goes on from here", 130)
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> None:
    print(f"nasface: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def _run(arguments: list[str]) -> None:
    parser = make_parser()
    if not arguments:
        parser.print_help()
        return
    try:
        settings = parser.parse_args(_named_experiment(arguments))
    except jsonargparse.ArgumentError as error:
        raise UserError(f"{error}; see nasface {arguments[0]} --help") from None
    name = settings.command
    own = vars(parser.instantiate(settings)[name])
    values = {key: value for key, value in own.items() if key != "config"}
    command = commands.COMMANDS[name]
    if command.experiment:
        names = [field.name for field in fields(Experiment)]
        values = {"experiment": Experiment(**{key: values.pop(key) for key in names})} | values
    command.run(**values)


def make_parser() -> ArgumentParser:
    """The parser of all commands, every setting with its meaning and default."""
    parser = ArgumentParser(
        prog="nasface",
        description="Search, train and compare neural networks for 3D face alignment.",
        exit_on_error=False,
    )
    subcommands = parser.add_subcommands(required=True, dest="command")
    for name, command in commands.COMMANDS.items():
        own = ArgumentParser(description=command.help, exit_on_error=False)
        for option in command.options:
            own.add_argument(f"--{option.name}", type=option.type, default=option.default, help=option.help)
        if command.experiment:
            own.add_argument(
                "--config",
                action=ActionConfigFile,
                help="YAML file of settings (`--experiment NAME` reads experiments/NAME.yaml); later ones win",
            )
            own.add_class_arguments(Experiment)
        subcommands.add_subcommand(name, own, help=command.help)
    return parser


def _named_experiment(arguments: list[str]) -> list[str]:
    """Replace `--experiment NAME` by its file; `retrain` without one takes the experiment of its architecture."""
    result: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        flag, equals, value = argument.partition("=")
        if flag == "--experiment":
            name = value if equals else next(waiting, "")
            result += ["--config", str(experiment_file(name))]
        else:
            result.append(argument)
    if result[0] == "retrain" and "--config" not in (argument.partition("=")[0] for argument in result):
        result[1:1] = _experiment_of_architecture(result)
    return result


def _experiment_of_architecture(arguments: list[str]) -> list[str]:
    recorded = commands.recorded_experiment(_value(arguments, "--arch"))
    return ["--config", str(experiment_file(recorded))] if recorded else []


def _value(arguments: list[str], flag: str) -> str | None:
    for number, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == flag:
            return value if equals else (arguments[number + 1] if number + 1 < len(arguments) else None)
    return None
