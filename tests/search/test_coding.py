from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasface.search.coding import project
from nasface.space.space import MultipathSpace

SPACES = [
    MultipathSpace("a", 5, 3, (2, 6)),
    MultipathSpace("b", 4, 4, (5, 5)),
    MultipathSpace("c", 6, 3, (1, 2)),
    MultipathSpace("d", 4, 3),
    MultipathSpace("e", 2, 2),
    MultipathSpace("f", 3, 1),
]
every_space = pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)


@every_space
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_code_stands_for_a_member(space: MultipathSpace, data: st.DataObject) -> None:
    codes = data.draw(st.lists(st.integers(0, 2), min_size=space.num_connections, max_size=space.num_connections))
    member = project(space, codes)
    assert space.is_member(member.codes)
    assert project(space, codes) == member
    for before, after in zip(codes, member.codes, strict=True):
        assert after in (0, before) if before else after in (0, 1)


@every_space
def test_a_member_stands_for_itself(space: MultipathSpace) -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        member = space.random_architecture(rng)
        assert project(space, member.codes) == member


def test_it_is_the_nearest_member_of_a_space_without_a_range() -> None:
    space = MultipathSpace("tiny", 3, 2)
    members = [np.array(space.member(rank).codes) > 0 for rank in range(space.count_members())]
    for codes in product((0, 1), repeat=space.num_connections):
        nearest = min(int((member != (np.array(codes) > 0)).sum()) for member in members)
        projected = np.array(project(space, codes).codes) > 0
        assert int((projected != (np.array(codes) > 0)).sum()) == nearest
