"""The spaces that come with the program, and reading a space from its YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError, nearest
from nasface.utils.resources import resource_folder
from nasface.utils.yaml_files import load_yaml

SPACES = resource_folder("search_spaces")


def space_names() -> list[str]:
    """Names of the spaces in search_spaces/."""
    return sorted(path.stem for path in SPACES.glob("*.yaml"))


def find_space(name: str) -> MultipathSpace | None:
    """The space of that name in search_spaces/, None when there is none."""
    return load_space(name) if name in space_names() else None


def load_space(name_or_path: str | Path) -> MultipathSpace:
    """Read a space from search_spaces/<name>.yaml, or from the path of a YAML file.

    The file has the keys name, layers, scales and connections ([least, greatest] or null), and may have drawn (the
    same) and widths (a list), no others.

    Raises:
        UserError: there is no such space or file, or its content is not a space.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith((".yaml", ".yml")) or "/" in text:
        path = Path(name_or_path)
    elif text in space_names():
        path = SPACES / f"{text}.yaml"
    else:
        raise UserError(
            f"unknown space {text!r}: choose one of {', '.join(space_names()) or 'none found'} "
            f"or give the path of a YAML file{nearest(text, space_names())}"
        )
    if not path.exists():
        raise UserError(f"{path} does not exist; the known spaces are {', '.join(space_names())}")
    content = load_yaml(path)
    try:
        return _space_from(content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _space_from(content: Any) -> MultipathSpace:
    keys = ("name", "layers", "scales", "connections")
    if not isinstance(content, dict):
        raise UserError(f"must be a mapping with the keys {', '.join(keys)}")
    content = {"drawn": None, "widths": None} | content
    check_keys(content, (*keys, "drawn", "widths"))
    connections, drawn = (_range_of(content, name) for name in ("connections", "drawn"))
    if not isinstance(widths := content["widths"], list | None):
        raise UserError("widths must be null or a list of numbers, such as [16, 32, 48]")
    return MultipathSpace(
        content["name"],
        content["layers"],
        content["scales"],
        connections,
        drawn,
        None if widths is None else tuple(widths),
    )


def _range_of(content: dict[str, Any], name: str) -> tuple[int, int] | None:
    given = content[name]
    if given is None:
        return None
    if not isinstance(given, list) or len(given) != 2:
        raise UserError(f"{name} must be null or two numbers, [least, greatest]")
    return given[0], given[1]


def check_keys(record: dict[Any, Any], keys: tuple[str, ...]) -> None:
    """Refuse a mapping that has not exactly these keys."""
    if unknown := sorted(str(key) for key in record if key not in keys):
        raise UserError(f'unknown key "{unknown[0]}"; the keys are {", ".join(keys)}')
    if missing := [key for key in keys if key not in record]:
        raise UserError(f'the key "{missing[0]}" is missing; the keys are {", ".join(keys)}')
