"""What a run keeps of its costs."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from nasface.config import Experiment
from nasface.runs.run import Run, open_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return open_run("search", Experiment(runs=str(tmp_path)), "label", resume=False, run_id="r")


def test_the_time_of_an_interrupted_block_counts(run: Run) -> None:
    with pytest.raises(KeyboardInterrupt), run.timed("search_s"):
        time.sleep(0.2)
        raise KeyboardInterrupt
    first = run.read_summary()["costs"]["search_s"]
    assert first >= 0.2
    with run.timed("search_s"):
        time.sleep(0.2)
    assert run.read_summary()["costs"]["search_s"] >= first + 0.2


def test_what_ends_a_block_is_said_though_its_run_is_gone(run: Run) -> None:
    with pytest.raises(ZeroDivisionError), run.timed("search_s"):
        shutil.rmtree(run.folder)
        raise ZeroDivisionError
