"""The latency benchmark: every runtime beside the other, from one command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import latency
from benchmarks.latency import Subject, least_time, main, measure
from nasface.nets import cost
from nasface.nets.registry import BaselineSpec
from nasface.utils.errors import UserError
from tests.benchmarks.clock import Clock

SIZES = ["--network.input_size", "32", "--network.map_size", "32", "--repeats", "1"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(cost, "time", clock)
    return clock


def test_one_row_a_network_and_a_column_a_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    times = iter((1.5, 2.5, 3.5, 4.5))
    monkeypatch.setattr(latency, "least_time", lambda run, _: next(times) if run() is not None else None)
    file = tmp_path / "latency.json"
    names = ["--arch", "absent.json", "--networks", "mobilenet_x05,rhg", "--scale", "0.125"]
    main([*names, *SIZES, "--network.input_size", "36", "--json", str(file)])
    (row,) = json.loads(file.read_text())["rows"]
    assert (row["parameters"], row["macs"]) == BaselineSpec("mobilenet_x05", 36, 32, 0.125).cost()
    assert row["milliseconds"] == [1.5, 2.5, 3.5, 4.5]
    said = capsys.readouterr().out
    assert "onnxruntime, all" in said and "rhg: network.input_size 36 must be a multiple of 8" in said


def test_trained_networks_are_timed_alone_and_as_they_are_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    outputs: list[int] = []

    def run(call: Callable[[], Any], _: int) -> float:
        found = call()
        outputs.append(1 if isinstance(found, Tensor) else len(found))
        return 1.0

    monkeypatch.setattr(latency, "least_time", run)
    file = tmp_path / "latency.json"
    main(["--weights", "nasface-s", *SIZES, "--json", str(file)])
    assert [row["name"] for row in json.loads(file.read_text())["rows"]] == ["nasface-s", "nasface-s, exported"]
    assert outputs == [1] * 4 + [3] * 4, "a map; landmarks, map and pose"


def test_the_least_time_leaves_out_the_first_two(clock: Clock) -> None:
    seconds = iter((0.001, 0.002, 0.009, 0.007, 0.008))
    assert least_time(lambda: clock.pass_by(next(seconds)), 3) == pytest.approx(7)
    assert next(seconds, None) is None


class Timed(nn.Conv2d):
    """A convolution whose costs can be counted by hand; each thread does its share of 12 ms."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(3, 4, 3)
        self.clock = clock

    def forward(self, image: Tensor) -> Tensor:
        self.clock.pass_by(0.012 / torch.get_num_threads())
        return super().forward(image)


class Runtime:
    """In place of an onnxruntime session; each thread does its share of 6 ms."""

    def __init__(self, clock: Clock, threads: int) -> None:
        self.clock, self.threads = clock, threads

    def run(self, _names: Any, feed: dict[str, np.ndarray]) -> None:
        assert feed["image"].shape == (1, 3, 8, 8) and feed["image"].dtype == np.float32
        self.clock.pass_by(0.006 / self.threads)


def test_every_runtime_is_measured_with_every_number_of_threads(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BaselineSpec, "build", lambda _: Timed(clock))
    monkeypatch.setattr(latency, "onnx_session", lambda _, threads: Runtime(clock, threads))
    subject = Subject(BaselineSpec("one", 8, 8))
    (tmp_path / "one.onnx").touch()
    before = torch.get_num_threads()
    row = measure(subject, tmp_path / "one.onnx", (1, 3), 2)
    assert row["milliseconds"] == pytest.approx([12, 4, 6, 2])
    assert row["parameters"] == 112 and row["macs"] == 36 * 108
    assert torch.get_num_threads() == before
    assert measure(subject, tmp_path / "none.onnx", (1,), 1)["milliseconds"] == [pytest.approx(12), None]


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(UserError, match="unknown network 'marble'"):
        main(["--networks", "marble", *SIZES])
