"""Random members of every density, drawn until enough of them fit."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np

from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError

Member = TypeVar("Member")
DRAWS = 20_000
"""Random members that are drawn before it is given up."""


def members_of_every_density(space: MultipathSpace, rng: np.random.Generator) -> Iterator[Architecture]:
    """Random members without end, each drawn uniformly at a density of its own: from chains (one connection a gap) to
    half of all connections, in turn. A uniform draw of all members would meet one density only."""
    low, high = space.connections or (1, space.scales**2)
    densities = range(low, min(high, max(low, space.scales**2 // 2)) + 1)
    for drawn in itertools.cycle([replace(space, drawn=(density, density)) for density in densities]):
        yield Architecture(space, drawn.random_architecture(rng).codes)


def first_that_fit(
    drawn: Iterator[Member],
    fits: Callable[[Member], bool],
    count: int,
    key: Callable[[Member], str],
    lacking: str,
    known: Iterable[Member] = (),
) -> list[Member]:
    """The first `count` members with different keys that fit, of the known and of `DRAWS` drawn ones.

    Raises:
        UserError: there are fewer; `lacking` says what so few do, and the remedy.
    """
    found: dict[str, Member] = {}
    for member in itertools.chain(known, itertools.islice(drawn, DRAWS)):
        if fits(member):
            found.setdefault(key(member), member)
        if len(found) == count:
            return list(found.values())
    raise UserError(f"{len(found)} of {DRAWS} random members {lacking}")
