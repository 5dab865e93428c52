"""PostgreSQL, a real server where it is installed: two workers, two restarts, no evaluation twice or lost."""

from __future__ import annotations

import glob
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from nasface.search.patient_database import server_url
from nasface.search.storage import open_storage
from nasface.search.strategy import Outcome, Proposal
from nasface.search.study import StudyResult
from nasface.search.workers import create_shared_study, run_shared
from nasface.utils.errors import UserError
from tests.search.test_workers import PATIENT, check, random_search, table

_FOUND = [shutil.which("initdb"), *sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))]
_BIN = next((Path(path).parent for path in reversed(_FOUND) if path), None)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Callable[[str], None]]]:
    """A server's URL, and what restarts it."""
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    if _BIN is None:
        pytest.skip("PostgreSQL is not installed")
    folder = mkdtemp(prefix="pg-")  # a socket's path must be short
    # The server refuses to run as root.
    user = {"user": "postgres"} if os.getuid() == 0 else {}
    if user:
        shutil.chown(folder, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-p {port} -h 127.0.0.1 -k {folder} -F"

    def control(*words: str) -> None:
        command = [str(_BIN / words[0]), "-D", f"{folder}/data", *words[1:]]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, **user)  # type: ignore[call-overload]

    try:
        control("initdb", "-A", "trust", "-U", "nasface", "--no-sync")
        control("pg_ctl", "start", "-w", "-o", options, "-l", f"{folder}/log")
        url = f"postgresql://nasface:secret@127.0.0.1:{port}/postgres"
        yield url, lambda how: control("pg_ctl", "restart", "-w", "-m", how, "-o", options, "-l", f"{folder}/log")
    finally:
        subprocess.run([str(_BIN / "pg_ctl"), "-D", f"{folder}/data", "-m", "immediate", "stop"], **user, check=False)  # type: ignore[call-overload]
        shutil.rmtree(folder, ignore_errors=True)


def test_two_workers_survive_two_restarts(server: tuple[str, Callable[[str], None]]) -> None:
    url, restart = server
    create_shared_study(random_search(), url, "s")
    results: list[StudyResult] = []
    evaluated: list[str] = []
    scores = table()

    def evaluate(proposal: Proposal) -> Outcome:
        evaluated.append(proposal.architecture.digest)
        time.sleep(0.05)
        return scores(proposal)

    def work() -> None:
        results.append(run_shared(random_search(), evaluate, url, "s", pace=PATIENT))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for count, how in ((4, "fast"), (12, "immediate")):
        until = time.monotonic() + 60
        while len(evaluated) < count and time.monotonic() < until:
            time.sleep(0.01)
        restart(how)
    for thread in threads:
        thread.join(60)
    assert len(results) == 2
    check(url, results[0], 24)
    assert len(evaluated) == len(set(evaluated)) == 24


def test_a_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasface.search.patient_database.find_spec", lambda name: None)
    with (
        pytest.raises(UserError, match=r"needs the package psycopg: pip install 'nasface\[postgres\]'"),
        open_storage("postgresql://host/x"),
    ):
        pass
    monkeypatch.setattr("nasface.search.patient_database.find_spec", lambda name: name == "psycopg" or None)
    assert server_url("postgres://u@h/x") == "postgresql+psycopg://u@h/x"
    assert server_url("mysql://u@h/x") == "mysql://u@h/x"
