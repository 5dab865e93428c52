"""The distributions of W&B's sweep files, drawn from by Optuna.

Names, settings and meanings are those of docs.wandb.ai/models/sweeps/sweep-config-keys and of github.com/wandb/sweeps
(config/schema.json, params.py): where `log_uniform` takes exponents, `log_uniform_values` takes the values themselves,
and a `q_` distribution rounds to the nearest multiple of q.

What Optuna has of its own is drawn by it directly. Everything else is drawn through its quantile function: Optuna
draws a uniform number from 0 to 1 under the parameter's name, which keeps a prior exact and a model such as TPE's
useful.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.special import betaincinv, ndtri

from nasface.utils.errors import UserError, nearest

Settings = Mapping[str, Any]

# Quantiles of unbounded distributions are infinite at 0 and 1.
_LEAST = 1e-9
_LONGEST_GRID = 100_000


@dataclass(frozen=True)
class Distribution:
    """What a parameter is drawn from.

    Attributes:
        kind: W&B's name of it.
        optuna: what Optuna draws from; None for a constant.
        value: the parameter's value for what Optuna has drawn.
        grid: the values of a grid; None where there is no end of them.
        values: those that the file lists.
    """

    kind: str
    optuna: BaseDistribution | None
    value: Callable[[Any], Any]
    grid: tuple[Any, ...] | None = None
    values: tuple[Any, ...] = ()

    def examples(self) -> list[Any]:
        """Each value that it lists, or the ends of its range."""
        if self.optuna is None or self.values:
            return list(self.values or self.grid or ())
        low, high = (getattr(self.optuna, end) for end in ("low", "high"))
        return [self.value(low), self.value(high)]


def read_distribution(name: str, settings: Any) -> Distribution:
    """The distribution of a parameter from its settings in a sweep file.

    Args:
        name: of the parameter, for messages.
        settings: such as {"distribution": "uniform", "min": 0, "max": 1}; without `distribution`, the other settings
            tell: `value`, `values`, `values` and `probabilities`, or `min` and `max` (`int_uniform` where both are
            whole numbers, else `uniform`).

    Raises:
        UserError: it is no distribution of W&B's, or a setting is missing, unknown or wrong.
    """
    if not isinstance(settings, dict):
        raise UserError(f"parameter {name} must be a mapping such as `values: [1, 2]`, not {settings!r}")
    kind = settings.get("distribution") or _implied(name, settings)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise UserError(
            f"parameter {name}: unknown distribution {kind!r}; known are: {', '.join(sorted(_KINDS))}"
            + nearest(kind, _KINDS)
        )
    make, required, defaults = _KINDS[kind]
    given = {key: value for key, value in settings.items() if key != "distribution"}
    for key in required:
        if key not in given:
            raise UserError(f"parameter {name}: {kind} needs `{key}`")
    for key in given:
        if key not in (*required, *defaults):
            raise UserError(f"parameter {name}: {kind} takes no {key!r} (it takes {', '.join((*required, *defaults))})")
    return make(name, kind, {**defaults, **given})


def in_a_grid(name: str, distribution: Distribution) -> Distribution:
    """The same values as a list, as W&B's grids take them.

    Raises:
        UserError: there is no end of values.
    """
    if distribution.optuna is None or distribution.kind == "categorical":
        return distribution
    if distribution.grid is None:
        raise UserError(
            f"parameter {name}: {distribution.kind} has no list of values for method grid: take values, int_uniform or"
            " q_uniform, or method random"
        )
    return read_distribution(name, {"values": list(distribution.grid)})


def _implied(name: str, settings: Settings) -> str:
    if "value" in settings:
        return "constant"
    if "values" in settings:
        return "categorical_w_probabilities" if "probabilities" in settings else "categorical"
    if "min" in settings and "max" in settings:
        whole = all(isinstance(settings[key], int) for key in ("min", "max"))
        return "int_uniform" if whole else "uniform"
    raise UserError(f"parameter {name} needs `value`, `values`, `min` and `max`, or a `distribution` and its settings")


# Kinds ---------------------------------------------------------------------------------------------------------------


def _constant(name: str, kind: str, settings: Settings) -> Distribution:
    value = settings["value"]
    return Distribution(kind, None, lambda _: value, (value,))


def _categorical(name: str, kind: str, settings: Settings) -> Distribution:
    values = _values(name, settings)
    # Optuna knows choices by equality, and 1 == True == 1.0; then, and for lists, it draws their places.
    plain = all(value is None or isinstance(value, bool | int | float | str) for value in values)
    if plain and not any(first == second for first, second in itertools.combinations(values, 2)):
        return Distribution(kind, CategoricalDistribution(values), lambda drawn: drawn, values, values)
    places = tuple(range(len(values)))
    return Distribution(kind, CategoricalDistribution(places), lambda drawn: values[drawn], values, values)


def _with_probabilities(name: str, kind: str, settings: Settings) -> Distribution:
    values = _values(name, settings)
    given = settings["probabilities"]
    if not isinstance(given, list) or len(given) != len(values):
        raise UserError(f"parameter {name}: probabilities must be a list of {len(values)} numbers, one for each value")
    chances = [_number(name, "probabilities", chance) for chance in given]
    if min(chances) < 0 or not math.isclose(sum(chances), 1, abs_tol=1e-6):
        raise UserError(f"parameter {name}: probabilities must not be negative and must sum to 1, not {sum(chances):g}")
    edges = list(itertools.accumulate(chances))
    # Never a value without a chance, although sums are rounded.
    last = max(place for place, chance in enumerate(chances) if chance > 0)
    chosen = FloatDistribution(0.0, 1.0)
    return Distribution(
        kind,
        chosen,
        lambda share: values[min(bisect.bisect_right(edges, share), last)],
        None,
        tuple(value for value, chance in zip(values, chances, strict=True) if chance > 0),
    )


def _int_uniform(name: str, kind: str, settings: Settings) -> Distribution:
    low, high = _range(name, kind, settings)
    if not isinstance(settings["min"], int) or not isinstance(settings["max"], int):
        raise UserError(f"parameter {name}: min and max of int_uniform must be whole numbers")
    numbers = range(int(low), int(high) + 1)
    grid = tuple(numbers) if len(numbers) <= _LONGEST_GRID else None
    return Distribution(kind, IntDistribution(int(low), int(high)), lambda drawn: drawn, grid)


def _continuous(name: str, kind: str, settings: Settings) -> Distribution:
    """Between two ends Optuna's own; what is rounded, or has no ends, by its quantile function."""
    if "min" in settings and "q" not in settings:
        low, high = _range(name, kind, settings)
        return Distribution(kind, FloatDistribution(low, high, log="log" in kind), lambda drawn: drawn)
    quantile, finish = _quantile(name, kind, settings), _rounding(name, settings)
    grid = None
    if kind == "q_uniform":  # W&B's grids go from min in steps of q, without max
        steps = np.arange(settings["min"], settings["max"], settings["q"])
        grid = tuple(_tidy(step) for step in steps.tolist()) if len(steps) <= _LONGEST_GRID else None
    return Distribution(kind, FloatDistribution(0.0, 1.0), lambda share: finish(quantile(share)), grid)


# Pieces --------------------------------------------------------------------------------------------------------------


def _quantile(name: str, kind: str, settings: Settings) -> Callable[[float], float]:
    """The quantile function of an unrounded distribution."""
    numbers = {key: _number(name, key, value) for key, value in settings.items()}
    if "beta" in kind:
        a, b = numbers["a"], numbers["b"]
        if min(a, b) <= 0:
            raise UserError(f"parameter {name}: a and b of {kind} must be greater than 0")
        return lambda share: float(betaincinv(a, b, share))
    if "min" in settings:
        low, high = _range(name, kind, settings)
        low, high = (math.log(low), math.log(high)) if "log" in kind else (low, high)
        start, extent, normal = low, high - low, False
    else:
        start, extent, normal = numbers["mu"], numbers["sigma"], True
        if extent < 0:
            raise UserError(f"parameter {name}: sigma must not be negative")
    outer = math.exp if "log" in kind else float
    return lambda share: outer(start + (_normal(share) if normal else share) * extent)


def _normal(share: float) -> float:
    return float(ndtri(min(max(share, _LEAST), 1 - _LEAST)))


def _rounding(name: str, settings: Settings) -> Callable[[float], float]:
    """Rounding to multiples of q, to whole numbers where q is one; none without q."""
    quantum = settings.get("q")
    if quantum is None:
        return float
    if _number(name, "q", quantum) <= 0:
        raise UserError(f"parameter {name}: q must be greater than 0")
    return lambda number: _tidy(round(number / quantum) * quantum)


def _tidy(number: float) -> float:
    """0.3 for 0.30000000000000004; whole numbers stay whole."""
    return float(f"{number:.12g}") if isinstance(number, float) else number


def _values(name: str, settings: Settings) -> tuple[Any, ...]:
    values = settings["values"]
    if not isinstance(values, list) or not values:
        raise UserError(f"parameter {name}: values must be a list such as [1, 2]")
    return tuple(values)


def _range(name: str, kind: str, settings: Settings) -> tuple[float, float]:
    """The values between which a distribution lies; W&B may have their logarithms."""
    low, high = (_number(name, key, settings[key]) for key in ("min", "max"))
    if low >= high:
        raise UserError(f"parameter {name}: min ({low:g}) must be less than max ({high:g})")
    if kind.endswith("_values") and low <= 0:
        raise UserError(f"parameter {name}: min of {kind} must be greater than 0")
    if "log" not in kind or kind.endswith("_values"):
        return low, high
    if max(abs(low), abs(high)) > 700:
        raise UserError(f"parameter {name}: min and max of {kind} are exponents of e: take {kind}_values for values")
    return (math.exp(-high), math.exp(-low)) if kind.startswith("inv_") else (math.exp(low), math.exp(high))


def _number(name: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        hint = " (in YAML 1e-4 is a text: write 1.0e-4)" if isinstance(value, str) and _is_number(value) else ""
        raise UserError(f"parameter {name}: {key} must be a number, not {value!r}{hint}")
    return float(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_Make = Callable[[str, str, Settings], Distribution]
_RANGE, _Q, _BELL, _SHAPE = ("min", "max"), {"q": 1.0}, {"mu": 0.0, "sigma": 1.0}, {"a": 1.0, "b": 1.0}
_ENDS = ("", "_values")
# name: (what makes it, settings that it needs, settings that it may have and their defaults).
_KINDS: dict[str, tuple[_Make, Sequence[str], Settings]] = {
    "constant": (_constant, ("value",), {}),
    "categorical": (_categorical, ("values",), {}),
    "categorical_w_probabilities": (_with_probabilities, ("values", "probabilities"), {}),
    "int_uniform": (_int_uniform, _RANGE, {}),
    "uniform": (_continuous, _RANGE, {}),
    "q_uniform": (_continuous, _RANGE, _Q),
    **{f"{inverse}log_uniform{values}": (_continuous, _RANGE, {}) for inverse in ("", "inv_") for values in _ENDS},
    **{f"q_log_uniform{values}": (_continuous, _RANGE, _Q) for values in _ENDS},
    **{name: (_continuous, (), _BELL) for name in ("normal", "log_normal")},
    **{name: (_continuous, (), {**_BELL, **_Q}) for name in ("q_normal", "q_log_normal")},
    "beta": (_continuous, (), _SHAPE),
    "q_beta": (_continuous, (), {**_SHAPE, **_Q}),
}
KINDS = tuple(_KINDS)
"""W&B's names of the distributions."""
