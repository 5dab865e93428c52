"""Records checked on reading against the type hints that describe them: they may be somebody else's, or damaged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict


class Finite(float):
    """Stands in a hint for a number that is not NaN and not infinite."""


def checked(kind: Any, value: Any, place: str) -> Any:
    """The value, if it is what a hint says.

    Args:
        kind: bool, int, float, str, None, Any, a Literal, a union, a list, tuple or mapping of these, a number type of
            jsonargparse, a TypedDict (keys that it does not have are passed over), or a dataclass, whose fields a
            mapping may give.
        value: from a JSON, YAML or tensor file.
        place: where it stands, for the message.

    Raises:
        ValueError: it is something else; names the place and the value.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if kind in (None, NoneType):
        good = value is None
    elif origin is Literal:
        good = any(type(value) is type(one) and value == one for one in inner)
    elif origin in (Union, UnionType):
        good = any(_fits(one, value) for one in inner)
    elif is_dataclass(kind) or is_typeddict(kind):
        _check_fields(kind, value, place)
        good = True
    elif origin in (dict, Mapping):
        good = isinstance(value, Mapping) and all(_fits(inner[0], key) for key in value)
        for key, part in value.items() if good else ():
            checked(inner[1], part, f"{place}.{key}")
    elif origin in (list, tuple, Sequence):
        kinds = inner if origin is tuple and inner[-1] is not ... else None
        good = isinstance(value, list | tuple) and (kinds is None or len(value) == len(kinds))
        for number, part in enumerate(value if good else ()):
            checked(kinds[number] if kinds else inner[0], part, f"{place}[{number}]")
    elif kind is bool or isinstance(value, bool):
        good = kind is bool and isinstance(value, bool)
    elif issubclass(kind, float):
        good = (
            isinstance(value, int | float) and (kind is not Finite or math.isfinite(value)) and _restricted(kind, value)
        )
    elif issubclass(kind, int):
        good = isinstance(value, int) and _restricted(kind, value)
    else:
        good = isinstance(value, kind)
    if not good:
        raise ValueError(f"{place} is {repr(value)[:40]}, not {_name(kind)}")
    return value


def _fits(kind: Any, value: Any) -> bool:
    try:
        checked(kind, value, "")
    except ValueError:
        return False
    return True


def _restricted(kind: type, value: float) -> bool:
    """Whether a number type takes a value; jsonargparse's refuse what is out of their range."""
    try:
        kind(value)
    except (ValueError, OverflowError):
        return False
    return True


def _check_fields(kind: type, value: Any, place: str) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"{place or 'it'} is {repr(value)[:40]}, not a mapping")
    for name in getattr(kind, "__required_keys__", ()):
        if name not in value:
            raise ValueError(f"{place + '.' if place else ''}{name} is missing")
    for name, hint in get_type_hints(kind).items():
        if name in value:
            checked(hint, value[name], f"{place}.{name}" if place else name)


def _name(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind)) if not get_args(kind) else str(kind).replace("typing.", "")
