"""Exact counting and ranking of the members of a multi-path space, in Python integers.

The canonical members of a space with L gaps and D scales are walks over sets of live nodes: every live node of a
layer has a connection from a live node of the layer before and one to a live node of the layer after. How a gap
between two live sets can be filled depends only on their sizes, so that a dynamic programme over sizes counts the
members, and reading it backwards turns a number into a member (and a uniform number into a uniform member).
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache, lru_cache
from itertools import accumulate, combinations
from math import comb

# A connection that is present carries one of these many operations (identity, hpm).
OPERATION_CHOICES = 2

Range = tuple[int, int]


@cache
def fillings(rows: int, must: int, columns: int, edges: int) -> int:
    """Number of 0/1 matrices of shape (rows, columns) with `edges` ones, no empty row, and none of the first `must`
    columns empty.

    Inclusion and exclusion over the rows and the columns that are left empty.
    """
    return sum(
        (-1) ** (i + j) * comb(rows, i) * comb(must, j) * comb((rows - i) * (columns - j), edges)
        for i in range(rows + 1)
        for j in range(must + 1)
    )


def covers(sources: int, targets: int, edges: int) -> int:
    """Number of bipartite graphs on `sources` + `targets` vertices with `edges` edges and no isolated vertex."""
    return fillings(sources, targets, targets, edges)


def edge_counts(sources: int, targets: int, connections: Range | None) -> range:
    """Edge counts that a gap between so many live sources and targets may have, within the range of connections."""
    low, high = max(sources, targets), sources * targets
    if connections is not None:
        low, high = max(low, connections[0]), min(high, connections[1])
    return range(low, high + 1)


@cache
def gap_members(sources: int, targets: int, connections: Range | None) -> int:
    """Number of ways, operations included, to fill an inner gap between two given live sets of these sizes."""
    counts = edge_counts(sources, targets, connections)
    return sum(covers(sources, targets, m) * OPERATION_CHOICES**m for m in counts)


@lru_cache(maxsize=64)
def completions(layers: int, scales: int, connections: Range | None) -> tuple[tuple[int, ...], ...]:
    """completions[g][a]: number of ways to fill the gaps g..L-1 when a given set of `a` sources of gap g is live (g =
    1..L-1; a = 1..D)."""
    table = [tuple(0 if a == 0 else OPERATION_CHOICES**a for a in range(scales + 1))]
    for _ in range(layers - 2):
        later = table[-1]
        table.append(
            tuple(
                sum(comb(scales, b) * gap_members(a, b, connections) * later[b] for b in range(1, scales + 1))
                if a
                else 0
                for a in range(scales + 1)
            )
        )
    table.append(())  # gap 0 has the stem for its source; `count_canonical` sums over it
    return tuple(reversed(table))


def count_canonical(layers: int, scales: int, connections: Range | None = None) -> int:
    """Number of canonical members whose inner gaps each hold a number of connections within the range."""
    first = completions(layers, scales, connections)[1]
    return sum(comb(scales, a) * OPERATION_CHOICES**a * first[a] for a in range(1, scales + 1))


def count_valid(layers: int, scales: int, connections: Range | None = None) -> int:
    """Number of codes that satisfy Eq. 8 and reach the output, whose canonical form is within the range.

    The state is (active, live): nodes that are reached, and those of them that also reach the output. From a active,
    v live to b active, v' live: the live parts cover each other, and each of the b - v' dead ends takes at least one
    connection from any of the a active sources.
    """
    sizes = range(1, scales + 1)
    ways = {(a, v): comb(scales, a) * OPERATION_CHOICES**a * comb(a, v) for a in sizes for v in range(1, a + 1)}
    for _ in range(layers - 2):
        following = dict.fromkeys(ways, 0)
        for (a, v), count in ways.items():
            dead_end = (OPERATION_CHOICES + 1) ** a - 1
            for b, w in following:
                step = comb(scales, b) * comb(b, w) * gap_members(v, w, connections) * dead_end ** (b - w)
                following[b, w] += count * step
        ways = following
    return sum(count * OPERATION_CHOICES**v for (_, v), count in ways.items())


def member(index: int, layers: int, scales: int, connections: Range | None) -> list[int]:
    """The canonical member of rank `index`: a bijection from range(count_canonical(...)) onto the members' flat
    codes."""
    table = completions(layers, scales, connections)
    index, (count, ways) = _first_block(index, layers, scales, connections)
    choice, index = divmod(index, ways)
    subset, operations = divmod(choice, OPERATION_CHOICES**count)
    live = _subsets(scales, count)[subset]
    codes = [0] * scales
    _write(codes, list(live), operations)
    for gap in range(1, layers - 1):
        limits, blocks = _blocks(len(live), scales, connections, table[gap + 1])
        position = bisect_right(limits, index)
        targets, edges, ways = blocks[position]
        choice, index = divmod(index - (limits[position - 1] if position else 0), ways)
        choice, operations = divmod(choice, OPERATION_CHOICES**edges)
        subset, graph = divmod(choice, covers(len(live), targets, edges))
        following = _subsets(scales, targets)[subset]
        places = [live[row] * scales + following[column] for row, column in _graph(graph, len(live), targets, edges)]
        block = [0] * scales**2
        _write(block, places, operations)
        codes += block
        live = following
    block = [0] * scales
    _write(block, list(live), index)
    return codes + block


@lru_cache(maxsize=256)
def _first_blocks(layers: int, scales: int, connections: Range | None) -> tuple[list[int], list[tuple[int, int]]]:
    first = completions(layers, scales, connections)[1]
    blocks = [(a, first[a]) for a in range(1, scales + 1) if first[a]]
    return list(accumulate(comb(scales, a) * OPERATION_CHOICES**a * ways for a, ways in blocks)), blocks


def _first_block(index: int, layers: int, scales: int, connections: Range | None) -> tuple[int, tuple[int, int]]:
    limits, blocks = _first_blocks(layers, scales, connections)
    position = bisect_right(limits, index)
    return index - (limits[position - 1] if position else 0), blocks[position]


@lru_cache(maxsize=4096)
def _blocks(
    sources: int, scales: int, connections: Range | None, later: tuple[int, ...]
) -> tuple[list[int], list[tuple[int, int, int]]]:
    """Blocks (targets, edges, ways to finish) of an inner gap's ranks, and their cumulative sizes."""
    blocks = [
        (b, m, later[b])
        for b in range(1, scales + 1)
        for m in edge_counts(sources, b, connections)
        if later[b] and covers(sources, b, m)
    ]
    sizes = (comb(scales, b) * covers(sources, b, m) * OPERATION_CHOICES**m * ways for b, m, ways in blocks)
    return list(accumulate(sizes)), blocks


@cache
def _subsets(size: int, count: int) -> list[tuple[int, ...]]:
    return list(combinations(range(size), count))


def _write(block: list[int], places: list[int], operations: int) -> None:
    """Give the connections at `places` the operations that the digits of a number spell."""
    for place in places:
        operations, choice = divmod(operations, OPERATION_CHOICES)
        block[place] = 1 + choice


def _graph(index: int, rows: int, columns: int, edges: int) -> list[tuple[int, int]]:
    """The edges of the bipartite graph of rank `index` among those that `covers` counts."""
    missing = (1 << columns) - 1
    found = []
    for row in range(rows):
        limits, masks = _row_table(rows - row - 1, missing, columns, edges)
        position = bisect_right(limits, index)
        index -= limits[position - 1] if position else 0
        mask, ways = masks[position]
        # Ranks of one mask are consecutive, and within them the later rows count from zero: nothing to divide by.
        assert 0 <= index < ways
        found += [(row, column) for column in range(columns) if mask >> column & 1]
        missing &= ~mask
        edges -= mask.bit_count()
    return found


@lru_cache(maxsize=1 << 16)
def _row_table(later_rows: int, missing: int, columns: int, edges: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Possible next rows as bit masks, with the number of ways to finish after each, and the cumulative sums of
    those."""
    masks = []
    for mask in range(1, 1 << columns):
        left = edges - mask.bit_count()
        still = (missing & ~mask).bit_count()
        ways = fillings(later_rows, still, columns, left) if left >= 0 else 0
        if ways:
            masks.append((mask, ways))
    return list(accumulate(ways for _, ways in masks)), masks
