"""SAMOS against a slow, literal statement of Algorithm 2."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from nasface.search.strategies.samos import SAMOS, acceptance_threshold
from nasface.search.strategy import Outcome, Proposal
from nasface.space.neighbours import move_probability, neighbours, random_neighbour
from nasface.space.presets import PRESETS, load_preset
from nasface.space.space import MultipathSpace
from nasface.testing.toy_table import TableEvaluator
from nasface.utils.errors import UserError

SPACE = MultipathSpace("toy", 5, 3, (2, 6))
SMALL = MultipathSpace("small", 3, 2)


def run(strategy: SAMOS, table: TableEvaluator) -> list[tuple[Proposal, Outcome]]:
    log = []
    while (proposal := strategy.ask()) is not None:
        outcome = table(proposal)
        strategy.tell(proposal, outcome)
        log.append((proposal, outcome))
    return log


def algorithm_2(
    space: MultipathSpace, table: TableEvaluator, seed: int, k: int, temperature: float, factor: float
) -> tuple[list[tuple[str, float, bool, float]], str, float]:
    """The paper's lines in the paper's order; every candidate is evaluated in full."""
    rng = np.random.Generator(np.random.PCG64(seed))
    s = space.random_architecture(rng)
    p = table.penalty(s)
    steps = []
    while k > 0:
        s_k = random_neighbour(s, rng)
        u = rng.random()
        p_k = table.penalty(s_k)
        dp = p_k - p
        accepted = False
        if dp < 0 or u < math.exp(-dp / temperature):
            p, s, accepted = p_k, s_k, True
        steps.append((s_k.digest, p_k, accepted, temperature))
        temperature = factor * temperature
        k = k - 1
    return steps, s.digest, p


@pytest.mark.parametrize(
    "space", [SPACE, SMALL, replace(SMALL, name="chains", connections=(1, 1))], ids=lambda space: space.name
)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("k", "temperature", "factor"), [(200, 2.0**10, 0.85), (120, 1.0, 0.97), (60, 0.05, 1.0)])
def test_equals_algorithm_2(space: MultipathSpace, seed: int, k: int, temperature: float, factor: float) -> None:
    table = TableEvaluator(space, seed=11)
    steps, final, penalty = algorithm_2(space, table, seed, k, temperature, factor)
    strategy = SAMOS(space, seed, k, **{**SAMOS.PAPER, "temperature": temperature, "factor": factor})
    run(strategy, table)
    assert [(s.digest, s.penalty, s.accepted, s.temperature) for s in strategy.steps] == steps
    assert strategy.current is not None
    assert (strategy.current[0].digest, strategy.current[1]) == (final, penalty)
    assert {accepted for _, _, accepted, _ in steps} == {True, False}, "the case decides nothing"


@pytest.mark.parametrize(
    "space", [SPACE, SMALL, replace(SMALL, name="chains", connections=(1, 1))], ids=lambda space: space.name
)
@pytest.mark.parametrize("seed", range(5))
def test_early_stopping_gives_the_same_trajectory(space: MultipathSpace, seed: int) -> None:
    plain, quick = (SAMOS(space, seed, 150, temperature=2.0, factor=0.95) for _ in range(2))
    run(plain, TableEvaluator(space, 11))
    log = run(quick, TableEvaluator(space, 11, early_rejection=True))
    assert [(s.digest, s.accepted, s.temperature) for s in quick.steps] == [
        (s.digest, s.accepted, s.temperature) for s in plain.steps
    ]
    assert (quick.best, quick.current) == (plain.best, plain.current)
    assert any(not outcome.complete for _, outcome in log)


def test_no_member_is_completed_twice_and_bounds_are_redone_to_the_end() -> None:
    redone = 0
    for seed in range(8):
        log = run(SAMOS(SMALL, seed, 200, 0.5, 1.0), TableEvaluator(SMALL, 11, early_rejection=True))
        history: dict[str, list[tuple[Proposal, Outcome]]] = {}
        for proposal, outcome in log:
            history.setdefault(proposal.architecture.digest, []).append((proposal, outcome))
        for entries in history.values():
            assert len(entries) <= 2
            if len(entries) == 2:
                (_, first), (again, second) = entries
                assert not first.complete
                assert again.reject_above == math.inf
                assert second.complete
                assert second.penalty >= first.penalty
                redone += 1
    assert redone > 0, "the case never happened"


def test_known_neighbours_are_iterations_without_evaluations() -> None:
    strategy = SAMOS(SMALL, 0, 200)
    log = run(strategy, TableEvaluator(SMALL, 11))
    known = sum(step.known for step in strategy.steps)
    assert known > 0
    assert len(strategy.steps) == 200
    assert len(log) == 1 + 200 - known
    assert strategy.status()["known"] == known


def test_the_paper_s_settings() -> None:
    strategy = SAMOS(SPACE, **SAMOS.PAPER)
    table = TableEvaluator(SPACE, 11)
    assert strategy.settings == {
        "seed": 0,
        "iterations": 200,
        "temperature": 1024.0,
        "factor": 0.85,
        "initial": None,
        "starts": 1,
        "presets": False,
        "balanced": False,
        "chains": 1,
        "acceptance": 0.0,
        "restart_after": 0,
        "moves": 1,
    }
    first = strategy.ask()
    assert first is not None
    assert first.reject_above == math.inf
    strategy.tell(first, table(first))
    status = strategy.status()
    assert (status["temperature"], status["iteration"]) == (1024.0, 0.0), "the first member is no iteration"
    run(strategy, table)
    temperature = 1024.0
    for step in strategy.steps:
        assert step.temperature == temperature
        temperature *= 0.85
    assert len(strategy.steps) == 200
    assert strategy.status()["temperature"] == temperature
    assert strategy.progress == (201, 201)


def test_a_given_first_member() -> None:
    initial = SPACE.random_architecture(np.random.default_rng(4))
    strategy = SAMOS(SPACE, initial=initial)
    proposal = strategy.ask()
    assert proposal is not None
    assert proposal.architecture == initial
    json.dumps(strategy.settings)
    outside = SMALL.random_architecture(np.random.default_rng(4))
    with pytest.raises(UserError, match="not a member of space toy"):
        SAMOS(SPACE, initial=outside)
    narrow = replace(SPACE, connections=(6, 6))
    with pytest.raises(UserError, match="not a member of space toy"):
        SAMOS(narrow, initial=MultipathSpace("toy", 5, 3, (2, 3)).random_architecture(np.random.default_rng(1)))


@pytest.mark.parametrize("chains", [8, 20])
def test_more_chains_than_members_keep_the_budget(chains: int) -> None:
    strategy, asked = SAMOS(MultipathSpace("tiny", 2, 1), 0, iterations=3, chains=chains), 0
    while (proposal := strategy.ask()) is not None:
        strategy.tell(proposal, Outcome(5.0 + (asked := asked + 1)))
    done, total = strategy.progress
    assert asked == 4 and done == total and len(strategy.steps) <= 3


@pytest.mark.parametrize(
    "settings",
    [
        {"iterations": 0},
        {"iterations": 1.5},
        {"temperature": 0.0},
        {"temperature": math.inf},
        {"temperature": math.nan},
        {"factor": 0.0},
        {"factor": 1.01},
        {"factor": math.nan},
        {"starts": 0},
    ],
)
def test_bad_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(settings))):
        SAMOS(SPACE, **settings)


penalties = st.floats(0.01, 100)
temperatures = st.floats(1e-12, 2.0**12)
uniforms = st.floats(0, 1, exclude_max=True)


@given(penalties, penalties, temperatures, uniforms)
def test_the_threshold_is_algorithm_2_s_decision(current: float, penalty: float, temperature: float, u: float) -> None:
    dp = penalty - current
    assume(dp / temperature < 700)  # beyond it exp underflows to 0, which no real number is
    literal = dp < 0 or u < math.exp(-dp / temperature)
    threshold = acceptance_threshold(current, temperature, u)
    # exp and ln round differently: within their rounding error either decision is Algorithm 2's.
    if abs(penalty - threshold) > 1e-12 * (current + penalty + temperature):
        assert (penalty < threshold) == literal


@given(penalties, temperatures, uniforms)
@example(50.0, 1e-12, 0.999)  # T ln(u) vanishes beside the penalty
def test_equal_and_lower_penalties_are_always_accepted(current: float, temperature: float, u: float) -> None:
    threshold = acceptance_threshold(current, temperature, u)
    assert current < threshold
    assert math.nextafter(current, 0) < threshold


def test_u_zero_accepts_everything() -> None:
    assert acceptance_threshold(5.0, 1e-9, 0.0) == math.inf


@pytest.mark.parametrize("complete", [True, False])
def test_a_penalty_at_the_threshold_is_rejected(complete: bool) -> None:
    strategy = SAMOS(SPACE, temperature=1.0, starts=1, balanced=False)
    first = strategy.ask()
    assert first is not None
    strategy.tell(first, Outcome(5.0))
    second = strategy.ask()
    assert second is not None
    strategy.tell(second, Outcome(second.reject_above, complete))
    assert not strategy.steps[0].accepted
    third = strategy.ask()
    assert third is not None
    strategy.tell(third, Outcome(math.nextafter(third.reject_above, 0)))
    assert strategy.steps[1].accepted


def test_a_walk_begins_at_the_best_of_its_starts() -> None:
    table = TableEvaluator(SPACE, 11)
    strategy = SAMOS(SPACE, seed=5, iterations=80, starts=12, temperature=1e-9)
    log = run(strategy, table)
    starts = [proposal.architecture for proposal, _ in log[:12]]
    assert len({one.digest for one in starts}) == 12
    best = min(starts, key=table.penalty)
    first_move = log[12][0].architecture
    assert move_probability(best, first_move) > 0, "the walk begins elsewhere"
    assert len(strategy.steps) == 80, "all starts but the first are iterations"
    assert strategy.progress == (81, 81)


def test_starts_take_at_most_a_quarter_of_the_iterations() -> None:
    log = [proposal.architecture for proposal, _ in run(SAMOS(SPACE, 5, 8, starts=50), TableEvaluator(SPACE, 11))]
    assert max(move_probability(start, log[3]) for start in log[:3]) > 0, "the fourth is a neighbour already"


def test_well_known_networks_are_the_first_starts_where_they_are_members() -> None:
    presets = [load_preset(name).canonical.digest for name in PRESETS]
    wide = MultipathSpace("multipath", 10, 4)
    strategy = SAMOS(wide, seed=0, iterations=60)
    asked = []
    for _ in range(5):
        proposal = strategy.ask()
        assert proposal is not None
        asked.append(proposal.architecture.digest)
        strategy.tell(proposal, Outcome(10.0 + len(asked)))
    assert asked[:3] == presets and not set(asked[3:]) & set(presets)
    dense = replace(wide, connections=(6, 8))
    first = SAMOS(dense, seed=0).ask()
    assert first is not None and first.architecture.digest not in presets


@pytest.mark.parametrize(
    "space", [SPACE, SMALL, replace(SMALL, name="chains", connections=(1, 1))], ids=lambda space: space.name
)
def test_move_probabilities_are_those_of_the_moves(space: MultipathSpace) -> None:
    rng = np.random.default_rng(2)
    for _ in range(3):
        member = space.random_architecture(rng)
        probabilities = {one.digest: move_probability(member, one) for one in neighbours(member)}
        assert sum(probabilities.values()) == pytest.approx(1)
        drawn = Counter(random_neighbour(member, rng).digest for _ in range(2000))
        for digest, probability in probabilities.items():
            spread = math.sqrt(probability * (1 - probability) / 2000)
            assert abs(drawn[digest] / 2000 - probability) < 5 * spread + 1e-3
        assert move_probability(member, member) == 0


def test_balanced_moves_visit_all_members_alike() -> None:
    """At a temperature beyond all penalties a walk is drawn by its moves alone."""

    def share_of_dense(balanced: bool) -> float:
        strategy = SAMOS(SMALL, 1, 6000, temperature=1e9, factor=1.0, starts=1, balanced=balanced)
        table, dense = TableEvaluator(SMALL, 11), 0
        while (proposal := strategy.ask()) is not None:
            strategy.tell(proposal, table(proposal))
        by_digest = {one.digest: one for one in map(SMALL.member, range(SMALL.count_members()))}
        current = None
        for step in strategy.steps:
            current = by_digest[step.digest] if step.accepted else current
            dense += current is not None and sum(code > 0 for code in current.codes) >= middle
        return dense / len(strategy.steps)

    counts = [sum(code > 0 for code in SMALL.member(rank).codes) for rank in range(SMALL.count_members())]
    middle = int(np.median(counts))
    truth = float(np.mean(np.array(counts) >= middle))
    assert abs(share_of_dense(True) - truth) < 0.03
    assert abs(share_of_dense(False) - truth) > 0.05, "the moves are balanced by themselves: nothing is tested"
