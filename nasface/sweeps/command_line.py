"""The command line of a sweep's run, with W&B's macros filled in."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasface.sweeps.sweep_file import Parameter, SweepFile
from nasface.utils.errors import UserError
from nasface.utils.files import write_text

_VARIABLE = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")
_MACRO = re.compile(r"\$\{(\w+)\}")


def nested_values(parameters: tuple[Parameter, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    """A run's values as W&B hands them over: a nested parameter's in mappings, a dotted one's under its name.

    Args:
        parameters: of the sweep.
        values: by the parameters' names.
    """
    result: dict[str, Any] = {}
    for parameter in parameters:
        place = result
        for part in parameter.path[:-1]:
            place = place.setdefault(part, {})
        place[parameter.path[-1]] = values[parameter.name]
    return result


def command_line(sweep: SweepFile, values: Mapping[str, Any], folder: Path) -> list[str]:
    """The words of a run's command.

    Args:
        sweep: whose `command` it is.
        values: of the parameters, by name.
        folder: for the file of ${args_json_file}.

    Raises:
        UserError: a macro is unknown.
    """
    arguments = nested_values(sweep.parameters, values)
    words: list[str] = []
    for word in sweep.command:
        word = _VARIABLE.sub(lambda match: os.environ.get(match[1], match[1]), word)
        macro = _MACRO.fullmatch(word)
        if macro is None:
            words.append(word)
        elif macro[1] == "args_json_file":
            words.append(_json_file(folder, arguments))
        else:
            words += _filled(macro[1], sweep, arguments)
    return words


def _json_file(folder: Path, arguments: Mapping[str, Any]) -> str:
    path = folder / "arguments.json"
    write_text(path, json.dumps(arguments))
    return str(path)


def _filled(macro: str, sweep: SweepFile, arguments: Mapping[str, Any]) -> list[str]:
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args  # what W&B's agent calls

    filled = create_sweep_command_args({"args": {name: {"value": value} for name, value in arguments.items()}})
    words = filled | {"env": ["/usr/bin/env"], "interpreter": ["python"], "program": [sweep.program]}
    if not isinstance(words.get(macro), list):
        raise UserError(f"{sweep.path}: command has the unknown macro ${{{macro}}}")
    return words[macro]


def nasface_arguments(words: list[str]) -> list[str] | None:
    """The arguments that `nasface` gets, where the command is one of it; else None."""
    for place, word in enumerate(words):
        if Path(word).name == "nasface" and (place == 0 or words[place - 1] in ("-m", "/usr/bin/env")):
            return words[place + 1 :]
    return None
