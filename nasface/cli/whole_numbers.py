"""Whole numbers that come as 16.0 or 1e3, as sweeps and tuners write them."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

from nasface.utils.errors import UserError
from nasface.utils.yaml_files import parse_yaml

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,2})?")


def as_whole(hint: Any, value: Any) -> Any:
    """A value in which a number without a fraction is an int, where a type hint wants one; anything else as it is.

    Args:
        hint: of the setting; in unions and lists, too.
        value: as YAML gives it.
    """
    kinds = set(_leaves(hint))
    if isinstance(value, list):
        return [as_whole(hint, one) for one in value]
    if isinstance(value, bool) or float in kinds or not any(issubclass(kind, int) for kind in kinds - {bool}):
        return value
    number = float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value
    exact = isinstance(number, float) and number.is_integer() and abs(number) < 2**53
    return int(number) if exact else value


def text_as_whole(hint: Any, text: str) -> str:
    """The same for a setting's value on the command line."""
    if not re.search(r"\d[.eE]", text):
        return text
    try:
        value = parse_yaml(text, "it")
    except UserError:
        return text
    whole = as_whole(hint, value)
    return text if whole == value and type(whole) is type(value) and not isinstance(value, list) else json.dumps(whole)


def _leaves(hint: Any) -> list[type]:
    inner = [leaf for part in get_args(hint) for leaf in _leaves(part)]
    if inner or not isinstance(hint, type):
        return inner
    return [float] if issubclass(hint, float) else [hint]
