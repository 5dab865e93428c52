"""Fixtures that every test folder shares."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest

from tests.helpers.tiny import REPOSITORY, Command

if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core: threads beside that only wait for each other
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under `nohup` the programs that tests start would be deaf to it


def pytest_collection_finish() -> None:
    """What the tests' modules hold stays to the end: looking through it again and again takes a tenth of their time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real samples (research data, not part of the repository); skips the test where it is absent."""
    folder = Path(os.environ.get("NASFACE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real samples at {folder} (set NASFACE_SHARED_DATA)")
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rendered faces that all tests share, in whatever process: none of them changes a file of it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def nasface(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    return Command(tmp_path, cache, capsys)
