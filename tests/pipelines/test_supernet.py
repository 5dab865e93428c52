"""A supernet is taken over from a run with the same training, and from no other."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from nasface.config import Experiment
from nasface.pipelines.supernet import take_supernet
from nasface.runs.run import Run, open_run


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
    run_of(other, "old", b"old", age=50)
    origin = run_of(other, "new", b"new").path("supernet", "supernet.pt")
    assert take_supernet(experiment, mine) == origin
    assert mine.path("supernet", "supernet.pt").read_bytes() == b"new"
    assert mine.read_summary()["supernet_of"] == "new"
    assert take_supernet(experiment, mine) is None, "it has its own now"


def test_a_damaged_run_is_passed_over(tmp_path: Path) -> None:
    experiment = Experiment(runs=str(tmp_path))
    damaged = run_of(experiment, "damaged", b"x")
    damaged.path("experiment.yaml").write_text("a: [")
    assert take_supernet(experiment, run_of(experiment, "mine", None)) is None
