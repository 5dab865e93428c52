from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nasface.space.catalogue import load_space
from nasface.space.record import load_architecture, load_record, read_record
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError

SPACE = MultipathSpace("tiny", 3, 2)
CODES = (1, 2, 1, 0, 0, 2, 2, 1)


def text(**changes: object) -> str:
    record = {
        "format": 1,
        "space": {"name": "tiny", "layers": 3, "scales": 2},
        "code": ["12", "10 02", "21"],
        "provenance": {},
        "scores": {},
    }
    record.update(changes)
    return json.dumps({key: value for key, value in record.items() if value is not ...})


def test_parts_of_an_architecture() -> None:
    architecture = Architecture(SPACE, CODES)
    assert architecture.gap(0).tolist() == [[1, 2]]
    assert architecture.gap(1).tolist() == [[1, 0], [0, 2]]
    assert architecture.gap(2).tolist() == [[2], [1]]
    assert architecture.gap(1).dtype == np.int8
    assert architecture.connections() == [
        (0, 0, 0, 1),
        (0, 0, 1, 2),
        (1, 0, 0, 1),
        (1, 1, 1, 2),
        (2, 0, 0, 2),
        (2, 1, 0, 1),
    ]
    assert architecture.inner_counts() == [2]
    assert architecture.digits == ["12", "10 02", "21"]
    assert architecture.canonical is architecture
    assert hash(architecture) == hash(Architecture(SPACE, np.array(CODES)))


def test_same_network_same_digest() -> None:
    plain = Architecture(SPACE, (0, 2, 0, 0, 0, 2, 0, 2))
    dead_end = Architecture(SPACE, (0, 2, 0, 0, 1, 2, 0, 2))
    assert dead_end != plain
    assert dead_end.canonical == plain
    assert dead_end.canonical is not dead_end
    assert dead_end.digest == plain.digest
    # The digest is what caches and studies on disk hold: it must never change.
    assert plain.digest == "d1347e4585022dd5"
    assert Architecture(MultipathSpace("other", 3, 2, (1, 3)), plain.codes).digest == plain.digest
    assert Architecture(SPACE, CODES).digest != plain.digest


def test_equal_codes_of_different_shapes_have_different_digests() -> None:
    wide, deep = MultipathSpace("a", 3, 2), MultipathSpace("a", 8, 1)
    assert Architecture(wide, (2,) * 8).digest != Architecture(deep, (2,) * 8).digest


@pytest.mark.parametrize(
    ("codes", "part"),
    [
        ((1, 2), "8 connections"),
        ((1, 2, 1, 0, 0, 3, 2, 1), "0 to 3"),
        ((1, 2, 1, 0, 0, -1, 2, 1), "-1"),
        ((0, 2, 1, 0, 0, 2, 2, 1), "gap 1"),
        ((0,) * 8, "output"),
    ],
)
def test_bad_codes_are_user_errors(codes: tuple[int, ...], part: str) -> None:
    with pytest.raises(UserError) as error:
        Architecture(SPACE, codes)
    assert part in str(error.value)


def test_file_round_trip(tmp_path: Path) -> None:
    space = load_space("multipath")
    path = tmp_path / "best.json"
    for seed in range(5):
        architecture = space.random_architecture(np.random.default_rng(seed))
        architecture.save(path, provenance={"run": seed}, scores={"nme": 3.25})
        record = load_record(path)
        assert record.architecture == architecture
        assert (record.provenance, record.scores) == ({"run": seed}, {"nme": 3.25})
        assert load_architecture(path, space) == architecture
    assert list(tmp_path.iterdir()) == [path]


def test_space_of_a_file() -> None:
    # a space that is not in search_spaces/ is made from the file; a given one is kept, with its range
    assert read_record(text()).architecture.space == SPACE
    given = MultipathSpace("mine", 3, 2, (1, 3))
    assert read_record(text(), given).architecture.space is given
    known = load_space("multipath_small")
    architecture = known.random_architecture(np.random.default_rng(0))
    assert read_record(architecture.to_json()).architecture.space == known
    # a known name with another size is another space
    odd = text(space={"name": "multipath", "layers": 3, "scales": 2})
    assert read_record(odd).architecture.space == MultipathSpace("multipath", 3, 2)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("", "is empty"),
        ('{"format": 1,', "line 1, column"),
        ("[1]", "one JSON object"),
        ("[" * 100_000, "deep"),
        (text(extra=1), '"extra"'),
        (text(code=...), '"code" is missing'),
        (text(format=2), "reads 1"),
        (text(format=True), "reads 1"),
        (text(space="tiny"), '"space"'),
        (text(space={"name": "tiny", "layers": 3}), '"scales" is missing'),
        (text(space={"name": "tiny", "layers": 3, "scales": 2, "width": 1}), '"width"'),
        (text(space={"name": "tiny", "layers": "3", "scales": 2}), "layers"),
        (text(space={"name": "tiny", "layers": 10**9, "scales": 2}), "layers"),
        (text(space={"name": None, "layers": 3, "scales": 2}), "name"),
        (text(code="12"), "list of 3"),
        (text(code=[1, 2, 3]), "list of 3"),
        (text(code=["12", "1002"]), "has 2 gaps"),
        (text(code=["12", "100", "21"]), "gap 1 has 3 digits"),
        (text(code=["12", "1003", "21"]), 'gap 1: "3"'),
        (text(code=["12", "10-2", "21"]), 'gap 1: "-"'),
        (text(code=["12", "10\u0662\u0662", "21"]), "gap 1"),
        (text(code=["10", "1002", "21"]), "gap 1 has a connection from scale 1"),
        (text(code=["12", "1002", "00"]), "reaches the output"),
        (text(provenance=[]), '"provenance"'),
        (text(scores=None), '"scores"'),
        (text(scores={"nme": float("nan")}), "NaN"),
        ('{"format": 1, "format": 1}', "twice"),
        ('{"format": ' + "1" * 5000 + "}", "too long"),
    ],
)
def test_bad_files_are_user_errors(tmp_path: Path, content: str, part: str) -> None:
    path = tmp_path / "best.json"
    path.write_text(content)
    with pytest.raises(UserError) as error:
        load_record(path)
    assert str(error.value).startswith(str(path))
    assert part in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300 + len(str(path))


def test_wrong_space_is_a_user_error() -> None:
    with pytest.raises(UserError, match="not to space multipath"):
        read_record(text(), load_space("multipath"), "best.json")


def test_unreadable_files_are_user_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_record(tmp_path / "none.json")
    with pytest.raises(UserError, match="is a folder, not a file"):
        load_record(tmp_path)
    (tmp_path / "image.json").write_bytes(b"\x89PNG\xff")
    with pytest.raises(UserError, match="not text"):
        load_record(tmp_path / "image.json")


def test_a_failed_save_keeps_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "best.json"
    architecture = Architecture(SPACE, CODES)
    architecture.save(path)
    with pytest.raises(ValueError, match="JSON"):
        architecture.save(path, scores={"nme": float("nan")})
    assert load_architecture(path) == architecture
