"""The files of settings that a command line names: found, checked, and handed to the parser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

import yaml
from jsonargparse import ArgumentParser

from nasface.cli.whole_numbers import as_whole, text_as_whole
from nasface.config import RENAMED_SETTINGS, Experiment, check_sections, current_settings, experiment_file
from nasface.utils.errors import UserError
from nasface.utils.yaml_files import load_yaml, parse_yaml

AS_TEXT = "\u2060"
"""In front of a text that YAML would take for nothing; whoever reads the values takes it away."""


def type_hints(parser: ArgumentParser) -> dict[str, Any]:
    """The type of each option of a parser, by its flag; by <NAME> of those that are given by their place."""
    placed = {f"<{option.dest}>": option for option in parser._actions if not option.option_strings}
    options = placed | parser._option_string_actions
    return {flag: getattr(option, "_typehint", None) for flag, option in options.items()}


def with_files(command: str, arguments: Sequence[str], hints: Mapping[str, Any]) -> list[str]:
    """Replace `--experiment NAME` by its file, former names of settings by today's, Python's None, as W&B's agents
    write it, by YAML's null, and whole numbers such as 16.0 by 16; `retrain` without an experiment takes that of its
    architecture.

    Args:
        command: its name.
        arguments: what follows it.
        hints: the type of each option, by its flag.

    Raises:
        UserError: a file of settings is absent or is not a mapping in YAML.
    """
    result: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        flag, equals, value = argument.partition("=")
        if flag == "--experiment":
            result += ["--config", str(experiment_file(value if equals else next(waiting, "")))]
            continue
        if flag == "--config" and equals:
            result += [flag, value]
            continue
        if flag.startswith("--"):
            former = RENAMED_SETTINGS.get(flag[2:])
            flag = f"--{former.name}" if former else flag
            value = _value(hints.get(flag), value)
            argument = f"{flag}{equals}{value}"
        elif result and result[-1] in hints:
            argument = _value(hints[result[-1]], argument)
        result.append(argument)
    if command == "retrain" and "--config" not in result and not {"-h", "--help", "--help-all"} & set(result):
        result[:0] = _experiment_of_architecture(result)
    return _with_contents(result, hints)


def _value(hint: Any, text: str) -> str:
    """A setting's value on the command line as the parser shall read it."""
    kinds = get_args(hint)
    if text == "None" and hint is not str:
        return "null"
    if str in kinds and NoneType in kinds and text.lower() not in ("", "null", "~"):
        try:
            if parse_yaml(text, "it") is None:  # a comment, or the name of a place: here it is text
                return AS_TEXT + text
        except UserError:
            return text
    if get_origin(hint) is list and str in kinds:  # YAML has a use of its own for @, and leaves it undone
        text = re.sub(r"(?<=[\[,])\s*(@[\w./-]+)", r" '\1'", text)
    return text_as_whole(hint, text)


def _with_contents(arguments: list[str], hints: Mapping[str, Any]) -> list[str]:
    """Replace the files by their content: under today's names, and the settings of the strategy one by
    one, so that later ones win one by one. They belong to the strategy that is named beside them, and are left out
    where another one wins."""
    paths = _values(arguments, "--config")
    contents = {path: _whole(_read(Path(path)), hints) for path in paths}
    strategy = _last_strategy(arguments, contents)
    result, waiting = [], iter(arguments)
    for argument in waiting:
        path = next(waiting, None) if argument == "--config" else None
        if path is None:
            result.append(argument)
            continue
        search = dict(contents[path].get("search", {}))
        if search.get("strategy", strategy) != strategy:
            search.pop("settings", None)
        content = current_settings(contents[path] | {"search": search}, strategy)
        search = dict(content["search"])
        own = search.pop("settings", {})
        if not isinstance(own, dict):
            result += ["--config", path]  # the parser will complain
            continue
        result += ["--config", yaml.safe_dump(content | {"search": search})]
        result += [f"--search.settings.{name}={json.dumps(value)}" for name, value in own.items()]
    return result


def _last_strategy(arguments: list[str], contents: Mapping[str, dict[str, Any]]) -> str | None:
    """The strategy that wins: the last one that a flag or a file names."""
    found: str | None = None
    for flag, value in _given(arguments):
        if flag == "--search.strategy":
            found = value or found
        elif flag == "--config" and value in contents:
            found = dict(contents[value].get("search") or {}).get("strategy") or found
    return found


def _experiment_of_architecture(arguments: list[str]) -> list[str]:
    from nasface.pipelines.architectures import recorded_experiment

    recorded = recorded_experiment((_values(arguments, "--arch") or ["best.json"])[-1])
    return ["--config", str(recorded)] if recorded else []


def _values(arguments: list[str], flag: str) -> list[str]:
    """What a flag is set to, each time that it is given."""
    return [value for name, value in _given(arguments) if name == flag]


def _given(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """The flags of a command line, each with what follows it."""
    for number, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name.startswith("--") and (equals or number + 1 < len(arguments)):
            yield name, value if equals else arguments[number + 1]


def _read(path: Path) -> dict[str, Any]:
    content = load_yaml(path, "the settings")
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no settings: it must be a mapping such as `space: multipath`")
    _check_names(content, path)
    content = _nested(content, path)
    check_sections(content, Experiment(), origin=f"{path}: ")
    return content


def _check_names(content: dict[Any, Any], path: Path) -> None:
    for name, value in content.items():
        if not isinstance(name, str):
            raise UserError(f"{path}: {name!r} is not the name of a setting")
        if isinstance(value, dict):
            _check_names(value, path)


def _nested(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """Dotted names, as W&B's ${args_json_file} has them, as sections."""
    result = {key: value for key, value in content.items() if "." not in str(key)}
    for key in content.keys() - result.keys():
        *sections, name = key.split(".")
        place = result
        for section in sections:
            place = place.setdefault(section, {}) if isinstance(place, dict) else {}
        if not isinstance(place, dict) or name in place:
            raise UserError(f"{path}: {key} is given twice, once with dots: keep one")
        place[name] = content[key]
    return result


def _whole(content: dict[str, Any], hints: Mapping[str, Any], prefix: str = "--") -> dict[str, Any]:
    return {
        key: _whole(value, hints, f"{prefix}{key}.")
        if isinstance(value, dict)
        else as_whole(hints.get(f"{prefix}{key}"), value)
        for key, value in content.items()
    }
