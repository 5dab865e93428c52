"""`nasface runs`: a list that nothing damaged stops, figures side by side, and nothing removed unasked."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from nasface.config import Experiment, SearchConfig
from nasface.runs.listing import FILES, files_of, find_run, remove_run
from nasface.runs.run import Run, open_run, started_by
from nasface.space.presets import load_preset
from nasface.utils.errors import UserError
from nasface.utils.held_folders import free_folders
from nasface.utils.lock import lock_folder
from tests.helpers.tiny import Command


def a_run(folder: Path, command: str, name: str, error: float | None = None, **settings: object) -> Run:
    run = open_run(command, Experiment(runs=str(folder / "runs"), **settings), "x", False, name)  # type: ignore[arg-type]
    if error is not None and command == "search":
        scores = {"penalty": error, "parameters": 3e6, "macs": 5e7}
        load_preset("hourglass").save(run.path("best.json"), {}, scores)
        run.update_summary(finished=True, search={"penalty": error, "evaluations": 9}, costs={"search_s": 3.0})
    elif error is not None:
        row = {"name": "x", "bins": [1.0, None, error], "mean": error, "all": error, "parameters": 1e6, "macs": 5e7}
        run.update_summary(finished=True, result=row, costs={"retrain_s": 90.0})
        run.path("network.pt").write_bytes(bytes(2_410_000))
    free_folders()  # as when its command has ended
    return run


@pytest.fixture
def runs(nasface: Command) -> Path:
    folder = nasface.folder
    a_run(folder, "search", "found", 4.5)
    a_run(folder, "retrain", "good", 3.25)
    a_run(folder, "retrain", "worse", 4.0, seed=1, space="multipath_small")
    a_run(folder, "retrain", "begun")
    a_run(folder, "retrain", "broken", 1.0).path("summary.json").write_text("{")
    sweep = folder / "runs" / "swept"
    sweep.mkdir()
    (sweep / "sweep.json").write_text('{"finished": true}')
    (folder / "runs" / "benchmarks").mkdir()
    return folder / "runs"


def test_list(nasface: Command, runs: Path) -> None:
    result = nasface("runs", "list")
    lines = {line.split()[0]: line.split() for line in result.output.splitlines() if line.strip()}
    assert result.code == 0 and not result.errors
    assert lines["good"][1] == "retrain" and lines["good"][4:] == ["finished", "3.25", "test", "faces", "2.41", "MB"]
    assert lines["found"][4:8] == ["finished", "4.50", "validation", "faces"]
    assert lines["begun"][4:6] == ["unfinished", "-"] and lines["broken"][4] == "damaged"
    assert lines["swept"][1] == "sweep" and "benchmarks" not in lines
    assert "1 other folder(s) are no runs" in result.output
    assert nasface("runs", "list", "--runs", "none").line.startswith("nasface: there is no folder none: run ")


def test_show(nasface: Command, runs: Path) -> None:
    for name in ("good", "runs/good"):
        result = nasface("runs", "show", name)
        assert result.code == 0 and "NME (%)  3.250 on test faces" in result.output
        assert "network.pt       2.41 MB" in result.output and "nasface predict photo.jpg --weights" in result.output
    assert "--resume true --run begun" in nasface("runs", "show", "begun").output
    assert "there is no run lost, here or in runs" in nasface("runs", "show", "lost").line
    assert "runs/benchmarks is no run" in nasface("runs", "show", "benchmarks").line


def test_states(nasface: Command, runs: Path) -> None:
    with pytest.raises(UserError), started_by(["retrain"]):
        open_run("retrain", Experiment(runs=str(runs)), "x", True, "begun")
        raise UserError("the disk is full: free some")
    shown = nasface("runs", "show", "begun").output
    assert ", failed, " in shown and "failed   the disk is full: free some" in shown and "--run begun" in shown
    with started_by(["retrain"]):
        run = open_run("retrain", Experiment(runs=str(runs)), "x", True, "begun")
        assert not run.read_summary()["failed"], "it goes on"
        assert find_run(runs, "begun").state == "running"
    assert find_run(runs, "begun").state == "unfinished", "as when it was interrupted"
    with pytest.raises(ZeroDivisionError), started_by(["retrain"]):
        open_run("retrain", Experiment(runs=str(runs)), "x", True, "begun")
        raise ZeroDivisionError("of ours")
    assert find_run(runs, "begun").summary["failed"] == "ZeroDivisionError: of ours"
    with pytest.raises(UserError), started_by(["retrain"]):
        open_run("retrain", Experiment(runs=str(runs)), "x", False, "done").update_summary(finished=True)
        raise UserError("too late")
    assert find_run(runs, "done").state == "finished"


def test_compare(nasface: Command, runs: Path) -> None:
    table = nasface("runs", "compare", "good", "worse").output
    assert "3.25" in table and "4.00" in table and "settings are the same" in table, "seed and space do not count"
    a_run(nasface.folder, "search", "again", 4.25, space="multipath_small")
    a_run(nasface.folder, "search", "frontal", 1.5, search=SearchConfig(penalty="0-30"))
    assert "1.500 (0-30)" in nasface("runs", "compare", "found", "frontal").output
    table = nasface("runs", "compare", "found", "again").output
    assert "4.500" in table and "4.250" in table and "multipath_small" in table
    for names, message in (
        (["good"], "give two or more"),
        (["good", "found"], r"not good (retrain) and found (search)"),
        (["good", "begun"], "begun has no result yet"),
    ):
        result = nasface("runs", "compare", *names)
        assert result.code == 2 and message in result.line


def test_best(nasface: Command, runs: Path) -> None:
    assert nasface("runs", "best").output.splitlines()[2].split() == [
        "synthetic",
        "3.250",
        "good",
        "runs/good/network.pt",
    ]
    assert "found" in nasface("runs", "best", "--command", "search").output
    a_run(nasface.folder, "search", "frontal", 1.5, search=SearchConfig(penalty="0-30"))
    lines = nasface("runs", "best", "--command", "search").output.splitlines()[2:]
    assert [(line.split()[-3:-1], ", 0-30 " in line) for line in lines] == [
        (["4.500", "found"], False),
        (["1.500", "frontal"], True),
    ], "errors of other kinds are not compared"
    assert "holds no finished retrain" in nasface("runs", "best", "--runs", str(runs / "benchmarks")).line


def test_remove_asks(nasface: Command, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = sorted(path.name for path in runs.iterdir())
    assert "give --yes" in nasface("runs", "remove", "good").line, "nobody can be asked"
    terminal = io.StringIO("no\ny\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin", terminal)
    assert nasface("runs", "remove", "good", "begun").line == "nasface: nothing was removed"
    assert nasface("runs", "remove", "good", "lost").code == 2, "one that is not there keeps the others"
    assert sorted(path.name for path in runs.iterdir()) == everything
    assert nasface("runs", "remove", "good", "runs/begun", "runs/good").code == 0
    assert sorted(path.name for path in runs.iterdir()) == sorted({*everything} - {"good", "begun"})
    assert nasface("runs", "remove", "worse").line == "nasface: nothing was removed", "the end of the input"
    assert nasface("runs", "remove", "broken", "--yes").code == 0 and not (runs / "broken").exists()
    assert nasface("runs", "remove", "benchmarks", "--yes").code == 2 and (runs / "benchmarks").is_dir()


def test_what_a_kill_has_left_of_a_removed_run_goes_with_the_next(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", dies)
        with pytest.raises(KeyboardInterrupt):
            remove_run(find_run(runs, "good"))
    assert not (runs / "good").exists() and list(runs.glob(".removed.good.*"))
    with monkeypatch.context() as patched:
        patched.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(16, "busy")))
        with pytest.raises(UserError, match="cannot remove .*begun: busy"):
            remove_run(find_run(runs, "begun"))
    assert (runs / "begun").is_dir() and len(list(runs.glob(".removed.*"))) == 1
    remove_run(find_run(runs, "begun"))
    assert not list(runs.glob(".*"))


def test_a_run_that_is_written_to_stays(nasface: Command, runs: Path) -> None:
    lock = lock_folder(runs / "begun")
    assert lock is not None
    assert "a command is writing to runs/begun: end it first" in nasface("runs", "remove", "begun", "--yes").line
    os.close(lock)
    assert (runs / "begun" / "experiment.yaml").is_file()
    assert nasface("runs", "remove", "begun", "--yes").code == 0 and not (runs / "begun").exists()


def test_files_that_go_while_they_are_counted(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, before = find_run(runs, "good"), files_of(runs / "good")
    (runs / "good" / ".last.ckpt.x").write_bytes(bytes(9))
    size = entry.size()
    real, gone = Path.stat, Path.lstat

    def vanishing(real: Any) -> Any:
        def stat(path: Path, **how: Any) -> os.stat_result:
            if path.name == ".last.ckpt.x" and sys._getframe(1).f_code.co_name in ("size", "files_of"):
                raise FileNotFoundError(path)
            return real(path, **how)

        return stat

    monkeypatch.setattr(Path, "stat", vanishing(real))
    monkeypatch.setattr(Path, "lstat", vanishing(gone))
    assert entry.size() == size - 9 and files_of(runs / "good") == before


def test_a_link_is_removed_and_not_what_it_leads_to(nasface: Command, runs: Path) -> None:
    (runs / "linked").symlink_to(runs / "good")
    assert nasface("runs", "remove", "linked", "--yes").code == 0
    assert not (runs / "linked").is_symlink() and (runs / "good" / "network.pt").is_file()


def test_every_file_of_a_run_is_known(tmp_path: Path) -> None:
    for name in ("best.json", "best_2.json", "search/finalists/a/x.json", "networks/a/network.pt", "mine.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("12345")
    found = {name: (size, meaning) for name, size, meaning, _ in files_of(tmp_path)}
    assert found.keys() == {"best.json", "best_*.json", "search/*", "networks/*", "mine.txt"}
    assert found["mine.txt"] == (5, "not a file of nasface")


def test_the_page_on_runs_names_every_file() -> None:
    page = (Path(__file__).parents[2] / "docs" / "runs.md").read_text(encoding="utf-8")
    assert [pattern for pattern, *_ in FILES if f"`{pattern}`" not in page] == []
