"""Strategies by name.

A strategy is one file in nasface/search/strategies/ that registers its class; files there are found by themselves:

    @register
    class Mine(Strategy):
        name = "mine"

Another package registers in the same way, in a module that its entry point in `nasface.strategies` names. What its
`__init__` takes beside the search's settings are settings of its own: `--search.settings.NAME`.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from nasface.search.strategy import Strategy
from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError, nearest
from nasface.utils.registry import Registry

S = TypeVar("S", bound=Strategy)

STRATEGIES: Registry[type[Strategy]] = Registry("strategy", "nasface.strategies", "nasface.search.strategies")


def register(strategy: type[S]) -> type[S]:
    """Make a strategy known under its `name`; usable as a class decorator.

    Raises:
        ValueError: the name is taken by another class.
    """
    STRATEGIES.add(strategy.name, strategy)
    return strategy


def strategy_settings(name: str) -> list[str]:
    """Names of a strategy's settings.

    Raises:
        UserError: the strategy is unknown.
    """
    return [parameter for parameter in inspect.signature(STRATEGIES.get(name)).parameters if parameter != "space"]


@dataclass(frozen=True)
class Setting:
    """A setting of a strategy's own.

    Attributes:
        default: without it; None where there is none.
        kind: int, float, bool or str, as annotated; None where any value will do.
        meaning: what the docstring of the strategy, or of a class that it derives from, says of it.
    """

    default: Any
    kind: str | None
    meaning: str = ""


# What a search gives to every strategy that asks for it.
_OF_THE_SEARCH = ("space", "seed", "iterations", "evaluations", "objectives", "constraints")
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}


def own_settings(name: str) -> dict[str, Setting]:
    """The settings that only this strategy has, by name: what its signature takes as a number, a word, or true or
    false.

    Raises:
        UserError: the strategy is unknown.
    """
    found, strategy = {}, STRATEGIES.get(name)
    documentation = "\n".join(inspect.cleandoc(base.__doc__ or "") for base in strategy.__mro__)
    for parameter in inspect.signature(strategy).parameters.values():
        kind = getattr(parameter.annotation, "__name__", parameter.annotation)
        free = parameter.annotation is parameter.empty
        if parameter.name not in _OF_THE_SEARCH and (kind in _KINDS or free):
            default = None if parameter.default is parameter.empty else parameter.default
            meaning = re.search(rf"^    {parameter.name}: (.+(?:\n {{8}}.+)*)", documentation, re.MULTILINE)
            text = " ".join(meaning[1].split()) if meaning else ""
            found[parameter.name] = Setting(default, None if free else kind, text)
    return found


def settings_help(width: int = 120) -> str:
    """The strategies' own settings as `nasface search --help-all` lists them; strategies with the same ones share an
    entry."""
    sharing = defaultdict(list)
    for name in STRATEGIES.names():
        sharing[tuple(own_settings(name).items())].append(name)
    lines = ["settings of one strategy:"]
    for settings, names in sharing.items():
        text = f"{', '.join(names)}:" if settings else f"{', '.join(names)} have none of their own."
        lines += ["", textwrap.fill(text, width, initial_indent="  ", subsequent_indent="  ")]
        for key, setting in settings:
            text = f"{setting.meaning} (type: {setting.kind or 'any'}, default: {setting.default})"
            lines += [f"    --search.settings.{key} {key.upper()}"]
            lines += textwrap.wrap(text, width, initial_indent=" " * 24, subsequent_indent=" " * 24)
    return "\n".join(lines)


def check_settings(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """`search.settings` as the strategy takes them: whole numbers may come as 16.0, as sweeps write them.

    Raises:
        UserError: the strategy is unknown, has no such setting, or the value is not of its type.
    """
    known, checked = own_settings(name), {}
    for key, value in settings.items():
        if key not in known:
            own = ", ".join(f"{one} ({setting.default})" for one, setting in known.items())
            raise UserError(
                f"search.settings.{key} is no setting of the strategy {name!r}"
                + (f"; its own, and their defaults, are: {own}" if own else ", which has none of its own: leave it out")
                + nearest(key, known)
            )
        kind = known[key].kind
        checked[key] = value if kind is None else _as(kind, value)
        if checked[key] is None and kind is not None:
            raise UserError(f"search.settings.{key}: must be {_KINDS[kind]}, not {value}")
    return checked


def _as(kind: str, value: Any) -> Any:
    """A value as one of a kind; None where it is not."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "int":
        return int(value) if number and value == value // 1 else None
    if kind == "float":
        return float(value) if number else None
    return value if isinstance(value, bool if kind == "bool" else str) else None


def make_strategy(name: str, space: MultipathSpace, **settings: Any) -> Strategy:
    """A fresh strategy, `STRATEGIES.get(name)(space, **settings)`.

    Raises:
        UserError: the name or a setting is unknown, or a setting is out of its range.
    """
    strategy, known = STRATEGIES.get(name), strategy_settings(name)
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise UserError(f"strategy {name!r} has no setting {unknown[0]!r}; its settings are: {', '.join(known)}")
    return strategy(space, **settings)
