"""The contract of search strategies, for their authors' tests.

    from nasface.testing import StrategyCase, check_strategy

    def test_hill():
        check_strategy(StrategyCase("hill", {"evaluations": 40}))

runs every check below on a table of made-up penalties; a check that fails raises AssertionError. To see which, run them
one by one: `@pytest.mark.parametrize("check", STRATEGY_CHECKS)`.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from nasface.search.registry import STRATEGIES, make_strategy, own_settings
from nasface.search.strategy import Constraint, Outcome, Proposal, Strategy
from nasface.space.space import Architecture, MultipathSpace
from nasface.testing.toy_table import TableEvaluator
from nasface.utils.errors import UserError

SPACE = MultipathSpace("toy", 5, 3, (2, 6))
SMALL = MultipathSpace("small", 3, 3)
TINY = MultipathSpace("tiny", 2, 2)  # 24 members: both scales 2^4, one of them twice 2^2


@dataclass(frozen=True)
class StrategyCase:
    """A registered strategy and how the checks shall run it.

    Attributes:
        name: as registered.
        settings: for a short search of about 40 evaluations, more than 8 at least.
        space: of the short searches; SMALL for a strategy that takes long for a proposal.
        stops: it proposes with `reject_above`, so that evaluations may stop early.
        draws_once: it evaluates a single member.
        parallel: as many open proposals as it gives at most; None for any number.
        slow: leave out the checks that repeat others in another setting.
        at_the_end: settings in place of `settings` where a search covers the whole of a tiny space; the budgets are
            then the strategy's defaults.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    space: MultipathSpace = SPACE
    stops: bool = False
    draws_once: bool = False
    parallel: int | None = None
    slow: bool = False
    at_the_end: dict[str, Any] = field(default_factory=dict)

    def make(self, space: MultipathSpace | None = None, seed: Any = 3, **more: Any) -> Strategy:
        """A fresh strategy for a short search."""
        return make_strategy(self.name, space or self.space, seed=seed, **self.settings, **more)

    def shorter(self) -> StrategyCase:
        """The same with a budget of 12 at most, for limits under which a proposal takes long."""
        budgets = {key: min(12, self.settings[key]) for key in ("evaluations", "iterations") if key in self.settings}
        return replace(self, settings=self.settings | budgets)

    @cached_property
    def plain(self) -> tuple[Strategy, list[tuple[Proposal, Outcome]]]:
        """A strategy after a search in which no evaluation stops, and that search; several checks look at it."""
        strategy = self.make()
        return strategy, run(strategy, self.table())

    def table(self, early: bool = False) -> TableEvaluator:
        """The penalties of the case's space."""
        return TableEvaluator(self.space, 1, early_rejection=early)

    @property
    def modes(self) -> tuple[bool, ...]:
        """Whether evaluations stop early: without, and with where the strategy allows it."""
        return (False, True) if self.stops else (False,)


def run(strategy: Strategy, table: TableEvaluator, limit: int = 10_000) -> list[tuple[Proposal, Outcome]]:
    """A whole search by one worker."""
    log = []
    while (proposal := strategy.ask()) is not None:
        outcome = table(proposal)
        strategy.tell(proposal, outcome)
        log.append((proposal, outcome))
        assert len(log) <= limit, "the strategy does not end"
    return log


def digests(log: list[tuple[Proposal, Outcome]]) -> list[str]:
    """The members of a search in their order."""
    return [proposal.architecture.digest for proposal, _ in log]


def connections_of(architecture: Architecture) -> float:
    """A cost: the number of connections."""
    return float(sum(code > 0 for code in architecture.codes))


def check_members(case: StrategyCase) -> None:
    """It proposes members only, and none twice."""
    for early in case.modes:
        log = run(case.make(), case.table(early)) if early else case.plain[1]
        assert len(log) > 8 or case.draws_once
        assert all(case.space.is_member(proposal.architecture.codes) for proposal, _ in log)
        complete = [proposal.architecture.digest for proposal, outcome in log if outcome.complete]
        assert len(complete) == len(set(complete))
        if not early:  # a stopped evaluation may be redone to its end
            assert len(complete) == len(log)


def check_range_of_connections(case: StrategyCase) -> None:
    """It keeps to the space's range of connections."""
    space = replace(case.space, connections=(3, 4))
    for proposal, _ in run(case.make(space), TableEvaluator(space, 1)):
        assert all(3 <= count <= 4 for count in proposal.architecture.inner_counts())


def check_seeds(case: StrategyCase) -> None:
    """The same seed gives the same search, another seed another one; seeds that are none are refused."""
    again, other = (digests(run(case.make(seed=seed), case.table())) for seed in (3, 6))
    assert digests(case.plain[1]) == again != other
    for seed in (-1, 1.5, "3", None, True):
        with _raises(UserError, "seed"):
            case.make(seed=seed)


def check_another_process(case: StrategyCase) -> None:
    """The same search comes out in another process, whose hashes Python seeds differently."""
    assert searches_elsewhere([case]) == [digests(case.plain[1])]


def check_states(case: StrategyCase) -> None:
    """A state that went through JSON goes on as the strategy would have, wherever the search was and with however many
    open proposals."""
    if case.draws_once:
        return
    more_asks = {7: (0,)} if case.slow else {0: (2,), 7: (0, 2), 25: (0,)}
    table, strategy = case.table(early=case.stops), case.make()
    restored: list[Strategy] = []
    while (proposal := strategy.ask()) is not None:
        assert all(one.ask() == proposal for one in restored)
        for asks in more_asks.pop(strategy.evaluations, ()):
            for one in (strategy, *restored):
                for _ in range(asks):
                    one.ask_another()
            restored.append(case.make())
            restored[-1].load_state_dict(json.loads(json.dumps(strategy.state_dict())))
            assert restored[-1].open == strategy.open
        outcome = table(proposal)
        for one in (strategy, *restored):
            one.tell(proposal, outcome)
            assert (one.best, one.progress, one.open) == (strategy.best, strategy.progress, strategy.open)
            assert one.status() == strategy.status()
    assert restored and not more_asks
    for one in restored:
        assert one.ask() is None
        assert json.dumps(one.state_dict()) == json.dumps(strategy.state_dict())


def check_foreign_states(case: StrategyCase) -> None:
    """A state of other settings, or of another strategy, is refused; no setting is left out of that."""
    assert own_settings(case.name).keys() <= case.make().settings.keys()
    with _raises(UserError, "settings"):
        case.make(seed=4).load_state_dict(case.make(seed=3).state_dict())
    with _raises(UserError, "strategy"):
        case.make().load_state_dict(case.make().state_dict() | {"strategy": "another"})


def check_end_of_a_small_space(case: StrategyCase) -> None:
    """It ends where the space has no further member, with budgets far above their number."""
    size = TINY.count_members()
    for early in case.modes:
        strategy = make_strategy(case.name, TINY, **case.at_the_end)
        log = run(strategy, TableEvaluator(TINY, 1, early_rejection=early), limit=2 * size)
        assert len(set(digests(log))) <= size
        assert strategy.ask() is None
        assert strategy.ask() is None
        done, total = strategy.progress
        assert done == total


def check_lower_is_better(case: StrategyCase) -> None:
    """`best` is the member with the lowest complete penalty, and `status` says so."""
    for early in case.modes:
        strategy, log = case.plain
        assert case.make().best is None
        if early:
            strategy = case.make()
            log = run(strategy, case.table(early))
        lowest = min(outcome.penalty for _, outcome in log if outcome.complete)
        assert strategy.best is not None
        assert strategy.best[1] == lowest
        assert case.table().penalty(strategy.best[0]) == lowest
        assert strategy.status()["incumbent"] == lowest
        assert strategy.status()["evaluations"] == len(log) == strategy.evaluations


def check_early_rejection(case: StrategyCase) -> None:
    """Stopping hopeless evaluations changes nothing about the result."""
    if case.stops:
        quick = case.make()
        log = run(quick, case.table(early=True))
        assert any(not outcome.complete for _, outcome in log)
        assert quick.best == case.plain[0].best


def check_status(case: StrategyCase) -> None:
    """`status` is made of finite numbers, at every moment."""
    strategy, table = case.make(), case.table()
    while True:
        status = strategy.status()
        assert all(isinstance(value, float) and math.isfinite(value) for value in status.values())
        assert json.loads(json.dumps(status)) == status
        proposal = strategy.ask()
        if proposal is None:
            break
        strategy.tell(proposal, table(proposal))


def check_strictness(case: StrategyCase) -> None:
    """`tell` refuses what was not asked and what is no penalty, and such a call leaves no trace."""
    strategy, table = case.make(), case.table()
    probe = case.make(seed=99).ask()
    assert probe is not None
    with _raises(ValueError, "without ask"):
        strategy.tell(probe, Outcome(1.0))
    proposal = strategy.ask()
    assert proposal is not None
    assert strategy.ask() == proposal, "an open proposal is repeated"
    with _raises(ValueError, "but asked for"):
        strategy.tell(probe, Outcome(1.0))
    for penalty in (math.nan, math.inf):
        with _raises(ValueError, "penalty"):
            strategy.tell(proposal, Outcome(penalty))
    with _raises(ValueError, "below its threshold"):
        strategy.tell(proposal, Outcome(1.0, complete=False))
    assert strategy.evaluations == 0, "what was refused has left no trace"
    strategy.tell(proposal, table(proposal))
    with _raises(ValueError, "without ask"):
        strategy.tell(proposal, table(proposal))


def check_constraints(case: StrategyCase) -> None:
    """Limits are kept, and the members that break them are counted."""
    asked: list[str] = []

    def measure(architecture: Architecture) -> float:
        asked.append(architecture.digest)
        return connections_of(architecture)

    limit = 12.0 if case.space is SPACE else 7.0  # about one member in ten
    strategy = case.shorter().make(constraints=[Constraint("connections", limit, measure)])
    log = run(strategy, case.table())
    assert log and all(connections_of(proposal.architecture) <= limit for proposal, _ in log)
    broken = {digest for digest in asked if digest not in digests(log)}
    assert strategy.rejected["connections"] <= len(broken)
    assert strategy.rejected["connections"] == strategy.status()["rejected"]
    assert strategy.rejected["connections"] > 0 or case.draws_once
    assert strategy.settings["constraints"] == {"connections": limit}


def check_tight_constraints(case: StrategyCase) -> None:
    """A limit that only few members keep: one path from stem to output, 2 * 3^2 * 2^3 of 10^7 members, of which uniform
    draws meet none. One that no member keeps is a UserError."""
    space, case = MultipathSpace("toy", 4, 3), case.shorter()
    strategy = case.make(space, constraints=[Constraint("connections", 4.0, connections_of)])
    log = run(strategy, TableEvaluator(space, 1), limit=1000)
    assert log and all(connections_of(proposal.architecture) == 4 for proposal, _ in log)
    assert strategy.ask() is None
    with _raises(UserError, "connections <= 1 was found: raise the limit"):
        run(case.make(TINY, constraints=[Constraint("connections", 1.0, connections_of)]), TableEvaluator(TINY, 1))


def check_several_workers(case: StrategyCase) -> None:
    """Outcomes in any order: no member twice, the budget exact, and an end."""
    for workers in (5,) if case.slow else (2, 5):
        if not case.draws_once:
            _check_workers(case, workers)


def _check_workers(case: StrategyCase, workers: int) -> None:
    strategy, table, order = case.make(), case.table(), np.random.default_rng(workers)
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
    assert most == min(workers, case.parallel or workers)
    budget = case.settings.get("evaluations")
    assert budget is None or len(complete) == budget


STRATEGY_CHECKS: tuple[Callable[[StrategyCase], None], ...] = (
    check_members,
    check_range_of_connections,
    check_seeds,
    check_another_process,
    check_states,
    check_foreign_states,
    check_end_of_a_small_space,
    check_lower_is_better,
    check_early_rejection,
    check_status,
    check_strictness,
    check_constraints,
    check_tight_constraints,
    check_several_workers,
)


def check_strategy(case: StrategyCase) -> None:
    """Every check of the contract.

    Raises:
        AssertionError: the strategy does not keep it.
        UserError: the strategy is unknown, or refuses its settings.
    """
    for check in STRATEGY_CHECKS:
        check(case)


_ELSEWHERE = """
import importlib, json, sys
for module in json.loads(sys.argv[1]):
    importlib.import_module(module)
from nasface.space.space import MultipathSpace
from nasface.testing.strategies import StrategyCase, digests, run
found = []
for name, settings, (title, layers, scales, connections) in json.loads(sys.argv[2]):
    case = StrategyCase(name, settings, MultipathSpace(title, layers, scales, connections and tuple(connections)))
    found.append(digests(run(case.make(), case.table())))
print(json.dumps(found))
"""


def searches_elsewhere(cases: Sequence[StrategyCase]) -> list[list[str]]:
    """What each case proposes in another process; its strategy's module is imported there by its name."""
    modules = sorted({STRATEGIES.get(case.name).__module__ for case in cases} - {"__main__"})
    spaces = [(case.space.name, case.space.layers, case.space.scales, case.space.connections) for case in cases]
    searches = [(case.name, case.settings, space) for case, space in zip(cases, spaces, strict=True)]
    result = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, json.dumps(modules), json.dumps(searches)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return json.loads(result.stdout)


@contextmanager
def _raises(kind: type[Exception], words: str) -> Iterator[None]:
    try:
        yield
    except kind as error:
        assert words in str(error), f"{error} does not say {words!r}"
    else:
        raise AssertionError(f"no {kind.__name__} that says {words!r}")
