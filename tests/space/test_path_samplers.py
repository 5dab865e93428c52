from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nasface.space.catalogue import load_space
from nasface.space.path_samplers import MNUS, UniformPaths, WholeFirst
from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError

FIG2 = load_space("multipath")


def gaps(space: MultipathSpace, paths: np.ndarray) -> list[np.ndarray]:
    """Which connections each child takes, one bool array (K, sources, targets) per gap."""
    return [paths[:, space.gap_slice(gap)].reshape(-1, *space.gap_shape(gap)) > 0 for gap in range(space.layers)]


def check_paths(sampler: MNUS, step: int) -> np.ndarray:
    """Assert what holds in every single step of MNUS; returns the paths."""
    space, children = sampler.space, sampler.children
    paths = sampler.sample(step)
    assert paths.shape == (children, space.num_connections)
    assert paths.dtype == np.int8
    assert 0 <= paths.min() <= paths.max() <= 2
    reached = np.ones((children, 1), dtype=bool)
    for taken, repeats in zip(gaps(space, paths), sampler.plan(step), strict=True):
        # Eq. 7: every connection is taken by the same number of children
        assert (taken.sum(axis=0) == repeats).all()
        # Eq. 8: a child's connections start at nodes that it reaches
        assert not (taken & ~reached[:, :, None]).any()
        counts = taken.sum(axis=(1, 2))
        assert counts.max() - counts.min() <= 1
        reached = taken.any(axis=1)
    assert reached.all(), "every child reaches the output"
    assert all(space.is_valid(path) for path in paths.tolist())
    return paths


@settings(max_examples=120, deadline=None)
@given(
    scales=st.integers(2, 5),
    children=st.integers(2, 6),
    layers=st.integers(3, 8),
    repeats=st.sampled_from([(1,), (2,), (1, 2)]),
    seed=st.integers(0, 2**40),
    step=st.integers(0, 2**40),
)
def test_every_step_is_unbiased_and_connected(
    scales: int, children: int, layers: int, repeats: tuple[int, ...], seed: int, step: int
) -> None:
    assume(min(repeats) * scales**2 >= children)
    sampler = MNUS(MultipathSpace("s", layers, scales), children, seed, repeats)
    for following in range(3):
        check_paths(sampler, step + following)
        assert sampler.plan(step + following)[1] in repeats


@settings(max_examples=30, deadline=None)
@given(children=st.integers(2, 4), seed=st.integers(0, 2**40), step=st.integers(0, 2**40))
def test_a_full_last_gap(children: int, seed: int, step: int) -> None:
    """Every child takes every connection of the last gap, as the dense members of a space do."""
    repeats = children // 2
    sampler = MNUS(FIG2, children, seed, (repeats,), last_repeats=children)
    assert sampler.plan(step)[-1] == children
    paths = check_paths(sampler, step)
    assert (paths[:, FIG2.gap_slice(FIG2.layers - 1)] > 0).all()


@settings(max_examples=25, deadline=None)
@given(
    scales=st.integers(2, 4),
    children=st.integers(2, 5),
    repeats=st.sampled_from([(1,), (2,), (1, 2), (2, 1, 2)]),
    seed=st.integers(0, 2**40),
)
def test_operations_are_balanced_over_every_window(
    scales: int, children: int, repeats: tuple[int, ...], seed: int
) -> None:
    assume(min(repeats) * scales**2 >= children)
    space = MultipathSpace("s", 4, scales)
    sampler = MNUS(space, children, seed, repeats)
    drawn = np.zeros((space.num_connections, 3), dtype=int)
    for step in range(12):
        before = [
            count for gap, count in enumerate(sampler.draws_before(step)) for _ in range(np.prod(space.gap_shape(gap)))
        ]
        assert (drawn[:, 1:].sum(axis=1) == before).all()
        paths = sampler.sample(step)
        for operation in range(3):
            drawn[:, operation] += (paths == operation).sum(axis=0)
        # after each step: complete windows hold one of each, an open window holds at most one more of one
        total = drawn[:, 1] + drawn[:, 2]
        assert (np.abs(drawn[:, 1] - drawn[:, 2]) == total % 2).all()


def test_windows_are_independent() -> None:
    # With one draw a step the windows are pairs of steps; the patterns of two successive windows are equally likely.
    sampler = MNUS(MultipathSpace("s", 3, 4), 4, 5, (1,))
    inner = slice(4, 20)
    patterns: Counter[tuple[int, int]] = Counter()
    for window in range(0, 120, 2):
        first, second = (sampler.sample(2 * w)[:, inner].max(axis=0) for w in (window, window + 1))
        patterns.update(zip(first.tolist(), second.tolist(), strict=True))
    counts = np.array([patterns[a, b] for a in (1, 2) for b in (1, 2)])
    assert counts.sum() == 60 * 16
    assert ((counts - 240) ** 2 / 240).sum() < 25  # 3 degrees of freedom; p < 2e-5


def test_draws_of_a_step_are_dealt_in_random_order() -> None:
    # Three draws a step, so each window is shared by two of three children or by two steps: the same for every pair.
    sampler = MNUS(MultipathSpace("s", 4, 3), 3, 2, (3,))
    paths = np.stack([sampler.sample(step) for step in range(100)])
    agreement = [(paths[:, a] == paths[:, b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))]
    assert max(agreement) - min(agreement) < 0.06


def test_fig_2() -> None:
    sampler = MNUS(FIG2, 4, 0, (1,))
    assert sampler.plan(0) == (2,) + (1,) * 9
    for step in range(20):
        taken = gaps(FIG2, check_paths(sampler, step))
        assert all((gap.sum(axis=(1, 2)) == count).all() for gap, count in zip(taken, [2] + [4] * 8 + [1], strict=True))


def test_repeats_come_once_in_every_block() -> None:
    sampler = MNUS(FIG2, 4, 3, (1, 2, 3))
    orders = [tuple(sampler.plan(3 * block + place)[1] for place in range(3)) for block in range(60)]
    assert all(sorted(order) == [1, 2, 3] for order in orders)
    assert len(set(orders)) == 6
    assert all(check_paths(sampler, step) is not None for step in range(6))


def test_same_children_in_another_process() -> None:
    code = (
        "from nasface.space.path_samplers import *; from nasface.space.space import *; import sys;"
        "s = MultipathSpace('s', 6, 3);"
        "print([[a.sample(t).tolist() for t in (7, 0)] for a in (MNUS(s, 3, 11), UniformPaths(s, 3, 11))])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    space = MultipathSpace("s", 6, 3)
    here = [
        [sampler.sample(step).tolist() for step in (7, 0)]
        for sampler in (MNUS(space, 3, 11), UniformPaths(space, 3, 11))
    ]
    assert output.strip() == str(here)


def test_steps_seeds_and_order_of_calls() -> None:
    first, second = MNUS(FIG2, 4, 0), MNUS(FIG2, 4, 0)
    forward = [first.sample(step) for step in range(4)]
    backward = [second.sample(step) for step in reversed(range(4))][::-1]
    assert all((a == b).all() for a, b in zip(forward, backward, strict=True))
    assert all((forward[0] != path).any() for path in forward[1:])
    assert (MNUS(FIG2, 4, 1).sample(0) != forward[0]).any()
    with pytest.raises(ValueError, match="steps"):
        first.sample(-1)


@pytest.mark.parametrize(
    ("scales", "children", "repeats"), [(4, 4, (1,)), (4, 4, (2,)), (3, 4, (1,)), (2, 5, (2,)), (3, 3, (1, 2))]
)
def test_no_child_and_no_connection_is_favoured(scales: int, children: int, repeats: tuple[int, ...]) -> None:
    space = MultipathSpace("s", 4, scales)
    sampler = MNUS(space, children, 17, repeats)
    steps = 500
    taken = sum((sampler.sample(step) > 0).astype(int) for step in range(steps))
    for gap in range(space.layers):
        counts = taken[:, space.gap_slice(gap)]
        expected = counts.sum() / counts.size
        assert counts.min() > 0, "every connection is taken by every child at some time"
        if expected == steps:
            continue
        # The pairings of one connection exclude each other, which only narrows the spread.
        variance = expected * (1 - expected / steps)
        statistic = ((counts - expected) ** 2 / variance).sum()
        freedom = counts.size - counts.shape[1]
        assert statistic < freedom + 6 * (2 * freedom) ** 0.5 + 6
    # operations are dealt to children and connections evenly as well
    hpm = sum((sampler.sample(step) == 2).astype(int) for step in range(steps))
    share = hpm.sum(axis=1) / taken.sum(axis=1)
    assert np.abs(share - 0.5).max() < 0.03


@pytest.mark.parametrize(
    ("layers", "scales", "children", "repeats"),
    [(5, 2, 7, 2), (3, 5, 23, 1), (7, 4, 31, 2), (2, 3, 5, 1), (4, 1, 3, 3)],
)
def test_many_children(layers: int, scales: int, children: int, repeats: int) -> None:
    sampler = MNUS(MultipathSpace("s", layers, scales), children, 0, (repeats,))
    for step in range(10):
        check_paths(sampler, step)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"children": 0}, "children"),
        ({"children": 2.0}, "children"),
        ({"seed": -1}, "seed"),
        ({"repeats": ()}, "repeats"),
        ({"repeats": (0, 1)}, "repeats"),
        ({"repeats": 2}, "repeats"),
        ({"first_repeats": 0}, "first_repeats"),
        ({"last_repeats": 2.0}, "last_repeats must be a whole number of at least 1, not 2.0"),
        ({"children": 8, "repeats": (2,), "last_repeats": 1}, "last_repeats 1 leaves some of 8 children"),
        ({"repeats": (1,), "last_repeats": 4}, "a smaller last_repeats"),
        ({"children": 20, "repeats": (1,)}, "use at least 2"),
        ({"children": 9, "repeats": (1,), "first_repeats": 2}, "first_repeats 2"),
        ({"repeats": (2,), "first_repeats": 1}, "first_repeats 1, repeats 2 and last_repeats 2"),
    ],
)
def test_settings_that_fit_nothing_are_user_errors(changes: dict, part: str) -> None:
    settings = {"space": FIG2, "children": 4, "seed": 0, **changes}
    with pytest.raises(UserError) as error:
        MNUS(**settings)
    assert part in str(error.value)


def test_repeats_are_capped_at_the_children() -> None:
    sampler = MNUS(MultipathSpace("s", 4, 3), 1, 0, first_repeats=3, last_repeats=2)
    assert sampler.plan(0) == (1, 1, 1, 1)
    assert (sampler.sample(0) > 0).all()


def test_uniform_paths() -> None:
    space = MultipathSpace("small", 3, 2, (2, 3))
    sampler = UniformPaths(space, 5, 3)
    counts: Counter[tuple[int, ...]] = Counter()
    for step in range(600):
        paths = sampler.sample(step)
        assert paths.shape == (5, 8)
        assert paths.dtype == np.int8
        counts.update(map(tuple, paths.tolist()))
    assert all(space.is_member(codes) for codes in counts)
    members, draws = space.count_members(), 3000
    values = np.array([*counts.values(), *[0] * (members - len(counts))])
    statistic = ((values - draws / members) ** 2 / (draws / members)).sum()
    assert abs(statistic - members) < 6 * (2 * members) ** 0.5
    assert (sampler.sample(3) == UniformPaths(space, 5, 3).sample(3)).all()
    with pytest.raises(UserError, match="children"):
        UniformPaths(space, 0, 0)


def test_one_child_takes_all_connections_first() -> None:
    space = MultipathSpace("small", 4, 3)
    then = MNUS(space, 3, 7)
    sampler = WholeFirst(then, 20, 7)
    whole = [sampler.sample(step) for step in range(20)]
    assert {codes.shape for codes in whole} == {(1, space.num_connections)}
    drawn = np.concatenate(whole)
    # Each of the two operations once in every window of two draws.
    assert (drawn.reshape(10, 2, -1).sum(1) == 3).all()
    assert (sampler.sample(20) == then.sample(20)).all()
    assert (sampler.space, sampler.children) == (space, 3)
    assert (WholeFirst(then, 0, 7).sample(0) == then.sample(0)).all()
