"""The contract of every registered strategy; a new one is checked by being registered."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from nasface.search.registry import get_strategy, make_strategy, register, strategy_names
from nasface.search.strategy import Constraint, Outcome, Proposal, Strategy
from nasface.space.space import Architecture, MultipathSpace
from nasface.testing.toy_table import TableEvaluator
from nasface.utils.errors import UserError

SPACE = MultipathSpace("toy", 5, 3, (2, 6))
SMALL = MultipathSpace("small", 3, 3)
TINY = MultipathSpace("tiny", 2, 2)  # 24 members: both scales 2^4, one of them twice 2^2
# Short runs; a strategy that is not named here runs with its defaults.
SHORT: dict[str, dict[str, Any]] = {
    "samos": {"iterations": 60, "temperature": 1.0},
    "random": {"evaluations": 40},
    "random-sample": {},
    "evolution": {"evaluations": 40, "population": 8, "sample": 3},
    "spos": {"evaluations": 40, "population": 10, "top": 4},
    "local": {"evaluations": 60},
    "nsga2": {"evaluations": 40, "population": 8},
    "optuna/gp": {"evaluations": 9, "startup": 6},  # half a second for a suggestion
} | {name: {"evaluations": 30, "startup": 5} for name in strategy_names() if "/" in name and name != "optuna/gp"}
ONE_DRAW = ("random-sample",)
# They compare a penalty with one that they know, so an evaluation may stop; the others want exact penalties.
STOPPING = ("local", "random", "samos")
# More ways to run the same strategies; they have to keep the contract, too.
VARIANTS: dict[str, dict[str, Any]] = {
    "samos+chains": {"chains": 3},
    "samos+all": {"chains": 2, "acceptance": 0.8, "restart_after": 6, "moves": 2},
}


def _missing(name: str) -> list[str]:
    """Packages that a strategy needs and that are not installed."""
    needs = {"nni": "nni", "optuna/cmaes": "cmaes"}
    return [package for prefix, package in needs.items() if name.startswith(prefix) and find_spec(package) is None]


def _possible(name: str) -> Any:
    missing = _missing(name)
    return pytest.param(name, marks=pytest.mark.skipif(bool(missing), reason=f"{missing} not installed"))


NAMES = [*strategy_names(), *VARIANTS]
every_strategy = pytest.mark.parametrize("name", map(_possible, NAMES))
every_search = pytest.mark.parametrize("name", [_possible(name) for name in NAMES if name not in ONE_DRAW])


def stops(name: str) -> bool:
    return name.partition("+")[0] in STOPPING


with_and_without_stopping = pytest.mark.parametrize(
    ("name", "early"),
    [
        pytest.param(*_possible(name).values, early, marks=_possible(name).marks)
        for name in NAMES
        for early in (False, True)
        if stops(name) or not early
    ],
)


def home(name: str) -> MultipathSpace:
    return SMALL if name == "optuna/gp" else SPACE


def short(name: str, space: MultipathSpace | None = None, seed: int = 3, **more: Any) -> Strategy:
    base, _, variant = name.partition("+")
    settings = SHORT.get(base, {}) | (VARIANTS[name] if variant else {}) | more
    return make_strategy(base, space or home(name), seed=seed, **settings)


def table_of(name: str, early: bool = False) -> TableEvaluator:
    return TableEvaluator(home(name), 1, early_rejection=early)


def run(strategy: Strategy, table: TableEvaluator, limit: int = 10_000) -> list[tuple[Proposal, Outcome]]:
    log = []
    while (proposal := strategy.ask()) is not None:
        outcome = table(proposal)
        strategy.tell(proposal, outcome)
        log.append((proposal, outcome))
        assert len(log) <= limit, "the strategy does not end"
    return log


def digests(log: list[tuple[Proposal, Outcome]]) -> list[str]:
    return [proposal.architecture.digest for proposal, _ in log]


@with_and_without_stopping
def test_proposes_members_only_and_none_twice(name: str, early: bool) -> None:
    log = run(short(name), table_of(name, early))
    assert len(log) > 8 or name in ONE_DRAW
    assert all(home(name).is_member(proposal.architecture.codes) for proposal, _ in log)
    complete = [proposal.architecture.digest for proposal, outcome in log if outcome.complete]
    assert len(complete) == len(set(complete))
    if not early:  # a stopped evaluation may be redone to its end
        assert len(complete) == len(log)


@every_strategy
def test_the_range_of_connections_is_kept(name: str) -> None:
    space = home(name).with_connections((3, 4))
    for proposal, _ in run(short(name, space), TableEvaluator(space, 1)):
        assert all(3 <= count <= 4 for count in proposal.architecture.inner_counts())


@every_strategy
def test_same_seed_same_search(name: str) -> None:
    first, again, other = (digests(run(short(name, seed=seed), table_of(name))) for seed in (5, 5, 6))
    assert first == again
    assert first != other


@pytest.fixture(scope="module")
def elsewhere() -> dict[str, list[str]]:
    """What every strategy proposes in another process, with another seed of Python's hashes."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_strategies import *\n"
        "print(json.dumps({name: digests(run(short(name), table_of(name))) for name in sys.argv[2:]}))"
    )
    here = __file__.rsplit("/", 1)[0]
    names = [name for name in NAMES if not _missing(name)]
    result = subprocess.run(
        [sys.executable, "-c", code, here, *names],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "12345"},
    )
    return json.loads(result.stdout)


@every_strategy
def test_same_search_in_another_process(name: str, elsewhere: dict[str, list[str]]) -> None:
    assert elsewhere[name] == digests(run(short(name), table_of(name)))


@every_search
@pytest.mark.parametrize("told", [0, 7, 25])
@pytest.mark.parametrize("opened", [1, 3])
def test_state_survives_json_in_the_middle(name: str, told: int, opened: int) -> None:
    if name == "optuna/gp" and (told, opened) != (7, 1):
        pytest.skip("slow")
    table = table_of(name, early=stops(name))
    strategy = short(name)
    for _ in range(told):
        proposal = strategy.ask()
        assert proposal is not None
        strategy.tell(proposal, table(proposal))
    proposals = [strategy.ask_another() for _ in range(opened)]
    restored = short(name)
    restored.load_state_dict(json.loads(json.dumps(strategy.state_dict())))
    assert restored.best == strategy.best
    assert restored.status() == strategy.status()
    assert restored.progress == strategy.progress
    assert restored.open == strategy.open == tuple(one for one in proposals if one is not None)
    assert json.dumps(restored.state_dict()) == json.dumps(strategy.state_dict())
    assert run(restored, table_of(name)) == run(strategy, table_of(name))


@every_strategy
def test_state_of_other_settings_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="settings"):
        short(name, seed=4).load_state_dict(short(name, seed=3).state_dict())
    with pytest.raises(UserError, match="strategy"):
        short(name).load_state_dict(short(name).state_dict() | {"strategy": "another"})


@with_and_without_stopping
def test_the_end_of_a_small_space(name: str, early: bool) -> None:
    size = TINY.count_members()
    settings = VARIANTS.get(name, {}) | ({"startup": 22} if name == "optuna/gp" else {})
    strategy = make_strategy(name.partition("+")[0], TINY, **settings)  # budgets far above the number of members
    log = run(strategy, TableEvaluator(TINY, 1, early_rejection=early), limit=2 * size)
    assert len(set(digests(log))) <= size
    assert strategy.ask() is None
    assert strategy.ask() is None
    done, total = strategy.progress
    assert done == total


@with_and_without_stopping
def test_lower_is_better(name: str, early: bool) -> None:
    strategy = short(name)
    assert strategy.best is None
    log = run(strategy, table_of(name, early))
    lowest = min(outcome.penalty for _, outcome in log if outcome.complete)
    assert strategy.best is not None
    assert strategy.best[1] == lowest
    assert table_of(name).penalty(strategy.best[0]) == lowest
    assert strategy.status()["incumbent"] == lowest
    assert strategy.status()["evaluations"] == len(log) == strategy.evaluations


@pytest.mark.parametrize("name", STOPPING)
def test_early_rejection_changes_no_incumbent(name: str) -> None:
    exact, quick = short(name), short(name)
    run(exact, table_of(name))
    log = run(quick, table_of(name, early=True))
    assert any(not outcome.complete for _, outcome in log)
    assert quick.best == exact.best


@every_strategy
def test_status_is_made_of_finite_numbers(name: str) -> None:
    strategy, table = short(name), table_of(name)
    while True:
        status = strategy.status()
        assert all(isinstance(value, float) and math.isfinite(value) for value in status.values())
        assert json.loads(json.dumps(status)) == status
        proposal = strategy.ask()
        if proposal is None:
            break
        strategy.tell(proposal, table(proposal))


@every_strategy
def test_ask_and_tell_are_strict(name: str) -> None:
    strategy, table = short(name), table_of(name)
    probe = short(name, seed=99).ask()
    assert probe is not None
    with pytest.raises(ValueError, match="without ask"):
        strategy.tell(probe, Outcome(1.0))
    proposal = strategy.ask()
    assert proposal is not None
    assert strategy.ask() == proposal, "an open proposal is repeated"
    with pytest.raises(ValueError, match="but asked for"):
        strategy.tell(probe, Outcome(1.0))
    for penalty in (math.nan, math.inf):
        with pytest.raises(ValueError, match="penalty"):
            strategy.tell(proposal, Outcome(penalty))
    with pytest.raises(ValueError, match="below its threshold"):
        strategy.tell(proposal, Outcome(1.0, complete=False))
    assert strategy.evaluations == 0, "what was refused has left no trace"
    strategy.tell(proposal, table(proposal))
    with pytest.raises(ValueError, match="without ask"):
        strategy.tell(proposal, table(proposal))


@every_strategy
@pytest.mark.parametrize("seed", [-1, 1.5, "3", None, True])
def test_bad_seeds(name: str, seed: Any) -> None:
    with pytest.raises(UserError, match="seed"):
        short(name, seed=seed)


def connections_of(architecture: Architecture) -> float:
    """A cost: the number of connections."""
    return float(sum(code > 0 for code in architecture.codes))


@every_strategy
def test_constraints_are_kept_and_rejections_counted(name: str) -> None:
    asked: list[str] = []

    def measure(architecture: Architecture) -> float:
        asked.append(architecture.digest)
        return connections_of(architecture)

    limit = 12.0 if home(name) is SPACE else 7.0  # about one member in ten
    strategy = short(name, constraints=[Constraint("connections", limit, measure)])
    log = run(strategy, table_of(name))
    assert log and all(connections_of(proposal.architecture) <= limit for proposal, _ in log)
    broken = {digest for digest in asked if digest not in digests(log)}
    assert strategy.rejected["connections"] <= len(broken)
    assert strategy.rejected["connections"] == strategy.status()["rejected"]
    assert strategy.rejected["connections"] > 0 or name in ONE_DRAW
    assert strategy.settings["constraints"] == {"connections": limit}


@every_strategy
def test_limits_that_only_few_members_keep(name: str) -> None:
    # One path from stem to output, 2 * 3^2 * 2^3 of 10^7 members: uniform draws meet none.
    space = MultipathSpace("toy", 4, 3)
    strategy = short(name, space, constraints=[Constraint("connections", 4.0, connections_of)])
    log = run(strategy, TableEvaluator(space, 1), limit=1000)
    assert log and all(connections_of(proposal.architecture) == 4 for proposal, _ in log)
    assert strategy.ask() is None


@every_strategy
def test_limits_that_no_member_keeps(name: str) -> None:
    with pytest.raises(UserError, match="connections <= 3 was found: raise the limit"):
        run(short(name, constraints=[Constraint("connections", 3.0, connections_of)]), table_of(name))


@every_search
@pytest.mark.parametrize("workers", [2, 5])
def test_several_workers(name: str, workers: int) -> None:
    """Outcomes in any order: no member twice, the budget exact, and an end."""
    if name == "optuna/gp" and workers == 2:
        pytest.skip("slow")
    strategy, table, order = short(name), table_of(name), np.random.default_rng(workers)
    complete, most = [], 0
    while True:
        while len(strategy.open) < workers and strategy.ask_another() is not None:
            pass
        if not strategy.open:
            break
        most = max(most, len(strategy.open))
        assert len({one.architecture.digest for one in strategy.open}) == len(strategy.open)
        proposal = strategy.open[int(order.integers(len(strategy.open)))]
        strategy.tell(proposal, table(proposal))
        complete.append(proposal.architecture.digest)
    assert len(complete) == len(set(complete))
    done, total = strategy.progress
    assert done == total
    assert most == {"samos": 1, "samos+chains": min(3, workers), "samos+all": 2}.get(name, workers)
    budget = SHORT[name.partition("+")[0]].get("evaluations")
    assert budget is None or len(complete) == budget


def test_unknown_names_and_settings_list_the_known_ones() -> None:
    with pytest.raises(UserError, match="evolution, local, .*optuna/tpe, random, random-sample, samos"):
        make_strategy("simulated-annealing", SPACE)
    with pytest.raises(UserError, match="'steps'.*iterations"):
        make_strategy("samos", SPACE, steps=3)


def test_a_name_is_given_once() -> None:
    register(get_strategy("samos"))  # the same class again is no conflict

    class Impostor(get_strategy("random")):  # type: ignore[misc]
        name = "samos"

    with pytest.raises(ValueError, match="taken"):
        register(Impostor)
    assert get_strategy("samos") is not Impostor
