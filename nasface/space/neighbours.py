"""Neighbours of a member: what one step of a search may change ("neighbor child network based on Eq. 7-8", MONAS,
Algorithm 2).

A move changes as little as keeps the code canonical, so that no connection ever disappears as a side effect:

- operation: one connection changes its operation;
- add, remove: one connection between two live nodes comes or goes;
- move: a connection goes and another one of the same gap comes, with the operation of the first;
- activate, deactivate: a node that is not live gets one connection in and one out; or one that has just these loses
  them. Either of the two is added (removed), or is taken from (given to) another node of the same layer;
- replace: where every inner gap has a single connection, so that none of the others leads from one chain to another: a
  node gives its connections to another one of its layer.

Every move can be undone by a move. Nothing here makes an inner gap's number of connections leave the space's range;
where it lies outside already (a preset may), moves that take it no further out are allowed, so that a search can
start there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise, product
from typing import Any

import numpy as np

from nasface.space.space import Architecture, MultipathSpace

PRESENT = (1, 2)  # operations of a connection that is there
Change = tuple[tuple[int, int], ...]  # (place in the code, new operation), ...
Moves = Callable[..., Iterator[Change]]


def neighbours(architecture: Architecture) -> Iterator[Architecture]:
    """Every architecture that is one move away from the canonical form, each once, in a fixed order. From a member of
    a space the moves lead to members."""
    space, codes = architecture.space, architecture.canonical.codes
    gaps = [_read_gap(space, codes, gap) for gap in range(space.layers)]
    around: list[tuple[Moves, tuple[_Gap, ...]]] = [(kind, (gap,)) for gap in gaps for kind in _GAP_MOVES]
    around += [(kind, pair) for pair in pairwise(gaps) for kind in _node_moves(space)]
    for kind, of in around:
        for change in kind(*of):
            yield _canonical(space, _apply(codes, change))


def random_neighbour(architecture: Architecture, rng: np.random.Generator, moves: int = 1) -> Architecture:
    """An architecture that is so many random moves away; canonical, never the same network, of a member a member.

    The gap to change is drawn first and uniformly, so that every gap changes equally often.
    """
    start = codes = architecture.canonical.codes
    done = 0
    # Several moves can undo each other; one more then leads away again.
    while done < moves or codes == start:
        codes = _random_move(architecture.space, codes, rng)
        done += 1
    return _canonical(architecture.space, codes)


@lru_cache(maxsize=2**14)  # walks come back to the same members
def move_probability(start: Architecture, end: Architecture) -> float:
    """How likely one move of `random_neighbour` from `start` is to lead to `end`; in [0, 1]."""
    space, codes, goal = start.space, start.canonical.codes, end.canonical.codes
    changed = [gap for gap in range(space.layers) if codes[space.gap_slice(gap)] != goal[space.gap_slice(gap)]]
    if not changed:
        return 0.0
    total = 0.0
    for gap in range(max(changed[0] - 1, 0), min(changed[-1] + 2, space.layers)):
        kinds = [kind for kind in _possible_moves(space, codes, gap) if kind]
        shares = [sum(_apply(codes, change) == goal for change in kind) / len(kind) for kind in kinds]
        total += sum(shares) / len(kinds)
    return total / space.layers


def _possible_moves(space: MultipathSpace, codes: Sequence[int], gap: int) -> Iterator[list[Change]]:
    """The moves that belong to a gap, kind by kind."""
    for kind, around in _kinds(space, codes, gap):
        yield [change for of in around for change in kind(*of)]


def _kinds(space: MultipathSpace, codes: Sequence[int], gap: int) -> list[tuple[Moves, Any]]:
    """The kinds of moves that belong to a gap, each with the gaps that it is about."""
    gaps = {near: _read_gap(space, codes, near) for near in range(space.layers) if abs(near - gap) <= 1}
    nearby = list(pairwise(gaps.values()))
    kinds: list[tuple[Moves, Any]] = [(kind, [(gaps[gap],)]) for kind in _GAP_MOVES]
    return kinds + [(kind, nearby) for kind in _node_moves(space)]


def _canonical(space: MultipathSpace, codes: tuple[int, ...]) -> Architecture:
    """An architecture that moves have kept canonical; finding that out again would take most of a neighbour's time."""
    architecture = Architecture(space, codes)
    vars(architecture)["canonical"] = architecture
    return architecture


def _random_move(space: MultipathSpace, codes: Sequence[int], rng: np.random.Generator) -> tuple[int, ...]:
    """A random move: of a gap drawn uniformly, of a kind drawn uniformly among those that are possible there, uniform
    within the kind.

    Every gap can change: its connections always have another operation to take. A move of a node belongs to the gaps
    on both of its sides.
    """
    options = _kinds(space, codes, int(rng.integers(space.layers)))
    for place in rng.permutation(len(options)):
        kind, around = options[place]
        if changes := [change for of in around for change in kind(*of)]:
            return _apply(codes, changes[int(rng.integers(len(changes)))])
    raise ValueError("the code has a gap without a connection: neighbours are defined for canonical codes")


@dataclass(frozen=True)
class _Gap:
    """One gap of a canonical code, ready for questions."""

    start: int
    row: int  # places from a source to the next
    column: int  # places from a target to the next
    operations: dict[tuple[int, int], int]  # of the connections that are present
    out_degree: list[int]
    in_degree: list[int]
    can_add: bool
    can_remove: bool

    def place(self, source: int, target: int) -> int:
        return self.start + source * self.row + target * self.column

    @cached_property
    def turned(self) -> _Gap:
        """The gap with sources and targets exchanged."""
        operations = {(target, source): operation for (source, target), operation in self.operations.items()}
        turned = replace(self, row=self.column, column=self.row, operations=operations)
        return replace(turned, out_degree=self.in_degree, in_degree=self.out_degree)

    @property
    def live_sources(self) -> list[int]:
        return [source for source, degree in enumerate(self.out_degree) if degree]

    @property
    def live_targets(self) -> list[int]:
        return [target for target, degree in enumerate(self.in_degree) if degree]

    @property
    def free(self) -> list[tuple[int, int]]:
        """Pairs of live nodes that are not connected."""
        return [pair for pair in product(self.live_sources, self.live_targets) if pair not in self.operations]


def _read_gap(space: MultipathSpace, codes: Sequence[int], gap: int) -> _Gap:
    low, high = space.connections or (0, space.scales**2)
    (sources, targets), where = space.gap_shape(gap), space.gap_slice(gap)
    operations = {divmod(place, targets): code for place, code in enumerate(codes[where]) if code}
    out_degree, in_degree = [0] * sources, [0] * targets
    for source, target in operations:
        out_degree[source] += 1
        in_degree[target] += 1
    inner, count = 0 < gap < space.layers - 1, len(operations)
    return _Gap(
        where.start,
        targets,
        1,
        operations,
        out_degree,
        in_degree,
        can_add=not inner or count < high,
        can_remove=not inner or count > low,
    )


def _apply(codes: Sequence[int], change: Change) -> tuple[int, ...]:
    result = list(codes)
    for place, operation in change:
        result[place] = operation
    return tuple(result)


def _operation_moves(gap: _Gap) -> Iterator[Change]:
    for pair, operation in gap.operations.items():
        for other in PRESENT:
            if other != operation:
                yield ((gap.place(*pair), other),)


def _add_moves(gap: _Gap) -> Iterator[Change]:
    if gap.can_add:
        for pair in gap.free:
            for operation in PRESENT:
                yield ((gap.place(*pair), operation),)


def _remove_moves(gap: _Gap) -> Iterator[Change]:
    if gap.can_remove:
        for source, target in gap.operations:
            if gap.out_degree[source] > 1 and gap.in_degree[target] > 1:
                yield ((gap.place(source, target), 0),)


def _shift_moves(gap: _Gap) -> Iterator[Change]:
    free = gap.free
    for (source, target), operation in gap.operations.items():
        for other_source, other_target in free:
            stays_live = gap.out_degree[source] > 1 or other_source == source
            stays_fed = gap.in_degree[target] > 1 or other_target == target
            if stays_live and stays_fed:
                yield (gap.place(source, target), 0), (gap.place(other_source, other_target), operation)


def _activate_moves(before: _Gap, after: _Gap) -> Iterator[Change]:
    for node in range(len(before.in_degree)):
        if before.in_degree[node] == 0:
            yield from (a + b for a, b in product(_new_inputs(before, node), _new_inputs(after.turned, node)))


def _new_inputs(gap: _Gap, node: int) -> Iterator[Change]:
    """Ways to give a target that is not live a connection; of the turned gap, a source."""
    if gap.can_add:
        for source, operation in product(gap.live_sources, PRESENT):
            yield ((gap.place(source, node), operation),)
    for (source, target), operation in gap.operations.items():
        if gap.in_degree[target] > 1:
            yield (gap.place(source, target), 0), (gap.place(source, node), operation)


def _deactivate_moves(before: _Gap, after: _Gap) -> Iterator[Change]:
    for node in range(len(before.in_degree)):
        if before.in_degree[node] == after.out_degree[node] == 1:
            yield from (a + b for a, b in product(_lost_inputs(before, node), _lost_inputs(after.turned, node)))


def _lost_inputs(gap: _Gap, node: int) -> Iterator[Change]:
    (source,) = [source for source, target in gap.operations if target == node]
    place, operation = gap.place(source, node), gap.operations[source, node]
    if gap.can_remove and gap.out_degree[source] > 1:
        yield ((place, 0),)
    for target in gap.live_targets:
        if (source, target) not in gap.operations:
            yield (place, 0), (gap.place(source, target), operation)


def _replace_moves(before: _Gap, after: _Gap) -> Iterator[Change]:
    for node, other in product(range(len(before.in_degree)), repeat=2):
        if before.in_degree[node] == after.out_degree[node] == 1 and not before.in_degree[other]:
            yield _given(before, node, other) + _given(after.turned, node, other)


def _given(gap: _Gap, node: int, other: int) -> Change:
    """The connection of a target goes to another one; of the turned gap, of a source."""
    ((source, _),) = [pair for pair in gap.operations if pair[1] == node]
    return (gap.place(source, node), 0), (gap.place(source, other), gap.operations[source, node])


def _node_moves(space: MultipathSpace) -> tuple[Moves, ...]:
    return (*_NODE_MOVES, _replace_moves) if space.connections == (1, 1) else _NODE_MOVES


_GAP_MOVES = (_operation_moves, _add_moves, _remove_moves, _shift_moves)
_NODE_MOVES = (_activate_moves, _deactivate_moves)
