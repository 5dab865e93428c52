"""Members of every density, drawn until enough fit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from nasface.space.random_members import first_that_fit, members_of_every_density
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError

SPACE = MultipathSpace("toy", 5, 3)


def present(member: Architecture) -> int:
    return sum(code > 0 for code in member.codes)


def drawn() -> Iterator[Architecture]:
    return members_of_every_density(SPACE, np.random.default_rng(0))


def digest(member: Architecture) -> str:
    return member.digest


def test_the_first_that_fit_are_different_and_begin_with_the_known() -> None:
    known = SPACE.random_architecture(np.random.default_rng(9))
    found = first_that_fit(drawn(), lambda one: present(one) % 2 == 0, 6, digest, "", [known, known])
    assert len(set(map(digest, found))) == 6
    assert all(present(one) % 2 == 0 and SPACE.is_member(one.codes) for one in found)
    everyone = first_that_fit(drawn(), lambda one: True, 40, digest, "", [known, known])
    assert everyone[:4] == [known, *itertools.islice(drawn(), 3)]
    assert len(set(map(present, everyone))) > 4, "one density only"


def test_too_few_are_an_error_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasface.space.random_members.DRAWS", 50)
    with pytest.raises(UserError, match="^0 of 50 random members are blue: paint them$"):
        first_that_fit(drawn(), lambda one: False, 1, digest, "are blue: paint them")
