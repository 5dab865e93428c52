"""Exact counting and ranking of the members of a multi-path space, in Python integers.

The canonical members of a space with L gaps and D scales are walks over sets of live nodes: every live node of a
layer has a connection from a live node of the layer before and one to a live node of the layer after. How a gap
between two live sets can be filled depends only on their sizes, so that a dynamic programme over sizes counts the
members, and reading it backwards turns a number into a member (and a uniform number into a uniform member).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
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
    0..L-1; a = 0..D; the stem is the one source of gap 0)."""
    sizes = range(scales + 1)
    table = [tuple(gap_members(a, 1, None) for a in sizes)]
    for gap in reversed(range(layers - 1)):
        allowed, later = connections if gap else None, table[-1]
        table.append(
            tuple(sum(comb(scales, b) * gap_members(a, b, allowed) * later[b] for b in sizes[1:]) for a in sizes)
        )
    return tuple(reversed(table))


def count_canonical(layers: int, scales: int, connections: Range | None = None) -> int:
    """Number of canonical members whose inner gaps each hold a number of connections within the range."""
    return completions(layers, scales, connections)[0][1]


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
    live: tuple[int, ...] = (0,)
    codes: list[int] = []
    for gap in range(layers - 1):
        limits, blocks = _blocks(len(live), scales, connections if gap else None, table[gap + 1])
        position, index = _find(limits, index)
        targets, edges, ways = blocks[position]
        choice, index = divmod(index, ways)
        choice, operations = divmod(choice, OPERATION_CHOICES**edges)
        subset, graph = divmod(choice, covers(len(live), targets, edges))
        following = _subsets(scales, targets)[subset]
        places = [live[row] * scales + following[column] for row, column in _graph(graph, len(live), targets, edges)]
        codes += _block(scales**2 if gap else scales, places, operations)
        live = following
    return codes + _block(scales, live, index)


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


def _find(limits: list[int], index: int) -> tuple[int, int]:
    """The part in which an index lies, of parts whose cumulative sizes are `limits`, and the index within it."""
    position = bisect_right(limits, index)
    return position, index - (limits[position - 1] if position else 0)


def _block(size: int, places: Sequence[int], operations: int) -> list[int]:
    """A gap's codes: the connections at `places` have the operations that the digits of a number spell."""
    block = [0] * size
    for place in places:
        operations, choice = divmod(operations, OPERATION_CHOICES)
        block[place] = 1 + choice
    return block


def _graph(index: int, rows: int, columns: int, edges: int) -> list[tuple[int, int]]:
    """The edges of the bipartite graph of rank `index` among those that `covers` counts."""
    missing = (1 << columns) - 1
    found = []
    for row in range(rows):
        limits, masks = _row_table(rows - row - 1, missing, columns, edges)
        # Ranks of one mask are consecutive, and within them the later rows count from zero: nothing to divide by.
        position, index = _find(limits, index)
        mask = masks[position]
        found += [(row, column) for column in range(columns) if mask >> column & 1]
        missing &= ~mask
        edges -= mask.bit_count()
    return found


@lru_cache(maxsize=1 << 16)
def _row_table(later_rows: int, missing: int, columns: int, edges: int) -> tuple[list[int], list[int]]:
    """Possible next rows as bit masks, and the cumulative numbers of ways to finish after each."""
    ways = {}
    for mask in range(1, 1 << columns):
        left, still = edges - mask.bit_count(), (missing & ~mask).bit_count()
        if left >= 0 and (count := fillings(later_rows, still, columns, left)):
            ways[mask] = count
    return list(accumulate(ways.values())), list(ways)


def power(number: int) -> str:
    """A count in digits, or from a million on rounded to a power of ten: 512, 1.5e63."""
    return str(number) if number < 10**6 else f"{Decimal(number):.1e}".replace("e+", "e")
