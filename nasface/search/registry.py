"""Strategies by name.

A package adds its own with the decorator:

    @register
    class Mine(Strategy):
        name = "mine"
"""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from nasface.search.strategies.evolution import RegularizedEvolution
from nasface.search.strategies.local import LocalSearch
from nasface.search.strategies.nni import NNI_STRATEGIES
from nasface.search.strategies.nsga2 import NSGA2
from nasface.search.strategies.optuna import OPTUNA_STRATEGIES
from nasface.search.strategies.random import RandomSample, RandomSearch
from nasface.search.strategies.samos import SAMOS
from nasface.search.strategies.spos import SPOSEvolution
from nasface.search.strategy import Strategy
from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError

S = TypeVar("S", bound=Strategy)

_STRATEGIES: dict[str, type[Strategy]] = {}


def register(strategy: type[S]) -> type[S]:
    """Make a strategy known under its `name`; usable as a class decorator.

    Raises:
        ValueError: the name is taken by another class.
    """
    known = _STRATEGIES.setdefault(strategy.name, strategy)
    if known is not strategy:
        raise ValueError(f"the strategy name {strategy.name!r} is taken by {known.__module__}.{known.__qualname__}")
    return strategy


def strategy_names() -> tuple[str, ...]:
    """All known names, sorted."""
    return tuple(sorted(_STRATEGIES))


def get_strategy(name: str) -> type[Strategy]:
    """The class of that name.

    Raises:
        UserError: unknown; the known names are listed.
    """
    if name not in _STRATEGIES:
        raise UserError(f"unknown strategy {name!r}; known are: {', '.join(strategy_names())}")
    return _STRATEGIES[name]


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


_OWN = (SAMOS, RandomSearch, RandomSample, RegularizedEvolution, SPOSEvolution, LocalSearch, NSGA2)
for _strategy in (*_OWN, *OPTUNA_STRATEGIES, *NNI_STRATEGIES):
    register(_strategy)
