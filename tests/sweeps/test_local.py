"""Sweeps on this machine, with processes of a toy program: what is run, resumed, stopped, failed and written."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from optuna.trial import FrozenTrial, TrialState

from nasface.cli.sweep import COMMAND
from nasface.runs.listing import find_run, remove_run
from nasface.sweeps.command_line import command_line
from nasface.sweeps.local import run_local_sweep, values_of
from nasface.sweeps.outcome import best_of, next_command, ranked, sweep_table, write_best, write_table
from nasface.sweeps.sweep_file import SweepFile
from nasface.sweeps.sweep_folder import SweepFolder, open_sweep_folder
from nasface.utils.errors import UserError
from nasface.utils.held_folders import free_folders
from nasface.utils.lock import lock_folder
from nasface.utils.progress import close_bars
from tests.helpers.tiny import REPOSITORY, children_of, finish, is_alive, wait_for_end
from tests.helpers.tiny import start as start_nasface
from tests.sweeps.files import toy_sweep


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasface.sweeps.local._PAUSE", 0.01)


def folder_of(sweep: SweepFile, name: str = "s") -> SweepFolder:
    folder = sweep.path.parent / "runs"
    return open_sweep_folder(sweep, folder, name, resume=(folder / name).exists())


def run(sweep: SweepFile, name: str = "s", **settings: Any) -> list[FrozenTrial]:
    return run_local_sweep(sweep, folder_of(sweep, name), **settings)[0]


def numbers(trials: list[FrozenTrial]) -> list[tuple[Any, ...]]:
    return [(trial.number, trial.state, trial.values, values_of(trial)) for trial in trials]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_grid_has_each_point_once(tmp_path: Path, workers: int) -> None:
    parameters = {"x": {"values": [0.5, 0.25]}, "steps": {"min": 1, "max": 3}, "y": {"value": "k"}}
    sweep = toy_sweep(tmp_path, method="grid", parameters=parameters, run_cap=None)
    trials, finished = run_local_sweep(sweep, folder_of(sweep), workers=workers)
    points = sorted((values_of(trial)["x"], values_of(trial)["steps"]) for trial in trials)
    assert finished and points == [(x, steps) for x in (0.25, 0.5) for steps in (1, 2, 3)]
    for trial in trials:
        x, steps = values_of(trial)["x"], values_of(trial)["steps"]
        assert trial.state == TrialState.COMPLETE and trial.values == [x + 1 / steps]
        assert trial.intermediate_values == {step: x + 1 / step for step in range(1, steps + 1)}
    best = best_of(sweep, trials)
    assert best is not None and values_of(best) == {"x": 0.25, "steps": 3, "y": "k"}


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_sweep_in_parts_is_that_in_one(tmp_path: Path, method: str) -> None:
    sweep = toy_sweep(tmp_path, method=method, run_cap=7)
    whole = run(sweep, "whole")
    parts, finished = run_local_sweep(sweep, folder_of(sweep, "parts"), count=3)
    assert len(parts) == 3 and not finished
    assert len(run(sweep, "parts", count=1)) == 4
    parts, finished = run_local_sweep(sweep, folder_of(sweep, "parts"))
    assert finished and numbers(parts) == numbers(whole)
    assert len({values_of(trial)["x"] for trial in whole}) == 7
    assert numbers(run(sweep, "other", seed=1)) != numbers(whole)


def test_the_greatest_where_that_is_the_goal(tmp_path: Path) -> None:
    sweep = toy_sweep(tmp_path, metric={"name": "loss", "goal": "maximize"})
    trials = run(sweep)
    best = best_of(sweep, trials)
    assert best is not None and best.values == [max(trial.values[0] for trial in trials)]
    assert ranked(sweep, trials)[0] is best


def test_no_run_after_the_target(tmp_path: Path) -> None:
    sweep = toy_sweep(tmp_path, metric={"name": "loss", "target": 99}, run_cap=5)
    trials, finished = run_local_sweep(sweep, folder_of(sweep))
    assert len(trials) == 1 and finished


def test_runs_that_fall_behind_are_stopped(tmp_path: Path) -> None:
    sweep = toy_sweep(
        tmp_path,
        method="grid",
        parameters={"x": {"values": [1, 2, 3, 4, 5, 6]}, "steps": {"value": 8}, "pause": {"value": 0.03}},
        early_terminate={"type": "hyperband", "min_iter": 2, "eta": 2, "strict": True},
        run_cap=None,
    )
    trials = run(sweep)
    stopped = [trial for trial in trials if trial.state == TrialState.PRUNED]
    complete = [values_of(trial)["x"] for trial in trials if trial.state == TrialState.COMPLETE]
    assert 1 in complete and stopped and len(complete) + len(stopped) == 6
    assert all(len(trial.intermediate_values) < 8 for trial in stopped), "they were only told so"
    assert best_of(sweep, trials) is ranked(sweep, trials)[0]
    assert "stopped" in sweep_table(sweep, trials)


def test_failures_are_recorded_and_do_not_end_a_sweep(tmp_path: Path) -> None:
    parameters = {"x": {"values": [1, 2]}, "fail": {"values": ["", "yes"]}}
    sweep = toy_sweep(tmp_path, method="grid", parameters=parameters, run_cap=None)
    trials = run(sweep, workers=4)
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert len(trials) == 4 and {values_of(trial)["fail"] for trial in failed} == {"yes"}
    assert all(trial.user_attrs["error"] == "exit code 3: toy: it failed" for trial in failed)
    assert [trial.state for trial in ranked(sweep, trials)][2:] == [TrialState.FAIL] * 2


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"parameters": {"x": {"value": 1}, "fail": {"value": 1}}}, "first 3 run(s) failed, the last with exit code 3"),
        ({"parameters": {"x": {"value": 1}, "name": {"value": "l"}}}, "it never logged loss; it logged l"),
        ({"parameters": {"x": {"value": float("nan")}}}, "loss is nan"),
        ({"command": ["/no/such/program"]}, "cannot start '/no/such/program'"),
        ({"run_cap": None}, "give run_cap in the file, or --count"),
    ],
)
def test_hopeless_sweeps_end(tmp_path: Path, keys: dict[str, Any], words: str) -> None:
    sweep = toy_sweep(tmp_path, **keys)
    with pytest.raises(UserError) as error:
        run(sweep)
    close_bars()
    assert words in str(error.value)
    assert len(list((tmp_path / "runs" / "s" / "trials").glob("*"))) <= 3


def test_what_is_written(tmp_path: Path) -> None:
    parameters = {"x": {"values": [0.5, 0.25]}, "a.b": {"value": 1}, "a": {"parameters": {"c": {"value": None}}}}
    sweep = toy_sweep(tmp_path, method="grid", parameters=parameters)
    trials = run(sweep)
    table = sweep_table(sweep, trials).splitlines()
    assert table[0].split() == ["run", "state", "loss", "x", "time"] and table[2].split()[1:4] == [
        "done",
        "1.25",
        "0.25",
    ]
    write_table(tmp_path / "t.csv", sweep, trials)
    with (tmp_path / "t.csv").open() as stream:
        header, first, _ = csv.reader(stream)
    assert header == ["run", "state", "loss", "x", "a.b", "a.c", "seconds", "folder", "error"]
    assert first[1:6] == ["done", "1.25", "0.25", "1", ""]
    best = best_of(sweep, trials)
    assert best is not None
    write_best(tmp_path / "best.yaml", sweep, best)
    assert yaml.safe_load((tmp_path / "best.yaml").read_text()) == {"x": 0.25, "a": {"b": 1, "c": None}}
    assert next_command(best, Path("best.yaml")) == "use best.yaml"


# Kill and resume -----------------------------------------------------------------------------------------------------


SETTINGS = {"file": "toy.yaml", "workers": 2, "count": None, "seed": 0, "where": "here", "runs": "runs", "run": "s"}


def start(folder: Path) -> subprocess.Popen[str]:
    """`nasface sweep` in a process of its own."""
    code = "from nasface.cli.sweep import COMMAND; import sys, json; COMMAND.run(**json.loads(sys.argv[1]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(SETTINGS | {"resume": False})],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(reached: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not reached():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def test_a_killed_sweep_ends_as_the_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = {"x": {"min": 0.0, "max": 1.0}, "steps": {"value": 3}, "pause": {"value": 0.1}}
    sweep = toy_sweep(tmp_path, run_cap=8, parameters=parameters)
    records = tmp_path / "runs" / "s" / "trials"
    killed = start(tmp_path)
    wait_for(lambda: (records / "0004" / "metrics.jsonl").exists(), killed)
    killed.send_signal(signal.SIGSTOP)
    runs = children_of(killed)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    killed.communicate()
    for one in runs:  # they end with it, but one that has just been forked holds its lock a moment longer
        wait_for_end(one, "the run outlives its sweep")

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="exists: go on with it by --resume true"):
        COMMAND.run(**SETTINGS, resume=False)
    capsys.readouterr()
    COMMAND.run(**SETTINGS, resume=True)
    said = capsys.readouterr()
    assert "8/8" in said.err and said.out.count("done") == 8
    assert "best     runs/s/best.yaml: loss " in said.out
    assert numbers(run(sweep)) == numbers(run(sweep, "whole"))
    assert SweepFolder(tmp_path / "runs" / "s").status()["finished"] is True


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone ends a process with its parent")
def test_a_run_ends_with_its_sweep(tmp_path: Path) -> None:
    """However the sweep ended: a run that went on would compute for nobody, beside the one that takes its place."""
    sweep = toy_sweep(tmp_path, parameters={"x": {"value": 1}, "pause": {"value": 1000}})
    code = (
        "import json, sys, time; from pathlib import Path; from nasface.sweeps.run_process import RunProcess;"
        "run = RunProcess(json.loads(sys.argv[1]), Path('run'), 'loss', 1);"
        "print(run.process_id, flush=True); time.sleep(1000)"
    )
    words = command_line(sweep, {"x": 1, "pause": 1000}, tmp_path)
    parent = subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(words)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_alive(child)
    parent.kill()
    parent.communicate()
    wait_for_end(child, "the run outlives its sweep")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_sweep_that_is_asked_to_end_says_how_to_go_on(tmp_path: Path, number: int, code: int) -> None:
    toy_sweep(tmp_path, parameters={"x": {"value": 1}, "pause": {"value": 1000}})
    process = start_nasface(["sweep", "toy.yaml", "--where", "here", "--run", "s"], tmp_path)
    wait_for(lambda: children_of(process), process)
    (child,) = children_of(process)
    process.send_signal(number)
    result = finish(process)
    assert (result.code, result.line) == (
        code,
        "nasface: terminated; the same command with --resume true goes on from here",
    )
    wait_for_end(child, "the run outlives its sweep")


# Folders -------------------------------------------------------------------------------------------------------------


def test_two_sweeps_of_the_same_second_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.strftime", lambda _: "20250101-000000")
    sweep = toy_sweep(tmp_path)
    folders = [open_sweep_folder(sweep, tmp_path / "runs", None, resume=False).folder.name for _ in range(2)]
    assert folders[0].startswith("20250101-000000-sweep-") and folders[1] == f"{folders[0]}+2"


def test_what_resume_takes(tmp_path: Path) -> None:
    runs, sweep = tmp_path / "runs", toy_sweep(tmp_path)
    with pytest.raises(UserError, match="holds no unfinished sweep"):
        open_sweep_folder(sweep, runs, None, resume=True)
    first = open_sweep_folder(sweep, runs, None, resume=False, seed=3)
    assert open_sweep_folder(sweep, runs, None, resume=True) == first and first.status()["seed"] == 3
    other = toy_sweep(tmp_path, run_cap=9)
    with pytest.raises(UserError, match="holds no unfinished sweep"):
        open_sweep_folder(other, runs, None, resume=True)
    with pytest.raises(UserError, match="is not the file of"):
        open_sweep_folder(other, runs, first.folder.name, resume=True)
    with pytest.raises(UserError, match="there is no sweep"):
        open_sweep_folder(sweep, runs, "absent", resume=True)
    first.update(finished=True)
    with pytest.raises(UserError, match="holds no unfinished sweep"):
        open_sweep_folder(sweep, runs, None, resume=True)
    assert open_sweep_folder(sweep, runs, first.folder.name, resume=True) == first


def test_resume_passes_over_damaged_and_running_sweeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, sweep = tmp_path / "runs", toy_sweep(tmp_path)
    older, newer, damaged = (open_sweep_folder(sweep, runs, name, resume=False).folder for name in "abc")
    free_folders()
    (damaged / "sweep.json").write_text("{bro")
    lock = lock_folder(newer)
    assert lock is not None
    assert open_sweep_folder(sweep, runs, None, resume=True).folder == older
    said = capsys.readouterr().err
    assert f"left out {newer}: another command is writing to it" in said and "left out " + str(damaged) in said
    os.close(lock)


def test_one_command_goes_on_with_a_sweep(tmp_path: Path) -> None:
    runs, sweep = tmp_path / "runs", toy_sweep(tmp_path)
    folder = open_sweep_folder(sweep, runs, "one", resume=False).folder
    free_folders()
    lock = lock_folder(folder)
    assert lock is not None
    with pytest.raises(UserError, match="another command is writing to .*one: wait for it"):
        open_sweep_folder(sweep, runs, "one", resume=True)
    with pytest.raises(UserError, match="a command is writing to .*one: end it first"):
        remove_run(find_run(runs, "one"))
    os.close(lock)
    assert open_sweep_folder(sweep, runs, "one", resume=True).folder == folder
