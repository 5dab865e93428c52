"""The dashboard shows a study, and changes none."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from nasface.cli.dashboard import find_run, read_only, storage_of
from nasface.config import Experiment
from nasface.runs.run import open_run
from nasface.search.strategies.random import RandomSearch
from nasface.search.study import run_study
from nasface.space.space import MultipathSpace
from nasface.testing.toy_table import TableEvaluator
from nasface.utils.errors import UserError


def test_only_reading_is_let_through() -> None:
    asked: list[str] = []

    def app(environ: dict, start: object) -> list[bytes]:
        asked.append(environ["REQUEST_METHOD"])
        return [b"shown"]

    answers: list[str] = []
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"):
        read_only(app)({"REQUEST_METHOD": method}, lambda status, headers: answers.append(status))
    assert asked == ["GET", "HEAD"] and answers == ["403 Forbidden"] * 4


def test_a_search_without_a_study_is_told(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run = open_run("search", Experiment(runs=str(tmp_path)), name, False, name)
        run.path("search").mkdir()
    run.path("search", "trainings.jsonl").touch()
    assert find_run(tmp_path, None).name == "one"
    with pytest.raises(UserError, match=r"two has searched by trainings, without a study: see it by `nasface report"):
        storage_of(find_run(tmp_path, "two"))


def test_its_bin_deletes_nothing(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    space = MultipathSpace("toy", 4, 3)
    run_study(RandomSearch(space, evaluations=5), TableEvaluator(space, 1), tmp_path / "s.log", "s")
    before = (tmp_path / "s.log").read_bytes()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["dashboard", "--storage", str(tmp_path / "s.log"), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen([sys.executable, "-m", "nasface", *arguments], env=os.environ)
    try:
        url, end = f"http://127.0.0.1:{port}/api/studies", time.monotonic() + 120
        while True:
            try:
                assert b'"s"' in urllib.request.urlopen(url).read()
                break
            except urllib.error.URLError:
                assert process.poll() is None and time.monotonic() < end
                time.sleep(0.1)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(urllib.request.Request(f"{url}/0", method="DELETE"))
    finally:
        process.terminate()
        process.wait(30)
    assert (tmp_path / "s.log").read_bytes() == before
