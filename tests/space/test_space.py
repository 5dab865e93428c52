from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasface.space.catalogue import find_space, load_space, space_names
from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError

TINY = MultipathSpace("tiny", 3, 2)


def test_layout_of_a_code() -> None:
    space = MultipathSpace("s", 4, 3)
    assert space.num_connections == 2 * 9 + 6
    assert [space.gap_shape(gap) for gap in range(4)] == [(1, 3), (3, 3), (3, 3), (3, 1)]
    assert [space.gap_slice(gap) for gap in range(4)] == [slice(0, 3), slice(3, 12), slice(12, 21), slice(21, 24)]
    with pytest.raises(IndexError):
        space.gap_shape(4)


def test_validity_by_hand() -> None:
    # stem -> scale 1, scale 1 -> scale 1, scale 1 -> output
    assert TINY.is_valid((0, 2, 0, 0, 0, 2, 0, 2))
    # a dead end is valid (Eq. 8 asks for sources only)
    assert TINY.is_valid((0, 2, 0, 0, 1, 2, 0, 2))
    # gap 1 uses scale 0, which the stem does not reach
    assert "gap 1" in TINY.find_problem((0, 2, 1, 0, 0, 2, 0, 2))
    # nothing reaches the output
    assert "output" in TINY.find_problem((0, 2, 0, 0, 0, 2, 0, 0))


def test_canonical_by_hand() -> None:
    # the dead end at layer 2, scale 0 goes; stem -> scale 0 goes with its only way on
    assert TINY.canonical((1, 2, 1, 0, 1, 2, 0, 2)) == (0, 2, 0, 0, 0, 2, 0, 2)
    # a source that is not reached goes too
    assert TINY.canonical((0, 2, 0, 1, 0, 2, 0, 2)) == (0, 2, 0, 0, 0, 2, 0, 2)
    assert TINY.canonical((0, 2, 0, 0, 0, 2, 1, 0)) == (0,) * 8


def test_uniform_members_chi_square() -> None:
    members = {TINY.member(rank).codes: rank for rank in range(TINY.count_members())}
    rng = np.random.default_rng(0)
    draws = 30 * len(members)
    counts = np.bincount([members[TINY.random_architecture(rng).codes] for _ in range(draws)], minlength=len(members))
    statistic = ((counts - 30) ** 2 / 30).sum()
    freedom = len(members) - 1
    # chi-square is near normal at 1055 degrees of freedom; five deviations either way
    assert abs(statistic - freedom) < 5 * (2 * freedom) ** 0.5


@settings(max_examples=60, deadline=None)
@given(
    layers=st.integers(2, 12),
    scales=st.integers(1, 6),
    connections=st.tuples(st.integers(1, 36), st.integers(1, 36)) | st.none(),
    seed=st.integers(0, 2**32),
)
def test_random_members_are_members(layers: int, scales: int, connections: tuple[int, int] | None, seed: int) -> None:
    try:
        space = MultipathSpace("s", layers, scales, connections)
    except UserError:
        return
    architecture = space.random_architecture(np.random.default_rng(seed))
    assert space.is_member(architecture.codes)
    assert architecture.canonical is architecture
    assert architecture == space.random_architecture(np.random.default_rng(seed))


def test_ranks_out_of_range() -> None:
    for rank in (-1, TINY.count_members()):
        with pytest.raises(IndexError):
            TINY.member(rank)


def test_known_spaces() -> None:
    assert {"multipath", "multipath_small"} <= set(space_names())
    assert load_space("multipath") == MultipathSpace("multipath", 10, 4, (1, 16), (2, 4))
    assert load_space("multipath_small") == MultipathSpace("multipath_small", 5, 3, (3, 6))
    wide = MultipathSpace("multipath_wide", 10, 4, (1, 16), (2, 4), (16, 24, 32, 40, 48, 64))
    assert load_space("multipath_wide") == wide
    assert find_space("nonesuch") is None
    assert all(load_space(name).name == name for name in space_names())


def test_space_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nlayers: 4\nscales: 2\nconnections: null\n")
    assert load_space(path) == load_space(str(path)) == MultipathSpace("mine", 4, 2)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("", "mapping"),
        ("- 1", "mapping"),
        ("name: a\nlayers: 4\nscales: 2", '"connections" is missing'),
        ("name: a\nlayers: 4\nscales: 2\nconnections: null\nwidth: 3", '"width"'),
        ("name: a\nlayers: 4.5\nscales: 2\nconnections: null", "layers"),
        ("name: a\nlayers: true\nscales: 2\nconnections: null", "layers"),
        ("name: a\nlayers: 1\nscales: 2\nconnections: null", "layers"),
        ("name: a\nlayers: 4\nscales: 0\nconnections: null", "scales"),
        ("name: a\nlayers: 4\nscales: 2\nconnections: 3", "connections"),
        ("name: a\nlayers: 4\nscales: 2\nconnections: [3, 2]", "greatest"),
        ("name: a\nlayers: 4\nscales: 2\nconnections: [x, 2]", "least"),
        ("name: a\nlayers: 4\nscales: 2\nconnections: [2, 5]", "greatest"),
        ("name: 7\nlayers: 4\nscales: 2\nconnections: null", "name"),
        ("name: a\nlayers: 4\nscales: 2\nconnections: null\nwidths: 16", "widths must be null or a list"),
        ("name: a\nlayers: 4\nscales: 2\nconnections: null\nwidths: []", "widths"),
        ("name: a\nlayers: 4\nscales: 2\nconnections: null\nwidths: [24, 16]", "the smallest first"),
        ("name: a\nlayers: 4\nscales: 2\nconnections: null\nwidths: [16, 20]", "multiples of 8"),
        ("name: a\nlayers: 4\nscales: 2\nconnections: null\nwidths: [x]", "a width"),
        ("name: [a\n", "line"),
        ("name: a/b\nlayers: 4\nscales: 2\nconnections: null", "name"),
        ("x: " + "[" * 1500, "YAML"),
    ],
)
def test_bad_space_files_are_user_errors(tmp_path: Path, content: str, part: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match="bad.yaml") as error:
        load_space(path)
    assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_absent_and_unreadable_spaces_are_user_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="multipath_small"):
        load_space("nonesuch")
    with pytest.raises(UserError, match="does not exist"):
        load_space(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="is a folder, not a file"):
        load_space(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UserError, match="binary.yaml"):
        load_space(tmp_path / "binary.yaml")
