"""Strategies by name.

A strategy is one file in nasface/search/strategies/ that registers its class; files there are found by themselves:

    @register
    class Mine(Strategy):
        name = "mine"

Another package registers in the same way, in a module that its entry point in `nasface.strategies` names.
"""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from nasface.search.strategy import Strategy
from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError
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


def strategy_names() -> tuple[str, ...]:
    """All known names, sorted."""
    return STRATEGIES.names()


def get_strategy(name: str) -> type[Strategy]:
    """The class of that name.

    Raises:
        UserError: unknown; the known names are listed.
    """
    return STRATEGIES.get(name)


def strategy_settings(name: str) -> list[str]:
    """Names of a strategy's settings.

    Raises:
        UserError: the strategy is unknown.
    """
    return [parameter for parameter in inspect.signature(get_strategy(name)).parameters if parameter != "space"]


def make_strategy(name: str, space: MultipathSpace, **settings: Any) -> Strategy:
    """A fresh strategy, `get_strategy(name)(space, **settings)`.

    Raises:
        UserError: the name or a setting is unknown, or a setting is out of its range.
    """
    strategy, known = get_strategy(name), strategy_settings(name)
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise UserError(f"strategy {name!r} has no setting {unknown[0]!r}; its settings are: {', '.join(known)}")
    return strategy(space, **settings)
