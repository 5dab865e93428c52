"""Counts and ranks against brute force that shares no code with them."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest

from nasface.space import counting
from nasface.space.space import MultipathSpace


@cache
def brute_force(layers: int, scales: int) -> tuple[np.ndarray, np.ndarray]:
    """Every valid code of a small space and its canonical form, by following paths with boolean matrix products."""
    connections = (layers - 2) * scales**2 + 2 * scales
    digits = np.indices((3,) * connections, dtype=np.int8).reshape(connections, -1).T
    shapes = [(1, scales), *[(scales, scales)] * (layers - 2), (scales, 1)]
    gaps, start = [], 0
    for sources, targets in shapes:
        gaps.append(digits[:, start : start + sources * targets].reshape(-1, sources, targets))
        start += sources * targets
    from_stem = [np.ones((len(digits), 1, 1), dtype=int)]
    for gap in gaps:
        from_stem.append((from_stem[-1] @ (gap > 0) > 0).astype(int))
    to_output = [np.ones((len(digits), 1, 1), dtype=int)]
    for gap in reversed(gaps):
        to_output.insert(0, ((gap > 0) @ to_output[0] > 0).astype(int))
    valid = from_stem[-1][:, 0, 0] > 0
    canonical = []
    for gap, before, after in zip(gaps, from_stem, to_output[1:], strict=False):
        valid &= ~((gap > 0) & (before.transpose(0, 2, 1) == 0)).any(axis=(1, 2))
        canonical.append((gap * before.transpose(0, 2, 1) * after.transpose(0, 2, 1)).reshape(len(digits), -1))
    return digits[valid], np.concatenate(canonical, axis=1)[valid]


def within(space: MultipathSpace, codes: np.ndarray, connections: tuple[int, int]) -> np.ndarray:
    counts = [(codes[:, space.gap_slice(gap)] > 0).sum(axis=1) for gap in range(1, space.layers - 1)]
    inside = np.ones(len(codes), dtype=bool)
    for count in counts:
        inside &= (count >= connections[0]) & (count <= connections[1])
    return inside


SMALL = [(3, 2), (4, 2), (2, 3), (6, 1)]


@pytest.mark.parametrize(("layers", "scales"), SMALL)
def test_counts_equal_brute_force(layers: int, scales: int) -> None:
    space = MultipathSpace("small", layers, scales)
    valid, canonical = brute_force(layers, scales)
    assert space.raw_size == 3 ** ((layers - 2) * scales**2 + 2 * scales)
    assert space.count_valid() == len(valid)
    assert space.count_canonical() == len(np.unique(canonical, axis=0))


@pytest.mark.parametrize("connections", [(1, 2), (2, 2), (2, 3), (3, 4), (4, 4)])
@pytest.mark.parametrize(("layers", "scales"), [(3, 2), (4, 2)])
def test_counts_within_a_range_equal_brute_force(layers: int, scales: int, connections: tuple[int, int]) -> None:
    space = MultipathSpace("small", layers, scales, connections)
    _, canonical = brute_force(layers, scales)
    inside = canonical[within(space, canonical, connections)]
    assert space.count_valid(connections) == len(inside)
    assert space.count_canonical(connections) == space.count_members() == len(np.unique(inside, axis=0))


@pytest.mark.parametrize(
    ("layers", "scales", "connections"), [(3, 2, None), (3, 2, (2, 3)), (4, 2, (1, 2)), (2, 3, None)]
)
def test_ranks_are_a_bijection_onto_the_members(layers: int, scales: int, connections: tuple[int, int] | None) -> None:
    space = MultipathSpace("small", layers, scales, connections)
    _, canonical = brute_force(layers, scales)
    inside = canonical[within(space, canonical, connections or (0, scales**2))]
    expected = {tuple(code) for code in np.unique(inside, axis=0).tolist()}
    found = [space.member(rank).codes for rank in range(space.count_members())]
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert all(space.is_member(codes) for codes in found)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (3, 3), (4, 2)])
def test_graphs_without_isolated_vertices(rows: int, columns: int) -> None:
    cells = list(itertools.product(range(rows), range(columns)))
    for edges in range(rows * columns + 1):
        count = sum(
            len({row for row, _ in chosen}) == rows and len({column for _, column in chosen}) == columns
            for chosen in itertools.combinations(cells, edges)
        )
        assert counting.covers(rows, columns, edges) == count


def test_paper_size() -> None:
    space = MultipathSpace("paper", 10, 4)
    assert space.num_connections == 136
    assert space.raw_size == 3**136
    assert space.count_canonical((4, 8)) < space.count_canonical() < space.count_valid() < space.raw_size


def test_large_counts_are_rounded() -> None:
    counts = (512, 999_999, 10**6, 1_486_000, 99_600_000)
    assert [counting.power(count) for count in counts] == ["512", "999999", "1.0e6", "1.5e6", "1.0e8"]
