"""The files of settings that a command line names: found, checked, and handed to the parser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from nasface.config import Experiment, experiment_file
from nasface.utils.errors import UserError
from nasface.utils.yaml_files import load_yaml


def with_files(command: str, arguments: Sequence[str]) -> list[str]:
    """Replace `--experiment NAME` by its file, and Python's None, as W&B's agents write it, by YAML's null; `retrain`
    without an experiment takes that of its architecture.

    Args:
        command: its name.
        arguments: what follows it.

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
    files = _values(result, "--config")
    if command == "retrain" and not files and not {"-h", "--help", "--help-all"} & set(result):
        result[:0] = _experiment_of_architecture(result)
        files = _values(result, "--config")
    for path in files:
        _check_file(Path(path))
    return result


def _experiment_of_architecture(arguments: list[str]) -> list[str]:
    from nasface.pipelines.architectures import recorded_experiment

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
    content = load_yaml(path, "the settings")
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no settings: it must be a mapping such as `space: multipath`")
    _check_sections(content, Experiment(), path)


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
