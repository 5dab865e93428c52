"""Type hints in words, for messages about settings."""

from __future__ import annotations

from types import NoneType
from typing import Any, Literal, get_args, get_origin

_KINDS = {
    "PositiveInt": "a whole number of at least 1",
    "NonNegativeInt": "a whole number, not negative",
    "PositiveFloat": "a number greater than 0",
    "NonNegativeFloat": "a number, not negative",
    "ClosedUnitInterval": "a number from 0 to 1",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
}


def kind_of(hint: Any) -> str:
    """What a type hint takes, in words."""
    inner, origin = [one for one in get_args(hint) if one is not NoneType], get_origin(hint)
    if origin is Literal:
        return f"one of {', '.join(map(repr, inner))}"
    if origin in (list, tuple):
        return f"a list such as [{'1, 2' if issubclass(inner[0], int | float) else 'a, b'}], each {kind_of(inner[0])}"
    if origin is dict:
        return "a mapping such as {name: value}"
    if inner:
        told = [one for one in inner if one is str or get_origin(one)] if str in inner else inner
        return " or ".join(map(kind_of, told))
    return _KINDS.get(getattr(hint, "__name__", ""), "another value")
