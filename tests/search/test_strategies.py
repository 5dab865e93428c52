"""Every registered strategy keeps the contract; a new one is checked by being registered."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from nasface.search.budget import BudgetedStrategy
from nasface.search.registry import (
    STRATEGIES,
    check_settings,
    make_strategy,
    own_settings,
    register,
)
from nasface.search.strategy import Outcome, Proposal
from nasface.space.space import MultipathSpace
from nasface.testing.strategies import (
    SMALL,
    SPACE,
    STRATEGY_CHECKS,
    StrategyCase,
    check_another_process,
    check_early_rejection,
    check_members,
    check_seeds,
    check_states,
    check_strategy,
    digests,
    searches_elsewhere,
)
from nasface.utils.errors import UserError

# Short runs; a strategy that is not named here runs with its defaults.
SHORT: dict[str, dict[str, Any]] = {
    "samos": {"iterations": 60, "temperature": 1.0},
    "random": {"evaluations": 40},
    "random-sample": {},
    "evolution": {"evaluations": 40, "population": 8, "sample": 3},
    "spos": {"evaluations": 40, "population": 10, "top": 4},
    "local": {"evaluations": 60},
    "nsga2": {"evaluations": 40, "population": 8},
} | {name: {"evaluations": 30, "startup": 5} for name in STRATEGIES.names() if "/" in name}
# They compare a penalty with one that they know, so an evaluation may stop; the others want exact penalties.
STOPPING = ("local", "random", "samos")
# More ways to run the same strategies; they have to keep the contract, too. SAMOS's walks limit what may be open.
CHAINS: dict[str, dict[str, Any]] = {"samos+chains": {"chains": 3}}
ALL: dict[str, dict[str, Any]] = {"samos+all": {"chains": 2, "acceptance": 0.8, "restart_after": 6, "moves": 2}}


def _case(name: str) -> StrategyCase:
    base = name.partition("+")[0]
    variant = (CHAINS | ALL).get(name, {})
    if name in ("optuna/gp", "optuna/bruteforce"):  # half a second for a suggestion
        short = {"evaluations": 9, "startup": 6}
        return StrategyCase(name, short, SMALL, slow=True, at_the_end={"startup": 22})
    return StrategyCase(
        base,
        SHORT.get(base, {}) | variant,
        stops=base in STOPPING,
        draws_once=base == "random-sample",
        parallel=variant.get("chains", 1) if base == "samos" else None,
        at_the_end=variant,
    )


def _missing(name: str) -> list[str]:
    """Packages that a strategy needs and that are not installed."""
    needs = {"nni": "nni", "optuna/cmaes": "cmaes"}
    return [package for prefix, package in needs.items() if name.startswith(prefix) and find_spec(package) is None]


NAMES = [*STRATEGIES.names(), *CHAINS, *ALL]
CASES = {name: _case(name) for name in NAMES if not _missing(name)}
every_strategy = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.skipif(name not in CASES, reason="not installed")) for name in NAMES],
)


@every_strategy
@pytest.mark.parametrize("check", [one for one in STRATEGY_CHECKS if one is not check_another_process])
def test_contract(name: str, check: Callable[[StrategyCase], None]) -> None:
    if check is check_early_rejection and name in CHAINS | ALL:
        pytest.skip("a member that is evaluated again takes a chain's turn, so that the others go another way")
    check(CASES[name])


@pytest.fixture(scope="module")
def elsewhere() -> dict[str, list[str]]:
    """What every strategy proposes in another process: one for all of them."""
    return dict(zip(CASES, searches_elsewhere(list(CASES.values())), strict=True))


@every_strategy
def test_same_search_in_another_process(name: str, elsewhere: dict[str, list[str]]) -> None:
    assert elsewhere[name] == digests(CASES[name].plain[1])


class Moody(BudgetedStrategy):
    """Random search whose members depend on more than the seed and what it was told."""

    name = "moody"

    def _next(self) -> Proposal | None:
        self._rng = np.random.default_rng()
        return self._propose_exact(self._draw())

    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        del proposal, outcome


class Wasteful(BudgetedStrategy):
    """Random search that looks at members that it knows."""

    name = "wasteful"

    def _next(self) -> Proposal | None:
        return self._propose_exact(self._best[0] if self._best else self._draw())

    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        del proposal, outcome


@pytest.mark.parametrize(
    ("strategy", "check"), [(Moody, check_states), (Moody, check_seeds), (Wasteful, check_members)]
)
def test_the_contract_finds_what_breaks_it(
    strategy: type[BudgetedStrategy], check: Callable[[StrategyCase], None]
) -> None:
    with STRATEGIES.scope():
        register(strategy)
        with pytest.raises(AssertionError):
            check(StrategyCase(strategy.name, {"evaluations": 40}))


def test_an_own_strategy_keeps_the_contract() -> None:
    """All checks in one call, in a process that has to import the strategy's module."""
    check_strategy(StrategyCase("random", {"evaluations": 40}, stops=True))


def test_unknown_names_and_settings_list_the_known_ones() -> None:
    with pytest.raises(UserError, match="evolution, local, .*optuna/tpe, random, random-sample, samos"):
        make_strategy("simulated-annealing", SPACE)
    with pytest.raises(UserError, match="'steps'.*iterations"):
        make_strategy("samos", SPACE, steps=3)


def test_own_settings_are_those_of_the_signature() -> None:
    def defaults(name: str) -> dict[str, Any]:
        return {key: setting.default for key, setting in own_settings(name).items()}

    assert defaults("spos") == {"population": 50, "top": 10, "mutation": 0.1}
    assert defaults("evolution") == {"population": 20, "sample": 5}
    assert defaults("nsga2") == {"population": 20, "crossover": 0.9}
    assert defaults("optuna/tpe") == {"startup": 10}
    assert defaults("random") == defaults("random-sample") == defaults("local") == {}
    assert "initial" not in defaults("samos"), "no setting that a command line could give"


def test_values_of_settings_are_checked() -> None:
    assert check_settings("spos", {"top": 16.0, "mutation": 1}) == {"top": 16, "mutation": 1.0}
    assert type(check_settings("spos", {"top": 16.0})["top"]) is int
    for name, value, words in (
        ("top", 1.5, "top: must be a whole number, not 1.5"),
        ("top", True, "top: must be a whole number, not True"),
        ("top", None, "top: must be a whole number, not None"),
        ("top", float("nan"), "top: must be a whole number, not nan"),
        ("top", float("inf"), "top: must be a whole number, not inf"),
        ("mutation", "high", "mutation: must be a number, not high"),
        ("mutations", 0.1, r"its own, and their defaults, are: population \(50\), top .* mean mutation\?"),
    ):
        with pytest.raises(UserError, match=f"search.settings.{name}.*{words}|search.settings.{words}"):
            check_settings("spos", {name: value})


@pytest.mark.parametrize("crossover", [-0.1, 90.0, float("nan")])
def test_a_crossover_is_a_probability(crossover: float) -> None:
    with pytest.raises(UserError, match="crossover must be a probability from 0 to 1"):
        make_strategy("nsga2", MultipathSpace("toy", 3, 2), seed=0, crossover=crossover)


def test_a_name_is_given_once() -> None:
    register(STRATEGIES.get("samos"))  # the same class again is no conflict

    class Impostor(STRATEGIES.get("random")):  # type: ignore[misc]
        name = "samos"

    with pytest.raises(ValueError, match="taken"):
        register(Impostor)
    assert STRATEGIES.get("samos") is not Impostor
