"""The benchmark of cores: what each version is told to do, and where its seconds are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cores
from nasface.cli.parser import read_arguments
from nasface.space.record import load_record
from nasface.utils.errors import UserError

WORK = cores.Work(supernet=3, candidates=20, retraining=5)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[cores.Way, dict[str, Any]]]:
    """The settings of every command, in order; each command leaves other costs."""
    found: list[tuple[cores.Way, dict[str, Any]]] = []

    def run(way: cores.Way, arguments: list[str], folder: Path) -> None:
        monkeypatch.chdir(folder)
        earlier = way.code != cores.REPOSITORY
        values = {"run": arguments[arguments.index("--run") + 1]} if earlier else read_arguments(arguments)[1]
        found.append((way, values))
        (folder / "runs" / values["run"]).mkdir(parents=True)
        costs = {"supernet_s": 10.0, "calibration_s": 2.0, "search_s": 5.0 * len(found), "retrain_s": 7.0}
        (folder / "runs" / values["run"] / "summary.json").write_text(json.dumps({"costs": costs}))

    monkeypatch.setattr(cores, "_run", run)
    return found


def test_each_way_does_the_same_work(commands: list[tuple[cores.Way, dict[str, Any]]], tmp_path: Path) -> None:
    columns = cores.ways(tmp_path / "earlier", "earlier")
    seconds = {}
    for way in columns:
        (tmp_path / way.name).mkdir()
        seconds[way.name] = cores.seconds_of(way, WORK, tmp_path / way.name)
    assert [len([way for way, _ in commands if way is column]) for column in columns] == [2, 2, 2]
    same = {"supernet, 3 steps": 10.0, "retraining, 5 steps": 7.0}
    assert seconds["earlier, 1 core"] == same | {"search, 20 candidates": 7.0}
    assert seconds["today, 2 core(s)"] == same | {"search, 20 candidates": 27.0}  # of the fifth command
    settings = [values["experiment"] for way, values in commands if way.code == cores.REPOSITORY]
    assert [one.device.threads for one in settings] == [1, 1, 2, 2]
    assert [(one.supernet.steps, one.search.iterations) for one in settings[::2]] == [(3, 20), (3, 20)]
    assert [one.retrain.steps for one in settings[1::2]] == [5, 5]
    assert (settings[0].supernet.whole, settings[0].supernet.optimizer.lr) == (0.0, 2e-3)
    assert settings[0].network.head == "cells" and settings[0].search.settings["temperature"] == 1024


def test_the_fastest_of_several_rounds_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    turns = iter([{"a": 3.0, "b": 5.0}, {"a": 9.0, "b": 9.0}, {"a": 4.0, "b": 2.0}, {"a": 8.0, "b": 10.0}])
    rendered: list[bool] = []

    def seconds_of(way: cores.Way, work: cores.Work, folder: Path) -> dict[str, float]:
        rendered.append((folder / "cache").is_dir())
        (folder / "cache").mkdir(exist_ok=True)
        return next(turns)

    monkeypatch.setattr(cores, "seconds_of", seconds_of)
    ways = [cores.Way(name, tmp_path, 1) for name in ("one", "two")]
    found = cores.least_seconds(ways, WORK, 2, tmp_path)
    assert found == {"one": {"a": 3.0, "b": 2.0}, "two": {"a": 8.0, "b": 9.0}}
    assert rendered == [False, False, True, True]  # faces are rendered once


def test_the_retrained_member_has_the_same_sizes_for_each() -> None:
    assert "network" not in load_record(cores.MEMBER).provenance


def test_the_gain_is_the_last_columns() -> None:
    seconds = {"earlier": {"search": 30.0}, "one": {"search": 20.0}, "two": {"search": 12.0}}
    last = cores.cores_table(seconds).splitlines()[-1]
    assert last.startswith("search") and last.endswith("2.50 x")


def test_a_commit_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no commit 0000000"):
        cores.unpack("0000000", tmp_path)
