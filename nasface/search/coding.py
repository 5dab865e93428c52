"""The coded space: any list of operation codes stands for a member, the nearest one.

What mixes or samples codes without knowing the space (crossover, per-connection mutation, black-box samplers) nearly
never meets a member of a multi-path space; a projection makes a member of whatever it proposes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from nasface.space.space import Architecture, MultipathSpace

# The operation of a connection that the code does not have but the member needs: identity, which costs least.
_ADDED = 1


def project(space: MultipathSpace, codes: Sequence[int]) -> Architecture:
    """A member that keeps as many of the code's connections, present or absent, as its live nodes and the range of
    connections allow; a member is its own projection.

    The live nodes are chosen by a dynamic programme over the layers' sets of live nodes that minimises the number of
    connections that come or go. Where a gap has more connections than its range allows, those that go are the last in
    an order that is fixed for the gap. Connections that stay keep their operation, others get the identity.

    Args:
        space: the space.
        codes: `num_connections` operation codes, valid as a network or not.
    """
    values = np.asarray(codes, dtype=np.int64)
    live = _live_sets(space, values > 0)
    result = np.zeros(space.num_connections, dtype=np.int64)
    for gap in range(space.layers):
        where, shape = space.gap_slice(gap), space.gap_shape(gap)
        block = values[where].reshape(shape)
        low, high = space.connections or (0, space.scales**2)
        if not 0 < gap < space.layers - 1:
            low, high = 0, space.scales**2
        rows = live[gap - 1] if gap > 0 else [0]
        columns = live[gap] if gap < space.layers - 1 else [0]
        for row, column in _fill(block > 0, rows, columns, low, high, _order(gap, shape)):
            result[where.start + row * shape[1] + column] = block[row, column] or _ADDED
    return Architecture(space, tuple(result.tolist()))


def _live_sets(space: MultipathSpace, present: np.ndarray) -> list[list[int]]:
    """The live nodes of layers 1..L-1 that need the fewest changes."""
    subsets = _subsets(space.scales)
    cost = _edge_cost(present[space.gap_slice(0)], subsets)
    choices = []
    for gap in range(1, space.layers - 1):
        block = present[space.gap_slice(gap)].reshape(space.gap_shape(gap))
        through = cost[:, None] + _gap_cost(block, subsets, space.connections)
        choices.append(through.argmin(axis=0))
        cost = through.min(axis=0)
    place = int((cost + _edge_cost(present[space.gap_slice(space.layers - 1)], subsets)).argmin())
    places = [place]
    for choice in reversed(choices):
        place = int(choice[place])
        places.append(place)
    return [np.flatnonzero(subsets[place]).tolist() for place in reversed(places)]


@lru_cache(maxsize=16)
def _subsets(scales: int) -> np.ndarray:
    """Every set of nodes but the empty one, (2^D - 1, D) of 0 and 1."""
    numbers = np.arange(1, 2**scales)
    return (numbers[:, None] >> np.arange(scales)) & 1


def _edge_cost(present: np.ndarray, subsets: np.ndarray) -> np.ndarray:
    """Changes in the first or last gap, (sets,): its connections are exactly the set's."""
    return (subsets != present[None]).sum(axis=1).astype(float)


def _gap_cost(present: np.ndarray, subsets: np.ndarray, connections: tuple[int, int] | None) -> np.ndarray:
    """Changes in an inner gap, (source sets, target sets); inf where the range cannot be kept."""
    block = present.astype(np.int64)
    kept = subsets @ block @ subsets.T
    lonely_sources = subsets @ (block @ subsets.T == 0)
    lonely_targets = (subsets @ block == 0) @ subsets.T
    # A connection that is added can serve a source and a target that have none.
    added = np.maximum(lonely_sources, lonely_targets)
    cost = (block.sum() - kept + added).astype(float)
    if connections is not None:
        low, high = connections
        sizes = subsets.sum(axis=1)
        count = kept + added
        cost += np.maximum(0, low - count) + np.maximum(0, count - high)
        cost[np.maximum(sizes[:, None], sizes) > high] = np.inf
        cost[sizes[:, None] * sizes < low] = np.inf
    return cost


def _fill(
    present: np.ndarray, rows: list[int], columns: list[int], low: int, high: int, order: np.ndarray
) -> set[tuple[int, int]]:
    """Connections of a gap between live rows and columns: none of those is lonely, and low <= count <= high."""
    places = [divmod(int(place), present.shape[1]) for place in order]
    places = [(row, column) for row, column in places if row in rows and column in columns]
    wanted = [place for place in places if present[place]]
    chosen = set(wanted) | _cover(rows, columns, wanted, [])
    if len(chosen) > high:
        # A smallest cover first (as many connections as the larger side has nodes), then what else may stay.
        chosen = _cover(rows, columns, [], wanted)
        chosen |= set([place for place in wanted if place not in chosen][: high - len(chosen)])
    missing = max(0, low - len(chosen))
    return chosen | set([place for place in places if place not in chosen][:missing])


def _cover(
    rows: list[int], columns: list[int], kept: list[tuple[int, int]], preferred: list[tuple[int, int]]
) -> set[tuple[int, int]]:
    """The connections that leave no row and no column lonely beside `kept`, preferred ones first, as few as can be."""
    lonely_rows = [row for row in rows if all(row != place[0] for place in kept)]
    lonely_columns = [column for column in columns if all(column != place[1] for place in kept)]
    chosen = set()
    for row, column in preferred:
        if row in lonely_rows and column in lonely_columns:
            chosen.add((row, column))
            lonely_rows.remove(row)
            lonely_columns.remove(column)
    while lonely_rows and lonely_columns:
        chosen.add((lonely_rows.pop(0), lonely_columns.pop(0)))
    for row in lonely_rows:
        chosen.add(next((place for place in preferred if place[0] == row), (row, columns[0])))
    for column in lonely_columns:
        chosen.add(next((place for place in preferred if place[1] == column), (rows[0], column)))
    return chosen


@lru_cache(maxsize=512)
def _order(gap: int, shape: tuple[int, int]) -> np.ndarray:
    """A fixed order of a gap's connections that favours no scale."""
    return np.random.default_rng([gap, *shape, 0xC0DE]).permutation(shape[0] * shape[1])
