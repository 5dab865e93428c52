"""The benchmark of data: what it counts as a face's time and as waiting, told by a clock that is moved by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks import data
from nasface.config import Experiment
from tests.benchmarks.clock import Clock
from tests.benchmarks.toy import toy_experiment


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(data, "time", clock)
    return clock


def taking(clock: Clock, work: Any, wall: float, busy: float = 0.0) -> Any:
    """`work`, which takes so long."""

    def timed(*arguments: Any, **settings: Any) -> Any:
        clock.pass_by(wall, busy)
        return work(*arguments, **settings)

    return timed


def test_drawing_is_told_from_maps_and_processor_time_from_the_clocks(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "draw_face", taking(clock, data.draw_face, wall=0.5, busy=0.25))
    monkeypatch.setattr(data, "position_map", taking(clock, data.position_map, wall=3.0, busy=1.0))
    rate = data.drawing_rate(16, 4, 2)
    assert (rate.draw, rate.labelled, rate.wall) == (4 / 1, 4 / 2, 4 / 5)  # four faces and one batch of maps
    assert rate.together == pytest.approx(2 * 4 / 5)
    assert (rate.size, rate.processes) == (16, 2) and rate.cpu_ms == pytest.approx((500, 500))


class Batches:
    """A data module whose first batch takes long, as processes that start do, and the others 0.3 s."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def train_dataloader(self) -> Iterator[dict[str, Tensor]]:
        for seconds in (100, 0.3, 0.3, 0.3):
            self.clock.pass_by(seconds)
            yield {"image": torch.zeros(2, 3, 32, 32)}


def test_waiting_is_the_share_of_the_batch(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment: Experiment = toy_experiment(tmp_path)
    monkeypatch.setattr(data, "STILLS", 2)
    monkeypatch.setattr(data, "FaceDataModule", lambda *_: Batches(clock))
    monkeypatch.setattr(data, "prepare_batch", taking(clock, lambda batch, _: batch, 0.1))
    monkeypatch.setattr(data, "uv_loss", taking(clock, data.uv_loss, 0.6))
    step = data.waiting(experiment, 3, tmp_path)
    assert (step.fetch_ms, step.augment_ms, step.train_ms) == pytest.approx((300, 100, 600))
    assert step.share == pytest.approx(0.3)


def test_figures_are_printed_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        data, "drawing_rate", lambda size, count, _: data.DrawingRate(size, 11, 12, 13, count, 2, (14.5, 15.25))
    )
    monkeypatch.setattr(data, "waiting", lambda *_: data.Waiting(3.0, 1.0, 6.0))
    assert data.main(["--experiment", "smoke", "--faces", "17", "--json", str(tmp_path / "figures.json")]) == 0
    printed, figures = capsys.readouterr().out, json.loads((tmp_path / "figures.json").read_text())
    assert [(rate["size"], rate["labelled"]) for rate in figures["rates"]] == [(64, 12), (128, 12), (256, 12)]
    assert figures["step"] == {"fetch_ms": 3.0, "augment_ms": 1.0, "train_ms": 6.0, "waiting": 0.3}
    row = next(line for line in printed.splitlines() if line.startswith("128 x 128"))
    assert row.split()[3:] == ["11", "12", "13", "17", "80", "on", "2", "14.5", "15.2"]
    assert "30.0 % of it waits for data" in printed
