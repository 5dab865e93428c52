from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nasface.search.objectives import crowding, fronts, non_dominated, objective_values, require_objectives
from nasface.search.registry import make_strategy
from nasface.search.strategies.nsga2 import NSGA2
from nasface.search.strategies.random import RandomSearch
from nasface.search.strategy import Outcome, Proposal, Strategy
from nasface.space.space import MultipathSpace
from nasface.testing.toy_table import TableEvaluator
from nasface.utils.errors import UserError

SPACE = MultipathSpace("toy", 5, 3, (2, 6))
points = arrays(float, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.integers(0, 4).map(float))


@given(points)
def test_fronts_against_their_definition(values: np.ndarray) -> None:
    def beats(a: np.ndarray, b: np.ndarray) -> bool:
        return bool((a <= b).all() and (a < b).any())

    ranks = fronts(values)
    for place, point in enumerate(values):
        above = [ranks[other] for other in range(len(values)) if beats(values[other], point)]
        assert ranks[place] == (max(above) + 1 if above else 0)
    assert (non_dominated(values) == (ranks == 0)).all()


def test_crowding_by_hand() -> None:
    values = np.array([[0, 10], [2, 6], [3, 5], [10, 0]], dtype=float)
    assert crowding(values).tolist() == [np.inf, 3 / 10 + 5 / 10, 8 / 10 + 6 / 10, np.inf]
    assert crowding(np.array([[1.0, 1.0]])).tolist() == [np.inf]


def test_objectives_by_name() -> None:
    outcome = Outcome(5.0, details={"costs": {"macs": 7}})
    assert objective_values(("penalty", "macs"), outcome) == [5.0, 7.0]
    with pytest.raises(UserError, match="did not measure the objective 'latency'.*macs"):
        objective_values(("penalty", "latency"), outcome)
    for wrong in ((), ("macs", "penalty"), ("penalty", "penalty")):
        with pytest.raises(UserError, match="begin with penalty"):
            require_objectives(wrong)


def cost(proposal: Proposal) -> float:
    return float(sum(proposal.architecture.codes))


def run(strategy: Strategy) -> np.ndarray:
    """(N, 2) penalties and costs, in the order of evaluation."""
    table, values = TableEvaluator(SPACE, 1), []
    while (proposal := strategy.ask()) is not None:
        outcome = table(proposal)
        strategy.tell(proposal, Outcome(outcome.penalty, details={"costs": {"macs": cost(proposal)}}))
        values.append([outcome.penalty, cost(proposal)])
    return np.array(values)


def volume(values: np.ndarray) -> float:
    """Area between the front and (9 %, 60): the hypervolume, larger is better."""
    front = values[non_dominated(values)]
    area, right = 0.0, 60.0
    for penalty, price in front[np.argsort(-front[:, 1], kind="stable")]:
        # Cells to the right of the cheaper points are counted once, from the dearest point on.
        area += max(0.0, right - price) * (9.0 - penalty)
        right = min(right, price)
    return area


@pytest.mark.parametrize("name", ["nsga2", "optuna/nsga3"])
def test_several_objectives_beat_random_search(name: str) -> None:
    objectives = {"objectives": ("penalty", "macs"), "evaluations": 120}
    found = [volume(run(make_strategy(name, SPACE, seed=seed, **objectives))) for seed in range(3)]
    drawn = [volume(run(RandomSearch(SPACE, seed, 120))) for seed in range(3)]
    assert np.mean(found) > np.mean(drawn)


def test_one_objective_only() -> None:
    for name in ("optuna/cmaes", "nni/tpe"):
        pytest.importorskip({"optuna/cmaes": "cmaes", "nni/tpe": "nni"}[name])
        with pytest.raises(UserError, match="minimises one objective"):
            make_strategy(name, SPACE, objectives=("penalty", "macs"))


def test_nsga2_keeps_the_ends_of_the_front() -> None:
    strategy = NSGA2(SPACE, evaluations=60, population=10, objectives=("penalty", "macs"))
    values = run(strategy)
    kept = np.array([one for _, one in strategy._parents])
    before = values[:50]  # the sixth generation is not selected yet
    assert kept[:, 0].min() == before[:, 0].min() and kept[:, 1].min() == before[:, 1].min()
