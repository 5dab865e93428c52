"""metrics.csv of a training and of a search: the same after an interruption as without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl

from nasface.runs.metrics import FILE, RunMetrics, read_metrics
from nasface.tracking.training_metrics import TrainingMetrics
from nasface.training import face_task
from tests.training.toy_training import STEPS, train


class _End(pl.Callback):
    """Ends a training after a step, as a full disk would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("ended")


@pytest.mark.parametrize(("kind", "end", "accumulate"), [("network", 5, 1), ("network", 1, 2), ("supernet", 3, 1)])
def test_an_interrupted_training_leaves_the_file_of_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, end: int, accumulate: int
) -> None:
    monkeypatch.setattr(face_task, "LOG_EVERY", 1)
    whole, ended = tmp_path / "whole", tmp_path / "ended"
    train(kind, whole / "training", accumulate=accumulate, callbacks=[TrainingMetrics(whole)])
    with pytest.raises(RuntimeError, match="ended"):
        train(kind, ended / "training", accumulate=accumulate, callbacks=[TrainingMetrics(ended), _End(end)])
    before = read_metrics(ended)
    train(kind, ended / "training", accumulate=accumulate, callbacks=[TrainingMetrics(ended)])
    assert (ended / FILE).read_bytes() == (whole / FILE).read_bytes()
    found = read_metrics(ended)
    loss = found["supernet/loss" if kind == "supernet" else "train/loss"]
    assert loss[0] == list(range(1, STEPS + 1)) and before
    assert "val/nme" not in found if kind == "supernet" else found["val/nme"][0] == [2, 4, 6]


def test_losses_are_sparse_and_end_with_the_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_task, "LOG_EVERY", 4)
    train("network", tmp_path / "training", callbacks=[TrainingMetrics(tmp_path)])
    assert read_metrics(tmp_path)["train/loss"][0] == [4, STEPS]


def test_a_search_that_begins_again_replaces_its_own(tmp_path: Path) -> None:
    RunMetrics(tmp_path, "test/").log_metrics({"test/nme": 3.0}, 7)
    for _ in range(2):
        log = RunMetrics(tmp_path, "search/")
        log.log_metrics({"search/penalty": 5.0}, 0)
        log.log_metrics({"search/penalty": 4.0, "search/bound": float("inf")}, 1)
    assert read_metrics(tmp_path) == {"test/nme": ([7], [3.0]), "search/penalty": ([0, 1], [5.0, 4.0])}
