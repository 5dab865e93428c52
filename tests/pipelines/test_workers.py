"""Trainings side by side: what their workers hold, and what their errors do."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nasface.config import DataConfig, DeviceConfig, Experiment
from nasface.pipelines.workers import run_side_by_side
from nasface.pipelines.workspace import Workspace, prepare
from nasface.utils.errors import UserError


def about(workspace: Workspace, job: str) -> tuple[str, int, int, int]:
    """A job of a test: what a worker holds."""
    if job == "refuse":
        raise UserError("refused")
    return job, os.getpid(), torch.get_num_threads(), len(workspace.faces.train)


@pytest.fixture
def experiment(cache: Path) -> Experiment:
    data = DataConfig(train_count=6, val_count=3, test_count=3, cache=str(cache))
    return replace(Experiment(), data=data, device=DeviceConfig(accelerator="cpu", threads=1))


def test_a_refused_job_stops_no_other(experiment: Experiment, tmp_path: Path) -> None:
    ended = dict(run_side_by_side(experiment, None, tmp_path / "logs", 2, about, ["a", "refuse", "b"]))
    assert str(ended.pop("refuse").exception()) == "refused"
    results = {job: future.result() for job, future in ended.items()}
    assert {job: result[0] for job, result in results.items()} == {"a": "a", "b": "b"}
    assert all(pid != os.getpid() and threads == 1 and faces == 6 for _, pid, threads, faces in results.values())
    assert list((tmp_path / "logs").glob("worker_*.log"))


def test_what_keeps_a_worker_from_beginning_is_said(experiment: Experiment, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    broken = replace(experiment, data=replace(experiment.data, cache=str(tmp_path / "file" / "cache")))
    ((_, future),) = run_side_by_side(broken, None, tmp_path / "logs", 1, about, ["a"])
    with pytest.raises(UserError, match="cannot write .*file"):
        future.result()


def test_one_worker_computes_as_several_do(experiment: Experiment, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        here = prepare(replace(experiment, device=DeviceConfig(accelerator="cpu")), None)
        ((_, future),) = run_side_by_side(experiment, None, tmp_path / "logs", 1, about, ["a"], here)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert future.result() == ("a", os.getpid(), experiment.device.threads, 6)
