"""Sweeps on W&B, with a program in the place of `wandb` that records how it is called."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import wandb

from nasface.cli.sweep import COMMAND
from nasface.runs.listing import find_run
from nasface.sweeps.sweep_file import load_sweep
from nasface.sweeps.sweep_folder import STUDY, open_sweep_folder
from nasface.utils.errors import UserError
from nasface.utils.held_folders import free_folders
from tests.sweeps.files import write_sweep

WANDB = """
import json, os, sys
with open(os.environ["CALLS"], "a") as stream:
    stream.write(json.dumps([sys.argv[1:], os.environ["PATH"].split(os.pathsep)[0]]) + "\\n")
if sys.argv[1] == "sweep" and os.environ.get("REFUSE"):
    print("wandb: Creating sweep from: x", "wandb: ERROR no such project", sep="\\n", file=sys.stderr)
    sys.exit(1)
if sys.argv[1] == "sweep":
    print("wandb: Run sweep agent with: \\x1b[33mwandb agent me/nasface/abc12345\\x1b[0m", file=sys.stderr)
sys.exit(int(os.environ.get("CODE", 0)) if sys.argv[1] == "agent" else 0)
"""
SETTINGS = {"workers": 1, "count": None, "seed": 0, "where": "wandb", "runs": "runs", "run": "s", "resume": False}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "wandb.py").write_text(WANDB)
    monkeypatch.setattr("nasface.sweeps.agents.WANDB", (sys.executable, "-S", str(tmp_path / "wandb.py")))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.chdir(tmp_path)
    return str(write_sweep(tmp_path))


def calls() -> list[list[str]]:
    lines = [json.loads(line) for line in Path("calls").read_text().splitlines()]
    assert {path for _, path in lines} == {str(Path(sys.executable).parent)}, "agents must find nasface"
    return [words for words, _ in lines]


def test_the_sweep_is_made_once_and_its_agents_run(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    COMMAND.run(**SETTINGS | {"file": file, "workers": 2, "count": 5})
    made, *agents = calls()
    assert made == ["sweep", "--project", "nasface", file]
    assert sorted(agents) == [["agent", "--count", str(n), "me/nasface/abc12345"] for n in (2, 3)]
    assert "https://wandb.ai/me/nasface/sweeps/abc12345" in capsys.readouterr().out
    COMMAND.run(**SETTINGS | {"file": file, "resume": True})
    assert calls()[3:] == [["agent", "me/nasface/abc12345"]]
    with pytest.raises(UserError, match="is a sweep on W&B"):
        COMMAND.run(**SETTINGS | {"file": file, "resume": True, "where": "here"})


def test_a_sweep_that_stops_at_a_count_may_be_resumed(file: str) -> None:
    COMMAND.run(**SETTINGS | {"file": file, "count": 2})
    assert find_run(Path("runs"), "s").state != "finished"
    free_folders()
    COMMAND.run(**SETTINGS | {"file": file, "resume": True, "run": None})
    assert find_run(Path("runs"), "s").state == "finished"


def test_a_sweep_of_this_machine_does_not_go_on_at_wandb(file: str) -> None:
    folder = open_sweep_folder(load_sweep(file), Path("runs"), "s", resume=False, seed=0)
    folder.path(STUDY).touch()
    with pytest.raises(UserError, match="is a sweep of this machine: go on with --where here"):
        COMMAND.run(**SETTINGS | {"file": file, "resume": True})
    assert not Path("calls").exists() and not folder.status().get("failed")


def test_a_sweep_that_fails_says_so_until_it_goes_on(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFUSE", "1")
    with pytest.raises(UserError):
        COMMAND.run(**SETTINGS | {"file": file})
    free_folders()
    found = find_run(Path("runs"), "s")
    assert found.state == "failed" and "refuses the sweep" in found.summary["failed"]
    monkeypatch.delenv("REFUSE")
    COMMAND.run(**SETTINGS | {"file": file, "resume": True})
    assert find_run(Path("runs"), "s").state == "finished"


def test_the_files_project_is_kept(tmp_path: Path, file: str) -> None:
    COMMAND.run(**SETTINGS | {"file": str(write_sweep(tmp_path, project="mine"))})
    assert calls()[0] == ["sweep", file]


def test_what_wandb_says_is_passed_on(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFUSE", "1")
    with pytest.raises(UserError, match=r"refuses the sweep \(wandb: ERROR no such project\)"):
        COMMAND.run(**SETTINGS | {"file": file})
    monkeypatch.delenv("REFUSE")
    monkeypatch.setenv("CODE", "1")
    with pytest.raises(UserError, match="1 of 1 agents of me/nasface/abc12345 failed"):
        COMMAND.run(**SETTINGS | {"file": file, "resume": True})


@pytest.mark.parametrize(
    ("mode", "key", "online"), [("offline", "x" * 40, False), ("", "", False), ("online", "", True)]
)
def test_where_a_sweep_runs(file: str, monkeypatch: pytest.MonkeyPatch, mode: str, key: str, online: bool) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    if mode:
        monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("NETRC", "absent")
    monkeypatch.setenv("HOME", str(Path.cwd()))
    try:
        COMMAND.run(**SETTINGS | {"file": file, "where": "auto"})
    finally:
        wandb.teardown()  # it keeps the account that it has looked for
    assert Path("calls").exists() is online and Path("runs/s/runs.csv").exists() is not online
