"""Random topologies of K children in which every connection of a gap is taken equally often: the draws of MNUS.

A set of children is an integer, bit k for child k; `holders` has one such set for each connection of a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_

import numpy as np

from nasface.space.space import MultipathSpace

MAX_DRAWS = 1000
"""Attempts at a topology before the settings count as impossible."""


class Stuck(Exception):
    """No set of children was found: the settings allow none."""


class Draws:
    """Uniform numbers one by one, made in blocks, because a numpy call for each would take most of a step's time."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._values: list[float] = []

    def uniform(self) -> float:
        if not self._values:
            self._values = self._rng.random(1024).tolist()
        return self._values.pop()

    def shuffled(self, items: Iterable[int]) -> list[int]:
        return [item for _, item in sorted([(self.uniform(), item) for item in items])]


def draw_topology(
    space: MultipathSpace, children: int, plan: Sequence[int], draws: Draws, attempts: int = MAX_DRAWS
) -> list[int]:
    """The children that take each connection, gap after gap.

    Where r D >= K, any draw of an inner gap can be followed: let z[k, t] be the number of child k's connections to
    target t. It adds up to r D over the children and is at most D, so that the next gap can let child k take z[k, t]
    connections from t; and z / D is a fractional solution for the last gap, hence there is a whole one (Hall).
    Elsewhere, and after the first gap, a draw can end where the next gap cannot be completed: then all is drawn
    again, which keeps the law symmetric.
    """
    for _ in range(attempts):
        holders: list[int] = []
        active = [(1 << children) - 1]
        for gap in range(space.layers):
            targets = space.gap_shape(gap)[1]
            drawn = draw_gap(active, targets, children, plan[gap], draws)
            if drawn is None:
                break
            holders += drawn
            active = [_union(drawn[target::targets]) for target in range(targets)]
        else:
            return holders
    raise Stuck


def draw_gap(active: list[int], targets: int, children: int, repeats: int, draws: Draws) -> list[int] | None:
    """Give every connection of a gap to `repeats` children in which its source is active; None when that is
    impossible.

    active[s]: the children in which source s is active. The children's numbers of connections differ by at most one.
    """
    connections = len(active) * targets
    allowed = [mask for mask in active for _ in range(targets)]
    fewest, extra = divmod(connections * repeats, children)
    tokens = draws.shuffled(list(range(connections)) * repeats)
    room = [fewest] * children
    for child in draws.shuffled(range(children))[:extra]:
        room[child] += 1
    holders = [0] * connections
    if not _place(tokens, allowed, holders, room, draws):
        return holders
    if not extra:
        return None
    # The children that were to take one connection more were a bad choice: first give each its least number, then
    # let anyone take one more.
    holders, room = [0] * connections, [fewest] * children
    left = _place(tokens, allowed, holders, room, draws)
    if any(room):
        return None
    room = [1] * children
    return None if _place(left, allowed, holders, room, draws) else holders


def _place(tokens: list[int], allowed: list[int], holders: list[int], room: list[int], draws: Draws) -> list[int]:
    """Hand the tokens (connections, repeated) to children with room at random, moving earlier ones where need be;
    returns those left over."""
    left = []
    with_room = _union([1 << child for child, places in enumerate(room) if places])
    for connection in tokens:
        candidates = allowed[connection] & with_room & ~holders[connection]
        if candidates:
            child = _pick(candidates, room, draws)
            holders[connection] |= 1 << child
        else:
            child = _augment(connection, allowed, holders, with_room, draws)
            if child < 0:
                left.append(connection)
                continue
        room[child] -= 1
        if not room[child]:
            with_room &= ~(1 << child)
    return left


def _pick(candidates: int, room: list[int], draws: Draws) -> int:
    """A child of the set, with a probability in proportion to its room."""
    options = _members(candidates)
    if len(options) == 1:
        return options[0]
    value = draws.uniform() * sum([room[child] for child in options])
    for child in options:
        value -= room[child]
        if value < 0:
            return child
    return options[-1]


def _augment(connection: int, allowed: list[int], holders: list[int], with_room: int, draws: Draws) -> int:
    """Make place for a connection along an augmenting path of a bipartite flow; returns the child that loses room, or
    -1 when there is no path."""
    # child -> (connection it would take, child it would take it from, -1 for the new one)
    came: dict[int, tuple[int, int]] = {}
    queue = []

    def reach(taken: int, giver: int) -> None:
        options = _members(allowed[taken] & ~holders[taken])
        for child in draws.shuffled([child for child in options if child not in came]):
            came[child] = (taken, giver)
            queue.append(child)

    reach(connection, -1)
    for child in queue:  # grows while it is read
        if with_room >> child & 1:
            end = child
            while child >= 0:
                taken, giver = came[child]
                holders[taken] |= 1 << child
                if giver >= 0:
                    holders[taken] &= ~(1 << giver)
                child = giver
            return end
        for taken in draws.shuffled([i for i, mask in enumerate(holders) if mask >> child & 1]):
            reach(taken, child)
    return -1


def _members(mask: int) -> list[int]:
    return [child for child in range(mask.bit_length()) if mask >> child & 1]


def _union(masks: Iterable[int]) -> int:
    return reduce(or_, masks, 0)
