"""Secrets: files that must hold one are their owner's alone, and no record keeps one that it need not hold."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import wandb

from nasface.config import Experiment, LogConfig, MultipathConfig
from nasface.pipelines.architectures import member, resolve_network
from nasface.search.strategies.random import RandomSearch
from nasface.search.study import run_study
from nasface.sweeps.command_line import command_line
from nasface.sweeps.local import run_local_sweep
from nasface.sweeps.sweep_folder import open_sweep_folder
from nasface.testing.toy_table import TableEvaluator
from nasface.tracking.wandb import make_logger
from nasface.utils.errors import UserError
from nasface.utils.files import write_text
from tests.search.test_workers import SPACE
from tests.sweeps.files import toy_sweep

URL = "postgresql://user:s3cret@host/db"


def test_files_with_a_password_are_private(tmp_path: Path) -> None:
    write_text(tmp_path / "a", f"storage: {URL}\n")
    write_text(tmp_path / "b", "storage: postgresql://user@host/db\n")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600 and (tmp_path / "b").stat().st_mode & 0o444 != 0o400


def test_a_sweep_keeps_no_password(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "pass", URL]
    sweep = toy_sweep(tmp_path, parameters={"url": {"value": URL}}, metric=None, command=words, run_cap=1)
    folder = open_sweep_folder(sweep, tmp_path / "runs", "s", False)
    trials, _ = run_local_sweep(sweep, folder)
    assert "s3cret" not in json.dumps(trials[0].user_attrs["command"])
    assert folder.path("sweep.yaml").stat().st_mode & 0o777 == 0o600
    (path,) = command_line(toy_sweep(tmp_path, command=["${args_json_file}"]), {"x": URL}, tmp_path / "new")
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_wandb_sees_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def init(**_: Any) -> None:
        seen.extend(sys.argv)
        raise wandb.errors.UsageError("enough")

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setattr(sys, "argv", ["nasface", URL])
    with pytest.raises(UserError, match="enough"):
        make_logger(Experiment(log=LogConfig(wandb="offline")), tmp_path, "search")
    assert seen == ["nasface", "postgresql://user@host/db"] and sys.argv == ["nasface", URL]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"input_size": "x"}, "best.json: provenance.network.input_size is 'x'"),
        ({"width": -4}, "best.json: provenance.network.width is -4"),
        ({"map_size": 10**9}, "network.map_size 1000000000 is more than 4096"),
        ({"widths": [8, "x"]}, "best.json: provenance.network.widths"),
        ({"head": 3}, "best.json: provenance.network.head"),
    ],
)
def test_the_sizes_of_an_architecture_are_checked(tmp_path: Path, sizes: dict[str, Any], message: str) -> None:
    path = tmp_path / "best.json"
    member("preset/prnet").save(path, {"network": vars(MultipathConfig()) | sizes, "strategy": "samos"}, {})
    with pytest.raises(UserError, match=message):
        resolve_network(Experiment(), str(path), 1.0)


def test_a_journal_that_is_another_s_is_not_searched_anew(tmp_path: Path) -> None:
    def search(name: str, path: Path, resume: bool) -> object:
        strategy = RandomSearch(SPACE, seed=5, evaluations=3)
        return run_study(strategy, TableEvaluator(SPACE, 1), path, name, resume=resume)

    path = tmp_path / "journal.log"
    search("a", path, False)
    for damage in (
        lambda text: text.partition("\n")[2],
        lambda text: text.replace('"a"', '"b"', 1),
        lambda text: "".join(text.splitlines(keepends=True)[::-1]),
    ):
        whole = path.read_text()
        path.write_text(damage(whole))
        with pytest.raises(UserError, match=r"journal\.log"):
            search("a", path, True)
        path.write_text(whole)
    whole = path.read_text()
    path.write_text(whole.replace("\n", "\r"))
    with pytest.raises(UserError, match=r"line 1 of .*journal\.log is damaged"):
        search("a", path, True)
    for begun in ("", whole[:30], "\0" * 4096):  # as a kill or a crash leaves it
        path.write_text(begun)
        search("a", path, True)
        assert path.read_text().count("\n") == whole.count("\n")
    path.write_text("[" * 100_000 + "\n")
    with pytest.raises(UserError, match=r"line 1 of .*journal\.log is damaged"):
        search("a", path, True)
