from __future__ import annotations

from pathlib import Path

import pytest

from nasface.space.presets import FOLDER, PRESETS, load_preset
from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError
from tools.build_presets import MAKERS, hourglass, prnet, write_presets


def test_committed_files_are_what_the_functions_make(tmp_path: Path) -> None:
    write_presets(tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert sorted(made) == [f"{name}.json" for name in sorted(PRESETS)]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_canonical_for_any_size(name: str) -> None:
    for layers in range(2, 14):
        for scales in range(1, 7):
            made = MAKERS[name](MultipathSpace("s", layers, scales))
            assert made.canonical is made


def test_shapes_by_hand() -> None:
    space = MultipathSpace("s", 6, 3)
    assert prnet(space).digits == ["002", "000 000 020", "000 200 000", "020 000 000", "000 002 000", "002"]
    assert hourglass(space).digits == ["002", "000 000 022", "000 220 001", "020 010 001", "000 002 001", "002"]


def test_presets_of_the_paper_s_space() -> None:
    nodes = {name: {(gap, source) for gap, source, _, _ in load_preset(name).connections()} for name in PRESETS}
    # PRNet is one chain, an hourglass has it inside; HRNet ends with all scales and keeps the finest
    assert len(nodes["prnet"]) == 10
    assert nodes["prnet"] < nodes["hourglass"]
    assert {(9, scale) for scale in range(4)} < nodes["hrnet"]
    assert all((gap, 3) in nodes["hrnet"] for gap in range(1, 10))


def test_unknown_preset_is_a_user_error() -> None:
    with pytest.raises(UserError, match="hourglass"):
        load_preset("resnet")
