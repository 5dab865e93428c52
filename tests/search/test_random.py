from __future__ import annotations

import math
from typing import Any

import pytest

from nasface.search.strategies.random import RandomSearch
from nasface.search.strategy import Outcome
from nasface.space.space import MultipathSpace
from nasface.testing.toy_table import TableEvaluator
from nasface.utils.errors import UserError

SPACE = MultipathSpace("toy", 3, 2)


def test_a_small_space_is_covered_exactly_once() -> None:
    size = SPACE.count_members()
    strategy, seen = RandomSearch(SPACE, seed=2, evaluations=10 * size), []
    while (proposal := strategy.ask()) is not None:
        seen.append(proposal.architecture.codes)
        strategy.tell(proposal, Outcome(5.0))
    assert len(seen) == len(set(seen)) == size
    assert strategy.progress == (size, size)


@pytest.mark.parametrize("seed", range(4))
def test_members_that_are_not_drawn_come_last(seed: int) -> None:
    space = MultipathSpace("toy", 4, 2, (1, 4), (1, 1))
    drawable, size = space.count_canonical((1, 1)), space.count_members()
    strategy, counts, seen = RandomSearch(space, seed, evaluations=drawable + 50), [], set()
    while (proposal := strategy.ask()) is not None:
        counts.append(set(proposal.architecture.inner_counts()))
        assert proposal.architecture.space is space and proposal.architecture.digest not in seen
        seen.add(proposal.architecture.digest)
        strategy.tell(proposal, Outcome(5.0))
    assert len(counts) == drawable + 50 < size
    assert all(one == {1} for one in counts[:drawable]) and not any(one == {1} for one in counts[drawable:])


def test_exactly_the_budget() -> None:
    strategy = RandomSearch(SPACE, evaluations=17)
    for done in range(17):
        assert strategy.progress == (done, 17)
        proposal = strategy.ask()
        assert proposal is not None
        strategy.tell(proposal, Outcome(5.0))
    assert strategy.ask() is None


def test_the_threshold_is_the_incumbent() -> None:
    strategy = RandomSearch(SPACE, evaluations=4)
    expected = [math.inf, 7.0, 5.0, 5.0]
    for threshold, penalty in zip(expected, (7.0, 5.0, 6.0, 1.0), strict=True):
        proposal = strategy.ask()
        assert proposal is not None
        assert proposal.reject_above == threshold
        strategy.tell(proposal, Outcome(penalty))
    assert strategy.best is not None
    assert strategy.best[1] == 1.0


def test_it_draws_the_space_s_uniform_members() -> None:
    # The members do not depend on the penalties: two tables, one sequence.
    sequences = []
    for seed in (1, 2):
        strategy, table, codes = RandomSearch(SPACE, seed=8, evaluations=30), TableEvaluator(SPACE, seed), []
        while (proposal := strategy.ask()) is not None:
            codes.append(proposal.architecture.codes)
            strategy.tell(proposal, table(proposal))
        sequences.append(codes)
    assert sequences[0] == sequences[1]


@pytest.mark.parametrize("evaluations", [0, -3, 2.0, True, None])
def test_bad_budgets(evaluations: Any) -> None:
    with pytest.raises(UserError, match="evaluations"):
        RandomSearch(SPACE, evaluations=evaluations)
