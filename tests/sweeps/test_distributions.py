"""Distributions: hand-computed quantiles, W&B's own where its package is there, and messages."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasface.sweeps.distributions import KINDS, in_a_grid, read_distribution
from nasface.sweeps.samplers import draw
from nasface.sweeps.sweep_file import Parameter
from nasface.utils.errors import UserError
from tests.sweeps.wandb_format import DISTRIBUTIONS

optuna.logging.set_verbosity(optuna.logging.ERROR)

EXAMPLES: dict[str, dict[str, Any]] = {
    "constant": {"value": "x"},
    "categorical": {"values": [1, "two", 3.0]},
    "categorical_w_probabilities": {"values": ["a", "b"], "probabilities": [0.25, 0.75]},
    "int_uniform": {"min": 2, "max": 5},
    "uniform": {"min": -1.0, "max": 3},
    "q_uniform": {"min": 0, "max": 1, "q": 0.1},
    "log_uniform": {"min": -3.0, "max": 2},
    "log_uniform_values": {"min": 1.0e-4, "max": 0.1},
    "inv_log_uniform": {"min": 1, "max": 4},
    "inv_log_uniform_values": {"min": 0.01, "max": 10},
    "q_log_uniform": {"min": 0, "max": 4, "q": 2},
    "q_log_uniform_values": {"min": 8, "max": 64, "q": 8},
    "normal": {"mu": 2.0, "sigma": 3.0},
    "q_normal": {"mu": 10, "sigma": 4, "q": 5},
    "log_normal": {"mu": 1.0, "sigma": 0.5},
    "q_log_normal": {"mu": 2.0, "sigma": 1.0, "q": 1},
    "beta": {"a": 2, "b": 3},
    "q_beta": {"a": 2, "b": 2, "q": 0.25},
}


def test_every_distribution_of_the_format_is_known() -> None:
    assert set(KINDS) == set(DISTRIBUTIONS) == set(EXAMPLES)


def quantile(kind: str, share: float, **settings: Any) -> Any:
    found = read_distribution("x", {"distribution": kind, **(settings or EXAMPLES[kind])})
    assert found.optuna == optuna.distributions.FloatDistribution(0, 1)
    return found.value(share)


@pytest.mark.parametrize(
    ("kind", "settings", "share", "expected"),
    [
        ("normal", {}, 0.5, 0.0),
        ("normal", {"mu": 2, "sigma": 3}, 0.8413447460685429, 5.0),
        ("log_normal", {"mu": 1, "sigma": 2}, 0.8413447460685429, math.exp(3)),
        ("q_normal", {"mu": 10, "sigma": 4, "q": 5}, 0.8413447460685429, 15),
        ("q_log_normal", {"mu": 2, "sigma": 1, "q": 1}, 0.5, 7),
        ("beta", {}, 0.3, 0.3),
        ("beta", {"a": 2, "b": 1}, 0.25, 0.5),
        ("q_beta", {"a": 2, "b": 1, "q": 0.2}, 0.25, 0.4),
        ("q_uniform", {"min": 0, "max": 1, "q": 0.1}, 0.31, 0.3),
        ("q_uniform", {"min": 0, "max": 10, "q": 4}, 0.75, 8),
        ("q_log_uniform", {"min": 0, "max": 4, "q": 2}, 0.5, 8),
        ("q_log_uniform_values", {"min": 4, "max": 64, "q": 8}, 0.5, 16),
        ("categorical_w_probabilities", {"values": ["a", "b", "c"], "probabilities": [0.25, 0.75, 0]}, 0.2, "a"),
        ("categorical_w_probabilities", {"values": ["a", "b", "c"], "probabilities": [0.25, 0.75, 0]}, 1.0, "b"),
    ],
)
def test_quantiles(kind: str, settings: dict[str, Any], share: float, expected: Any) -> None:
    found = (
        quantile(kind, share, **settings) if settings else read_distribution("x", {"distribution": kind}).value(share)
    )
    assert found == pytest.approx(expected) if isinstance(expected, float) else found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("log_uniform", math.exp(-3), math.exp(2)),
        ("log_uniform_values", 1e-4, 0.1),
        ("inv_log_uniform", math.exp(-4), math.exp(-1)),
        ("inv_log_uniform_values", 0.01, 10),
    ],
)
def test_logarithmic_ranges_are_optunas(kind: str, low: float, high: float) -> None:
    found = read_distribution("x", {"distribution": kind, **EXAMPLES[kind]}).optuna
    assert isinstance(found, optuna.distributions.FloatDistribution) and found.log
    assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_as_wandb_draws(kind: str) -> None:
    """The same quantiles as in W&B's own engine (package `sweeps`), where that is installed."""
    params = pytest.importorskip("sweeps.params")
    try:
        theirs = params.HyperParameter("x", {"distribution": kind, **EXAMPLES[kind]})
    except Exception:
        pytest.skip("its version does not know this distribution")
    ours = read_distribution("x", {"distribution": kind, **EXAMPLES[kind]})
    for share in np.linspace(0.0213, 0.9777, 23):
        assert ours.value(_drawn(ours.optuna, share)) == pytest.approx(theirs.ppf(share)), share


def _drawn(distribution: Any, share: float) -> Any:
    """What Optuna's distribution has at a share of it."""
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return distribution.choices[min(int(share * len(distribution.choices)), len(distribution.choices) - 1)]
    if isinstance(distribution, optuna.distributions.IntDistribution):
        return distribution.low + min(int(share * (distribution.high - distribution.low + 1)), 10**6)
    if isinstance(distribution, optuna.distributions.FloatDistribution):
        if distribution.log:
            return distribution.low * (distribution.high / distribution.low) ** share
        return distribution.low + share * (distribution.high - distribution.low)
    return None


@given(
    kind=st.sampled_from(["q_uniform", "q_log_uniform_values", "q_normal", "q_log_normal", "q_beta"]),
    share=st.floats(0, 1),
    quantum=st.one_of(st.integers(1, 7), st.floats(0.01, 3)),
)
def test_quantised_values_are_multiples(kind: str, share: float, quantum: float) -> None:
    settings = {"min": 1, "max": 40} if "uniform" in kind else {}
    value = read_distribution("x", {"distribution": kind, "q": quantum, **settings}).value(share)
    assert isinstance(value, type(quantum)), "whole for a whole q"
    assert value / quantum == pytest.approx(round(value / quantum), abs=1e-6)


def drawn(settings: dict[str, Any], count: int = 400) -> list[Any]:
    parameter = Parameter(("x",), read_distribution("x", settings))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return [draw(study.ask(), (parameter,))["x"] for _ in range(count)]


def test_what_is_drawn() -> None:
    shares = Counter(drawn({"values": ["a", "b"], "probabilities": [0.2, 0.8]}))
    assert shares["b"] / 400 == pytest.approx(0.8, abs=0.08)
    assert set(drawn({"min": 2, "max": 5})) == {2, 3, 4, 5}
    assert set(drawn({"value": None}, 3)) == {None}
    below = sum(value < 1e-2 for value in drawn({"distribution": "log_uniform_values", "min": 1.0e-4, "max": 1.0}))
    assert below / 400 == pytest.approx(0.5, abs=0.1)


def test_values_that_optuna_would_take_for_one() -> None:
    values = [1, True, 1.0, [1, 2], None, "1"]
    found = drawn({"values": values}, 120)
    assert {repr(value) for value in found} == {repr(value) for value in values}


def test_grids() -> None:
    def grid(settings: dict[str, Any]) -> list[Any] | None:
        found = read_distribution("x", settings)
        if found.grid is None:
            with pytest.raises(UserError, match="parameter x: .* has no list of values for method grid"):
                in_a_grid("x", found)
            return None
        listed = in_a_grid("x", found)
        assert isinstance(listed.optuna, optuna.distributions.CategoricalDistribution)
        return [listed.value(choice) for choice in listed.optuna.choices]

    assert grid({"values": [3, "a", [1]]}) == [3, "a", [1]]
    assert grid({"min": 1, "max": 3}) == [1, 2, 3]
    assert grid({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.25}) == [0, 0.25, 0.5, 0.75]
    assert grid({"distribution": "q_uniform", "min": 0, "max": 0.4, "q": 0.1}) == [0, 0.1, 0.2, 0.3]
    whole = grid({"distribution": "q_uniform", "min": 2, "max": 10, "q": 3})
    assert whole == [2, 5, 8] and {type(value) for value in whole} == {int}, "from min, not multiples of q, as W&B"
    assert grid({"min": 0.0, "max": 1}) is None and grid({"distribution": "normal"}) is None
    assert grid({"values": [1, 2], "probabilities": [0.5, 0.5]}) is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (3, "must be a mapping"),
        ({}, "needs `value`, `values`, `min` and `max`"),
        ({"min": 1}, "needs `value`"),
        ({"distribution": "gauss"}, "unknown distribution 'gauss'; known are: beta"),
        ({"distribution": "uniform", "min": 0}, "uniform needs `max`"),
        ({"min": 0, "max": 1, "q": 2}, "int_uniform takes no 'q'"),
        ({"min": 2.0, "max": 1}, r"min \(2\) must be less than max \(1\)"),
        ({"distribution": "log_uniform_values", "min": "1e-4", "max": 1}, "in YAML 1e-4 is a text: write 1.0e-4"),
        ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "greater than 0"),
        ({"distribution": "log_uniform", "min": 1, "max": 1000}, "exponents of e"),
        ({"distribution": "int_uniform", "min": 0.5, "max": 3}, "whole numbers"),
        ({"distribution": "q_uniform", "min": 0, "max": 3, "q": 0}, "q must be greater than 0"),
        ({"distribution": "normal", "sigma": -1}, "sigma must not be negative"),
        ({"distribution": "beta", "a": 0}, "greater than 0"),
        ({"values": []}, "values must be a list"),
        ({"values": [1, 2], "probabilities": [1]}, "a list of 2 numbers"),
        ({"values": [1, 2], "probabilities": [0.5, 0.6]}, "sum to 1, not 1.1"),
        ({"distribution": "uniform", "min": True, "max": 3}, "min must be a number, not True"),
    ],
)
def test_wrong_settings_are_named(settings: Any, words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        read_distribution("lr", settings)
    assert "parameter lr" in str(error.value) and "\n" not in str(error.value)
