"""A supernet is taken over from a run with the same training, and from no other."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from nasface.config import Experiment, LogConfig, SupernetConfig
from nasface.pipelines.supernet import take_supernet, train_supernet
from nasface.runs.run import Run, open_run
from nasface.training.supernet import SupernetTask
from nasface.utils.run_files import settings_file
from tests.benchmarks.toy import toy_workspace


def run_of(experiment: Experiment, name: str, content: bytes | None, age: int = 0) -> Run:
    run = open_run("search", experiment, "m", False, name)
    if content is not None:
        path = run.path("supernet", "supernet.pt")
        path.parent.mkdir()
        path.write_bytes(content)
        os.utime(path, (1e9 - age, 1e9 - age))
    return run


def test_which_supernet_is_taken(tmp_path: Path) -> None:
    experiment = Experiment(runs=str(tmp_path))
    mine = run_of(experiment, "mine", None)
    assert take_supernet(experiment, mine) is None
    run_of(replace(experiment, seed=1), "seed", b"seed")
    run_of(replace(experiment, supernet=replace(experiment.supernet, children=3)), "k", b"k")
    assert take_supernet(experiment, mine) is None

    # What the training does not depend on may differ.
    other = replace(experiment, output="a.json", search=replace(experiment.search, strategy="random"))
    other = replace(other, data=replace(other.data, cache="elsewhere"))
    run_of(other, "old", b"old", age=50)
    origin = run_of(other, "new", b"new").path("supernet", "supernet.pt")
    assert take_supernet(experiment, mine) == origin
    assert mine.path("supernet", "supernet.pt").read_bytes() == b"new"
    assert mine.read_summary()["supernet_of"] == "new"
    assert take_supernet(experiment, mine) is None, "it has its own now"


def test_a_supernet_of_an_earlier_version_is_of_its_children_alone(tmp_path: Path) -> None:
    experiment = Experiment(runs=str(tmp_path), supernet=SupernetConfig(whole=0.0))
    old = run_of(experiment, "old", b"old")
    settings = yaml.safe_load(settings_file(old.folder).read_text())
    del settings["supernet"]["whole"]
    settings_file(old.folder).write_text(yaml.safe_dump(settings))
    assert take_supernet(replace(experiment, supernet=SupernetConfig()), run_of(experiment, "whole", None)) is None
    assert take_supernet(experiment, run_of(experiment, "mine", None)) == old.path("supernet", "supernet.pt")


def test_the_whole_supernet_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = toy_workspace(tmp_path)
    config = replace(workspace.experiment.supernet, whole=0.5, steps=10, children=3)
    experiment = replace(workspace.experiment, supernet=config, log=LogConfig(wandb="off"))
    drawn: list[np.ndarray] = []

    def only_draws(task: SupernetTask, *_: object) -> float:
        drawn.extend(task.sampler.sample(step) for step in range(10))
        raise KeyboardInterrupt

    monkeypatch.setattr("nasface.pipelines.supernet.fit", only_draws)
    with pytest.raises(KeyboardInterrupt):
        train_supernet(replace(workspace, experiment=experiment), Run(tmp_path / "run"))
    assert [len(codes) for codes in drawn] == [1] * 5 + [3] * 5
    assert all((codes > 0).all() for codes in drawn[:5])


def test_a_damaged_run_is_passed_over(tmp_path: Path) -> None:
    experiment = Experiment(runs=str(tmp_path))
    damaged = run_of(experiment, "damaged", b"x")
    damaged.path("experiment.yaml").write_text("a: [")
    assert take_supernet(experiment, run_of(experiment, "mine", None)) is None
