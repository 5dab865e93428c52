"""Gaps that are drawn for all children at once."""

from __future__ import annotations

from collections import Counter

import numpy as np

from nasface.space.topologies import Draws, draw_gap


def test_every_possible_gap_can_be_drawn() -> None:
    # Two sources, targets and children, all active, each connection once: all 6 ways of a child to take 2 of 4.
    found = Counter()
    draws = Draws(np.random.default_rng(0))
    for _ in range(600):
        holders = draw_gap([0b11, 0b11], 2, 2, 1, draws)
        found[tuple(holders)] += 1
    assert len(found) == 6
    assert min(found.values()) > 50


def test_mirrored_gaps_are_equally_likely() -> None:
    # Each source is active in two of three children, in a ring: it can give both targets to one, or one to each.
    draws = Draws(np.random.default_rng(1))
    found = Counter(tuple(draw_gap([0b011, 0b110, 0b101], 2, 3, 1, draws)) for _ in range(1500))
    left, right = found[1, 1, 2, 2, 4, 4], found[2, 2, 4, 4, 1, 1]
    assert len(found) == 10  # these two, and every source split between its children in one of two ways
    assert abs(left - right) < 5 * (left + right) ** 0.5


def test_a_gap_that_cannot_be_completed() -> None:
    draws = Draws(np.random.default_rng(0))
    # both children have nothing but source 0 active: nobody can take the connections of source 1
    assert draw_gap([0b11, 0b00], 2, 2, 1, draws) is None
    # child 1 reaches only source 1, whose two connections are not its fair share of three sources' six
    assert draw_gap([0b01, 0b10, 0b01], 2, 2, 1, draws) is None
    # here the share can only be kept by moving connections that were placed first
    for _ in range(50):
        holders = draw_gap([0b11, 0b01, 0b10], 2, 2, 1, draws)
        assert sorted(bin(sum(1 << i for i, h in enumerate(holders) if h >> k & 1)).count("1") for k in (0, 1)) == [
            3,
            3,
        ]
