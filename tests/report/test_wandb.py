"""W&B: offline files without an account or a network, nothing at all when off, WANDB_MODE above the settings."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from nasface.cli import main
from nasface.config import Experiment, LogConfig
from nasface.errors import UserError
from nasface.report import wandb as report
from nasface.report.wandb import finish, make_logger
from tests.tiny import TINY


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No account, no run that is still open, and no network beyond this machine."""
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost"), address
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local)
    yield
    wandb.teardown()


def experiment(mode: str) -> Experiment:
    return Experiment(log=LogConfig(wandb=mode, project="toy"))


def offline_runs(folder: Path) -> list[Path]:
    return sorted((folder / "wandb").glob("offline-run-*"))


def test_a_search_without_an_account_leaves_offline_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    main(["search", "--experiment", "smoke", *TINY, "--run", "mine"])
    training, search = offline_runs(tmp_path / "runs" / "mine")
    for run in (training, search):
        (record,) = run.glob("run-*.wandb")
        assert record.stat().st_size > 1000
    # The record's own text: what was logged, under which names.
    logged = {run: next(run.glob("run-*.wandb")).read_bytes() for run in (training, search)}
    assert b"supernet/loss" in logged[training] and b"mine-supernet" in logged[training]
    for name in (b"search/penalty", b"search/nme_60-90", b"search/temperature", b"search/acceptance"):
        assert name in logged[search]
    assert b"search/incumbent" in logged[search] and b"mine-search" in logged[search]
    assert list((search / "files" / "media" / "images" / "search").glob("architecture_*.png"))
    assert not (tmp_path / "wandb").exists(), "files outside the run's folder"
    assert "WANDB_MODE" not in os.environ, "a later run of this process would be offline too"


def test_off_makes_nothing(tmp_path: Path) -> None:
    assert make_logger(experiment("off"), tmp_path / "run", "search") is None
    finish(None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "setting", "expected"),
    [
        ("offline", "off", "offline"),
        ("dryrun", "online", "offline"),
        ("disabled", "offline", "disabled"),
        ("off", "online", "disabled"),
        ("online", "off", "online"),
        ("", "offline", "offline"),
        ("auto", "off", "offline"),
    ],
)
def test_wandb_mode_decides(monkeypatch: pytest.MonkeyPatch, variable: str, setting: str, expected: str) -> None:
    monkeypatch.setenv("WANDB_MODE", variable)
    assert report._mode(setting) == expected


def test_an_unknown_wandb_mode_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "perhaps")
    with pytest.raises(UserError, match="WANDB_MODE is 'perhaps': set it to online, offline or disabled"):
        report._mode("off")


def test_auto_is_online_with_an_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert report._mode("auto") == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert report._mode("auto") == "online"
    monkeypatch.delenv("WANDB_API_KEY")
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password " + "0" * 40)
    (tmp_path / "home").mkdir()
    (tmp_path / "netrc").rename(tmp_path / "home" / ".netrc")
    (tmp_path / "home" / ".netrc").chmod(0o600)
    assert report._mode("auto") == "online"


def test_stages_are_runs_of_one_group(tmp_path: Path) -> None:
    for stage in ("supernet", "search"):
        logger = make_logger(experiment("offline"), tmp_path / "mine", stage)
        assert logger is not None
        logger.log_metrics({"a": 1.0}, step=3)
        run = logger.experiment
        assert (run.name, run.group, run.job_type, run.project) == (f"mine-{stage}", "mine", stage, "toy")
        assert run.config["supernet"]["children"] == Experiment().supernet.children
        finish(logger)
    assert len(offline_runs(tmp_path / "mine")) == 2


def test_online_without_an_account_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise wandb.errors.UsageError("No API key configured.\nUse `wandb login` to log in.")

    monkeypatch.setattr(wandb, "init", refuse)
    message = r"W&B does not start \(No API key configured. .*\): run `wandb login`, or set --log.wandb offline or off"
    with pytest.raises(UserError, match=message):
        make_logger(experiment("online"), tmp_path / "run", "search")
