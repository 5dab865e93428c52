from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasface.space.catalogue import load_space
from nasface.space.neighbours import neighbours, random_neighbour
from nasface.space.space import Architecture, MultipathSpace
from tools.build_presets import hrnet

RANGES = [None, (1, 1), (1, 2), (2, 2), (2, 3), (4, 4)]


@pytest.mark.parametrize("connections", RANGES)
def test_moves_can_be_undone_and_reach_the_whole_small_space(connections: tuple[int, int] | None) -> None:
    space = MultipathSpace("small", 3, 2, connections)
    members = [space.member(rank) for rank in range(space.count_members())]
    around = {member: set(neighbours(member)) for member in members}
    for member, near in around.items():
        assert member not in near
        assert all(other in around and member in around[other] for other in near)
    reached, border = {members[0]}, [members[0]]
    while border:
        border = [other for other in {other for member in border for other in around[member]} if other not in reached]
        reached.update(border)
    assert len(reached) == len(members)


def test_neighbours_by_hand() -> None:
    # one chain at scale 1 of two: 3 changes of operation, and detours over scale 0 of either inner layer
    space = MultipathSpace("small", 3, 2)
    chain = Architecture(space, (0, 2, 0, 0, 0, 2, 0, 2))
    near = {architecture.codes for architecture in neighbours(chain)}
    operations = {(0, 1, 0, 0, 0, 2, 0, 2), (0, 2, 0, 0, 0, 1, 0, 2), (0, 2, 0, 0, 0, 2, 0, 1)}
    first_layer = {(a, 2, 0, b, 0, 2, 0, 2) for a in (1, 2) for b in (1, 2)}
    second_layer = {(0, 2, 0, 0, a, 2, b, 2) for a in (1, 2) for b in (1, 2)}
    assert near == operations | first_layer | second_layer


@settings(max_examples=40, deadline=None)
@given(
    layers=st.integers(2, 7),
    scales=st.integers(1, 4),
    connections=st.tuples(st.integers(1, 16), st.integers(0, 6)) | st.none(),
    seed=st.integers(0, 2**32),
)
def test_neighbours_are_distinct_members(
    layers: int, scales: int, connections: tuple[int, int] | None, seed: int
) -> None:
    if connections is not None:
        low = min(connections[0], scales**2)
        connections = (low, min(low + connections[1], scales**2))
    space = MultipathSpace("s", layers, scales, connections)
    rng = np.random.default_rng(seed)
    architecture = space.random_architecture(rng)
    near = [neighbour.codes for neighbour in neighbours(architecture)]
    assert len(near) == len(set(near))
    assert architecture.codes not in near
    assert all(space.is_member(codes) for codes in near)
    assert all(random_neighbour(architecture, rng).codes in set(near) for _ in range(5))
    far = random_neighbour(architecture, rng, moves=4)
    assert far != architecture
    assert space.is_member(far.codes)


def test_every_gap_and_every_kind_of_change_occurs() -> None:
    space = load_space("multipath")
    rng = np.random.default_rng(1)
    architecture = space.random_architecture(rng)
    changed = np.zeros(space.layers, dtype=int)
    kinds = set()
    for _ in range(3000):
        following = random_neighbour(architecture, rng)
        difference = [gap for gap in range(space.layers) if (following.gap(gap) != architecture.gap(gap)).any()]
        changed[difference] += 1
        edges = tuple(np.count_nonzero(a.codes) for a in (architecture, following))
        places = sum((a > 0) != (b > 0) for a, b in zip(architecture.codes, following.codes, strict=True))
        kinds.add((len(difference), int(np.sign(edges[1] - edges[0])), min(places, 2)))
        architecture = following
    # one gap: operation, add, remove, move; two gaps: a node comes or goes
    assert {(1, 0, 0), (1, 1, 1), (1, -1, 1), (1, 0, 2), (2, 1, 2), (2, -1, 2)} <= kinds
    # each gap is drawn in a tenth of the moves (300), and changes with a node next to it besides
    assert changed.min() > 240
    assert changed.max() < 600


def test_moves_from_outside_the_range_go_no_further_out() -> None:
    space = MultipathSpace("multipath", 10, 4, (4, 8))
    low, high = space.connections
    rng = np.random.default_rng(2)
    architecture = hrnet(space)
    assert not space.is_member(architecture.codes)
    distance = [max(low - n, n - high, 0) for n in architecture.inner_counts()]
    assert sum(distance) > 0
    for _ in range(1500):
        architecture = random_neighbour(architecture, rng)
        following = [max(low - n, n - high, 0) for n in architecture.inner_counts()]
        assert all(a <= b for a, b in zip(following, distance, strict=True))
        assert architecture.canonical is architecture
        distance = following
    assert sum(distance) == 0


def test_neighbours_of_a_code_with_dead_ends_are_those_of_its_network() -> None:
    space = MultipathSpace("small", 3, 2)
    plain = Architecture(space, (0, 2, 0, 0, 0, 2, 0, 2))
    dead_end = Architecture(space, (0, 2, 0, 0, 1, 2, 0, 2))
    assert list(neighbours(dead_end)) == list(neighbours(plain))
