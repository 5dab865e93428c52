"""Runs: ids that stay in their folder, folders that are whole or absent, neighbours that stop nobody, no passwords."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from nasface.config import Experiment, recorded_settings
from nasface.runs.run import open_run, started_by
from nasface.utils.errors import UserError, without_passwords
from nasface.utils.lock import lock_folder
from nasface.utils.run_files import create_folder, settings_file, summary_file
from tests.helpers.tiny import Command


@pytest.mark.parametrize("name", ["../x", "/tmp/x", ".", "..", "a/b", "", ".hidden", "a\nb", "x" * 101])
@pytest.mark.parametrize("resume", [False, True])
def test_an_id_is_one_plain_name(name: str, resume: bool, tmp_path: Path) -> None:
    experiment = replace(Experiment(), runs=str(tmp_path / "runs"))
    if name:
        with pytest.raises(UserError, match="is no id"):
            open_run("search", experiment, "m", resume, name)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = replace(Experiment(), runs=str(tmp_path))
    (tmp_path / "half").mkdir()  # as a former version left it when it was killed
    run = open_run("search", experiment, "m", False, "half")
    assert run.read_summary() == {"command": "search", "label": "m", "init": "scratch", "finished": False}
    assert open_run("search", experiment, "m", True, "half").folder == run.folder
    with pytest.raises(UserError, match="exists: go on with it"):
        open_run("search", experiment, "m", False, "half")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nasface.utils.run_files.os.rename", killed)
    with pytest.raises(KeyboardInterrupt):
        create_folder(tmp_path / "new", {"a": "b"})
    assert [path.name for path in tmp_path.iterdir()] == ["half"]


@pytest.mark.parametrize("file", [settings_file, summary_file])
def test_a_damaged_neighbour_is_named_and_left_out(
    file: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = replace(Experiment(), runs=str(tmp_path))
    run = open_run("search", experiment, "m", False, "whole")
    broken = open_run("search", experiment, "m", False, "broken").folder
    file(broken).write_text("{")  # type: ignore[operator]
    assert open_run("search", experiment, "m", True, None).folder == run.folder
    assert str(broken) in capsys.readouterr().err


def test_passwords_stay_in_memory(tmp_path: Path) -> None:
    url = "postgresql://user:se:cr@et@host:5432/db"
    ends = (
        "u:se/cret@h",
        "u:12/se/cret@h",
        "u:se@cret@h",
        'h/d?x=y&password=secret"',
        "h?sslpassword=secret&pwd=secret",
    )
    for odd in (f"sql://{end}" for end in ends):
        masked = without_passwords(odd)
        assert "cret" not in masked and masked.startswith(odd[:4]) and without_passwords(masked) == masked
    assert without_passwords(f"cannot open {url}: no") == "cannot open postgresql://user@host:5432/db: no"
    for plain in ("sqlite:///a.db", "http://host:8080/a@b", "runs/a:b@c"):
        assert without_passwords(plain) == plain
    experiment = replace(Experiment(), runs=str(tmp_path))
    experiment = replace(experiment, search=replace(experiment.search, storage=url))
    run = open_run("search", experiment, "m", False, "r")
    recorded = yaml.safe_load(settings_file(run.folder).read_text())
    assert recorded["search"]["storage"] == "postgresql://user@host:5432/db" and recorded == recorded_settings(
        experiment
    )
    assert open_run("search", experiment, "m", True, "r").folder == run.folder


def test_exit_codes(nasface: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for error, code, said in (
        (UserError("no such thing"), 2, "no such thing"),
        (MemoryError(), 2, "too little memory"),
        (BrokenPipeError(), 141, ""),
        (ZeroDivisionError("ours\nand more"), 1, "ZeroDivisionError: ours; this is a mistake of nasface"),
    ):

        def fails(*_: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("nasface.pipelines.architectures.member_record", fails)
        result = nasface("draw")
        assert result.code == code and said in "".join(result.errors) and len(result.errors) == bool(said)
    kept = next(tmp_path.glob("nasface-*.txt"))
    assert kept.name in result.line and "ZeroDivisionError" in kept.read_text()


_RESUME = """
import sys
from dataclasses import replace
from nasface.config import Experiment
from nasface.runs.run import open_run
print(open_run("search", replace(Experiment(), runs=sys.argv[1]), "m", True, sys.argv[2] or None).folder.name)
"""


def test_one_command_writes_to_a_run(tmp_path: Path) -> None:
    def resumed(name: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", _RESUME, str(tmp_path), name]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    with started_by(["search"]):
        for name in ("first", "second"):
            open_run("search", replace(Experiment(), runs=str(tmp_path)), "m", False, name)
        assert open_run("search", replace(Experiment(), runs=str(tmp_path)), "m", True, "second")
        refused = resumed("second").stderr
        assert f"another command is writing to {tmp_path / 'second'}: wait for it, or choose another --run" in refused
        newest = resumed("").stderr
        assert "second: another command is writing to it" in newest and "no unfinished search run" in newest
    assert resumed("second").stdout == "second\n"


def test_a_run_is_free_once_what_a_killed_command_has_forked_is_gone(tmp_path: Path) -> None:
    experiment = replace(Experiment(), runs=str(tmp_path))
    with started_by(["search"]):
        run = open_run("search", experiment, "m", False, "one")
    left = lock_folder(run.folder)
    assert left is not None
    threading.Timer(0.3, os.close, (left,)).start()
    with started_by(["search"]):
        assert open_run("search", experiment, "m", True, "one").folder == run.folder


def test_a_run_whose_evaluations_are_gone_is_not_searched_anew(nasface: Command) -> None:
    assert nasface.tiny("search", "--run", "one", "--search.iterations", "2").code == 0
    run = nasface.folder / "runs" / "one"
    journal, summary = run / "search" / "journal.log", json.loads(summary_file(run).read_text())
    summary["finished"] = False
    for known in (summary, {name: value for name, value in summary.items() if name != "search"}):  # killed on the way
        summary_file(run).write_text(json.dumps(known))
        journal.write_bytes(b"")
        result = nasface.tiny("search", "--run", "one", "--resume", "true", "--search.iterations", "2")
        assert result.code == 2 and "journal.log is empty, but runs/one has been searched" in result.line


def test_an_empty_folder_is_not_named_as_the_run_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    with pytest.raises(UserError, match="no run .*half to resume: start it without --resume$"):
        open_run("search", replace(Experiment(), runs=str(tmp_path)), "m", True, "half")


def test_a_run_is_resumed_by_its_own_command(tmp_path: Path) -> None:
    experiment = replace(Experiment(), runs=str(tmp_path))
    open_run("search", experiment, "m", False, "one")
    with pytest.raises(UserError, match="one is of nasface search: give one of nasface retrain"):
        open_run("retrain", experiment, "m", True, "one")
