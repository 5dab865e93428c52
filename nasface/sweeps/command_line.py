"""The command line of a sweep's run: W&B's macros filled in, as its agent does (wandb/sdk/launch/sweeps/utils.py)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nasface.sweeps.sweep_file import Parameter, SweepFile
from nasface.utils.errors import UserError

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


def command_line(sweep: SweepFile, values: Mapping[str, Any], folder: Path | None = None) -> list[str]:
    """The words of a run's command.

    Args:
        sweep: whose `command` it is.
        values: of the parameters, by name.
        folder: for the file of ${args_json_file}; None to write none.

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


def _json_file(folder: Path | None, arguments: Mapping[str, Any]) -> str:
    if folder is None:
        return os.devnull
    path = folder / "arguments.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(arguments), encoding="utf-8")
    return str(path)


def _filled(macro: str, sweep: SweepFile, arguments: Mapping[str, Any]) -> list[str]:
    pairs = [f"{name}={value}" for name, value in arguments.items()]
    if macro == "env":
        return ["/usr/bin/env"]
    if macro == "interpreter":
        return ["python"]
    if macro == "program":
        return [sweep.program]
    if macro == "args":
        return [f"--{pair}" for pair in pairs]
    if macro == "args_no_equals":
        return [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    if macro == "args_no_hyphens":
        return pairs
    if macro == "args_append_hydra":
        return [f"+{pair}" for pair in pairs]
    if macro == "args_override_hydra":
        return [f"++{pair}" for pair in pairs]
    if macro == "args_no_boolean_flags":
        return list(_flags(arguments))
    if macro == "args_json":
        return [json.dumps(arguments)]
    raise UserError(f"{sweep.path}: command has the unknown macro ${{{macro}}}")


def _flags(arguments: Mapping[str, Any]) -> Iterator[str]:
    for name, value in arguments.items():
        if not isinstance(value, bool):
            yield f"--{name}={value}"
        elif value:
            yield f"--{name}"


def nasface_arguments(words: list[str]) -> list[str] | None:
    """The arguments that `nasface` gets, where the command is one of it; else None."""
    for place, word in enumerate(words):
        if Path(word).name == "nasface" and (place == 0 or words[place - 1] in ("-m", "/usr/bin/env")):
            return words[place + 1 :]
    return None
