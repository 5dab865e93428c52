"""The replay of a search four ways: the same search each time, less work, and differences that do not go unseen."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import search
from benchmarks.search import (
    WAYS,
    Rate,
    Replay,
    cost_table,
    difference,
    rate_table,
    read_arguments,
    replay,
    replay_alone,
    results,
    side_by_side,
    together,
)
from nasface.nets.multipath import Supernet
from nasface.nets.network import channels_last
from nasface.nets.weights import save_weights
from nasface.pipelines.scoring import make_search_strategy
from nasface.pipelines.workspace import prepare
from nasface.runs.run import open_run
from nasface.space.catalogue import load_space
from nasface.utils.errors import UserError
from tests.benchmarks.toy import toy_experiment, toy_supernet, toy_workspace


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Replay]:
    workspace, supernet = toy_workspace(tmp_path_factory.mktemp("runs")), toy_supernet()
    return {way: replay(workspace, supernet, way) for way in WAYS}


def test_all_ways_are_the_same_search(replays: dict[str, Replay]) -> None:
    one_thread, naive, reuse, both = replays.values()
    assert difference(naive, one_thread) is None
    assert difference(naive, reuse) is None
    assert difference(naive, both) is None
    accepted = [accepted for _, accepted in naive.trajectory]
    assert len(accepted) == 60
    assert any(accepted) and not all(accepted)


def test_a_way_in_a_process_of_its_own_is_the_same_search(tmp_path: Path) -> None:
    toy = toy_experiment(tmp_path)
    data = replace(toy.data, train_count=12, val_count=24, test_count=6)
    experiment = replace(toy, data=data, search=replace(toy.search, iterations=5, chunk=8))
    space = load_space(experiment.space)
    torch.manual_seed(0)
    supernet = Supernet(space, experiment.network)
    save_weights(tmp_path / "supernet.pt", supernet)
    here = replay(prepare(experiment, space), channels_last(supernet), "reuse")
    assert difference(here, replay_alone(experiment, tmp_path / "supernet.pt", "reuse")) is None


def test_each_way_does_less_than_the_one_before(replays: dict[str, Replay]) -> None:
    one_thread, naive, reuse, both = replays.values()
    assert one_thread.executed_macs == naive.executed_macs == naive.needed_macs
    assert naive.stopped == reuse.stopped == 0 < both.stopped
    assert both.executed_macs < reuse.executed_macs < naive.executed_macs


def test_every_process_has_a_walk(tmp_path: Path) -> None:
    experiment = side_by_side(toy_experiment(tmp_path), 3)
    assert make_search_strategy(experiment, toy_workspace(tmp_path).space).settings["chains"] == 3
    assert experiment.device.threads >= 1


def test_table_and_json_agree(replays: dict[str, Replay], tmp_path: Path) -> None:
    items = list(replays.values())
    lines = cost_table(items).splitlines()[2:]
    written = results(toy_experiment(tmp_path), tmp_path / "supernet.pt", items)
    assert [way["way"] for way in written["ways"]] == list(WAYS)
    assert all(way["same_as_first"] for way in written["ways"])
    for line, way in zip(lines, written["ways"], strict=True):
        assert line.startswith(way["way"])
        assert line.endswith(f"{way['speed_up']:.2f} x") and f"{100 * way['saved']:.1f} %" in line


def test_differences_are_found(replays: dict[str, Replay]) -> None:
    naive = replays["naive"]
    digest, accepted = naive.trajectory[7]
    flipped = (*naive.trajectory[:7], (digest, not accepted), *naive.trajectory[8:])
    assert "iteration 8 " in difference(naive, replace(naive, trajectory=flipped))
    assert "59" in difference(naive, replace(naive, trajectory=naive.trajectory[:-1]))
    assert "best" in difference(naive, replace(naive, penalty=naive.penalty + 1e-12))
    assert "best" in difference(naive, replace(naive, best="0" * 16))


def test_settings_are_the_runs_and_can_be_overridden(tmp_path: Path) -> None:
    experiment = toy_experiment(tmp_path)
    run = open_run("search", experiment, "test", resume=False, run_id="one")
    read, weights, own = read_arguments(["--run", str(run.folder), "--search.iterations", "9"])
    assert read == replace(experiment, search=replace(experiment.search, iterations=9))
    assert weights == run.path("supernet", "supernet.pt")
    assert own["json"] == tmp_path / "benchmarks" / "search.json" and own["workers"] == 2


def test_newest_trained_run_is_the_default(tmp_path: Path) -> None:
    experiment = toy_experiment(tmp_path)
    for seed, name in enumerate(("old", "new", "untrained")):
        run = open_run("search", replace(experiment, seed=seed), "test", resume=False, run_id=name)
        if name != "untrained":
            path = run.path("supernet", "supernet.pt")
            path.parent.mkdir()
            path.write_bytes(b"")
            os.utime(path, (seed, seed))
    read, weights, _ = read_arguments(["--runs", str(tmp_path)])
    assert (read.seed, weights) == (1, tmp_path / "new" / "supernet" / "supernet.pt")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    for arguments, words in (
        (["--runs", str(tmp_path)], "no run with a trained supernet"),
        (["--run", str(tmp_path / "none")], "none is not the folder of a run"),
        (["--experiment", "default"], "--weights"),
        (["--experiment", "nothing"], "unknown experiment 'nothing'"),
        (["--experiment", "default", "--weights", "x", "--search.iteration", "3"], "search.iteration"),
    ):
        with pytest.raises(UserError, match=words):
            read_arguments(arguments)


def test_exit_code_tells_a_difference(
    replays: dict[str, Replay], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worse = replace(replays["naive"], penalty=1e3)
    monkeypatch.setattr(search, "prepare", lambda *_: toy_workspace(tmp_path))
    run = open_run("search", toy_experiment(tmp_path), "test", resume=False, run_id="one")
    arguments = ["--run", str(run.folder)]
    monkeypatch.setattr(search, "replay_shared", lambda *_: Rate("2 workers", 10, 0.5))
    monkeypatch.setattr(search, "replay_alone", lambda _experiment, _weights, way: replays[way])
    assert search.main(arguments) == 0
    output = capsys.readouterr().out
    assert "same trajectory: yes" in output and "20.00" in output
    figures = json.loads((tmp_path / "benchmarks" / "search.json").read_text())
    assert [item["way"] for item in figures["rates"]] == [*WAYS, "2 workers"]
    monkeypatch.setattr(search, "replay_alone", lambda *of: worse if of[-1] == "reuse" else replays[of[-1]])
    assert search.main(arguments) == 1
    assert "same trajectory: NO" in capsys.readouterr().out


def test_rates_by_hand() -> None:
    lines = rate_table([Rate("naive", 10, 5.0), Rate("reuse", 10, 2.5)]).splitlines()
    assert lines[2].split() == ["naive", "10", "5.0", "s", "2.00", "1.00", "x"]
    assert lines[3].split() == ["reuse", "10", "2.5", "s", "4.00", "2.00", "x"]


def test_workers_are_timed_from_when_all_are_at_work() -> None:
    ends = [(1.0, "a"), (2.0, "a"), (3.0, "b"), (3.5, "a"), (4.0, "b"), (5.0, "a")]
    assert together(ends, 2) == (3, 2.0)
    for few in (ends[:2], ends[:3], []):
        with pytest.raises(UserError, match="before all workers had begun"):
            together(few, 2)
