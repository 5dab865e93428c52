"""Worker processes: results, errors, and the end of a worker or of the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nasface.config import DataConfig, DeviceConfig, Experiment
from nasface.pipelines.workers import run_side_by_side
from nasface.pipelines.workspace import Workspace
from nasface.utils.errors import UserError
from tests.helpers.tiny import REPOSITORY, wait_for_end


def about(workspace: Workspace, job: str) -> tuple[str, int, int, int]:
    """A job of a test: what a worker holds, or an end."""
    if job == "refuse":
        raise UserError("refused")
    if job == "fail":
        raise ZeroDivisionError("failed")
    if job == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "sleep":
        print("asleep")
        time.sleep(600)
    return job, os.getpid(), torch.get_num_threads(), len(workspace.faces.train)


@pytest.fixture
def experiment(cache: Path) -> Experiment:
    data = DataConfig(train_count=6, val_count=3, test_count=3, cache=str(cache))
    return replace(Experiment(), data=data, device=DeviceConfig(accelerator="cpu", threads=1))


def test_a_refused_job_stops_no_other(experiment: Experiment, tmp_path: Path) -> None:
    before = dict(os.environ)
    ended = dict(run_side_by_side(experiment, None, tmp_path / "logs", 2, about, ["a", "refuse", "b"]))
    assert dict(os.environ) == before
    assert str(ended.pop("refuse").exception()) == "refused"
    results = {job: future.result() for job, future in ended.items()}
    assert {job: result[0] for job, result in results.items()} == {"a": "a", "b": "b"}
    assert all(pid != os.getpid() and threads == 1 and faces == 6 for _, pid, threads, faces in results.values())
    assert list((tmp_path / "logs").glob("worker_*.log"))


@pytest.mark.parametrize(
    ("job", "error", "message"),
    [
        ("die", UserError, "a worker was killed, .*worker_.*: press the button, with fewer --workers"),
        ("fail", ZeroDivisionError, "failed"),
    ],
)
def test_what_ends_all(experiment: Experiment, tmp_path: Path, job: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        list(run_side_by_side(experiment, None, tmp_path, 1, about, [job, "sleep"], "press the button"))


def test_workers_end_with_a_killed_parent(experiment: Experiment, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "from pathlib import Path\n"
        "from nasface.config import DataConfig, DeviceConfig, Experiment\n"
        "from dataclasses import replace\n"
        "from nasface.pipelines.workers import run_side_by_side\n"
        "from tests.test_training_workers import about\n"
        "if __name__ == '__main__':\n"
        f"    data = {experiment.data!r}\n"
        "    experiment = replace(Experiment(), data=data, device=DeviceConfig(accelerator='cpu', threads=1))\n"
        f"    list(run_side_by_side(experiment, None, Path({str(tmp_path)!r}), 1, about, ['sleep']))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    parent = subprocess.Popen([sys.executable, str(script)], env=environment, cwd=tmp_path)
    worker = wait_for_worker(tmp_path, parent)
    parent.kill()
    parent.wait(timeout=60)
    wait_for_end(worker, "the worker outlives its parent")


def wait_for_worker(folder: Path, parent: subprocess.Popen[bytes]) -> int:
    """Process id of the worker that says it sleeps."""
    until = time.monotonic() + 120
    while time.monotonic() < until and parent.poll() is None:
        for log in folder.glob("worker_*.log"):
            if "asleep" in log.read_text():
                return int(log.stem.removeprefix("worker_"))
        time.sleep(0.2)
    raise AssertionError(f"no worker began its job (parent: {parent.poll()})")
