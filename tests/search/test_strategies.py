"""The contract of every registered strategy; a new one is checked by being registered."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from typing import Any

import pytest

from nasface.errors import UserError
from nasface.search.registry import get_strategy, make_strategy, register, strategy_names
from nasface.search.strategy import Outcome, Proposal, Strategy
from nasface.search.table import TableEvaluator
from nasface.space.space import MultipathSpace

SPACE = MultipathSpace("toy", 5, 3, (2, 6))
TINY = MultipathSpace("tiny", 2, 2)  # 24 members: both scales 2^4, one of them twice 2^2
# Short runs; a strategy that is not named here runs with its defaults.
SHORT: dict[str, dict[str, Any]] = {
    "samos": {"iterations": 60, "temperature": 1.0},
    "random": {"evaluations": 40},
    "random-sample": {},
    "evolution": {"evaluations": 40, "population": 8, "sample": 3},
    "spos": {"evaluations": 40, "population": 10, "top": 4},
    "local": {"evaluations": 60},
}
ONE_DRAW = ("random-sample",)
# They compare a penalty with one that they know, so an evaluation may stop; the others want exact penalties.
STOPPING = ("samos", "random", "local")

every_strategy = pytest.mark.parametrize("name", strategy_names())
every_search = pytest.mark.parametrize("name", [name for name in strategy_names() if name not in ONE_DRAW])


def short(name: str, space: MultipathSpace = SPACE, seed: int = 3, **more: Any) -> Strategy:
    return make_strategy(name, space, seed=seed, **SHORT.get(name, {}), **more)


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


@every_strategy
@pytest.mark.parametrize("early", [False, True])
def test_proposes_members_only_and_none_twice(name: str, early: bool) -> None:
    log = run(short(name), TableEvaluator(SPACE, 1, early_rejection=early))
    assert len(log) > 10 or name in ONE_DRAW
    assert all(SPACE.is_member(proposal.architecture.codes) for proposal, _ in log)
    complete = [proposal.architecture.digest for proposal, outcome in log if outcome.complete]
    assert len(complete) == len(set(complete))
    if not early:  # a stopped evaluation may be redone to its end
        assert len(complete) == len(log)


@every_strategy
def test_the_range_of_connections_is_kept(name: str) -> None:
    space = SPACE.with_connections((3, 4))
    for proposal, _ in run(short(name, space), TableEvaluator(space, 1)):
        assert all(3 <= count <= 4 for count in proposal.architecture.inner_counts())


@every_strategy
def test_same_seed_same_search(name: str) -> None:
    first, again, other = (digests(run(short(name, seed=seed), TableEvaluator(SPACE, 1))) for seed in (5, 5, 6))
    assert first == again
    assert first != other


@every_strategy
def test_same_search_in_another_process(name: str) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_strategies import *\n"
        "print(' '.join(digests(run(short(sys.argv[2]), TableEvaluator(SPACE, 1)))))"
    )
    here = __file__.rsplit("/", 1)[0]
    result = subprocess.run(
        [sys.executable, "-c", code, here, name],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "12345"},
    )
    assert result.stdout.split() == digests(run(short(name), TableEvaluator(SPACE, 1)))


@every_search
@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("told", [0, 1, 7, 25])
@pytest.mark.parametrize("opened", [False, True])
def test_state_survives_json_in_the_middle(name: str, early: bool, told: int, opened: bool) -> None:
    table = TableEvaluator(SPACE, 1, early_rejection=early)
    whole = run(short(name), table)
    strategy = short(name)
    for _ in range(told):
        proposal = strategy.ask()
        assert proposal is not None
        strategy.tell(proposal, table(proposal))
    open_proposal = strategy.ask() if opened else None
    restored = short(name)
    restored.load_state_dict(json.loads(json.dumps(strategy.state_dict())))
    assert restored.best == strategy.best
    assert restored.status() == strategy.status()
    assert restored.progress == strategy.progress
    if opened:
        assert restored.ask() == open_proposal
    assert json.dumps(restored.state_dict()) == json.dumps(strategy.state_dict())
    rest = run(restored, table)
    assert [proposal for proposal, _ in rest] == [proposal for proposal, _ in whole[told:]]


@every_strategy
def test_state_of_other_settings_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="settings"):
        short(name, seed=4).load_state_dict(short(name, seed=3).state_dict())
    with pytest.raises(UserError, match="strategy"):
        short(name).load_state_dict(short(name).state_dict() | {"strategy": "another"})


@every_strategy
@pytest.mark.parametrize("early", [False, True])
def test_the_end_of_a_small_space(name: str, early: bool) -> None:
    size = TINY.count_members()
    strategy = make_strategy(name, TINY)  # budgets far above the number of members
    log = run(strategy, TableEvaluator(TINY, 1, early_rejection=early), limit=2 * size)
    assert len(set(digests(log))) <= size
    assert strategy.ask() is None
    assert strategy.ask() is None
    done, total = strategy.progress
    assert done == total


@every_strategy
@pytest.mark.parametrize("early", [False, True])
def test_lower_is_better(name: str, early: bool) -> None:
    strategy = short(name)
    assert strategy.best is None
    log = run(strategy, TableEvaluator(SPACE, 1, early_rejection=early))
    lowest = min(outcome.penalty for _, outcome in log if outcome.complete)
    assert strategy.best is not None
    assert strategy.best[1] == lowest
    assert TableEvaluator(SPACE, 1).penalty(strategy.best[0]) == lowest
    assert strategy.status()["incumbent"] == lowest
    assert strategy.status()["evaluations"] == len(log) == strategy.evaluations


@pytest.mark.parametrize("name", STOPPING)
def test_early_rejection_changes_no_incumbent(name: str) -> None:
    exact, quick = short(name), short(name)
    run(exact, TableEvaluator(SPACE, 1))
    log = run(quick, TableEvaluator(SPACE, 1, early_rejection=True))
    assert any(not outcome.complete for _, outcome in log)
    assert quick.best == exact.best


@every_strategy
def test_status_is_made_of_finite_numbers(name: str) -> None:
    strategy, table = short(name), TableEvaluator(SPACE, 1)
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
    strategy, table = short(name), TableEvaluator(SPACE, 1)
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
        make_strategy(name, SPACE, seed=seed)


def test_unknown_names_and_settings_list_the_known_ones() -> None:
    with pytest.raises(UserError, match="local, random, random-sample, samos"):
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
