"""The latency benchmark: every runtime beside the other, from one command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.latency import Candidate, _export, main, measure
from nasface.config import MultipathConfig
from nasface.nets.network import NetworkSpec
from nasface.nets.registry import network_cost
from nasface.utils.errors import UserError

SIZES = ["--network.input_size", "32", "--network.map_size", "32", "--repeats", "1"]


def test_one_row_a_network_and_a_column_a_runtime(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    file = tmp_path / "latency.json"
    names = ["--arch", "absent.json", "--networks", "mobilenet_x05,rhg", "--scale", "0.125"]
    main([*names, *SIZES, "--network.input_size", "36", "--json", str(file)])
    (row,) = json.loads(file.read_text())["rows"]
    assert (row["parameters"], row["macs"]) == network_cost(NetworkSpec("mobilenet_x05", 36, 32, 0.125))
    assert len(row["milliseconds"]) == 4 and all(value > 0 for value in row["milliseconds"])
    said = capsys.readouterr().out
    assert "onnxruntime, all" in said and "rhg: network.input_size 36 must be a multiple of 8" in said


class OneConvolution(Candidate):
    """Costs to count by hand."""

    def make(self) -> torch.nn.Module:
        return torch.nn.Conv2d(3, 4, 3).eval().requires_grad_(False)


def test_latency_is_measured_for_every_runtime(tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    spec = NetworkSpec("one", 8, 8, 1.0)
    candidate = OneConvolution(spec, MultipathConfig(input_size=8, map_size=8))
    assert _export((candidate, "one", tmp_path / "one.onnx")) is None
    row = measure(candidate, tmp_path / "one.onnx", (1,), 1)
    assert row["parameters"] == 112 and row["macs"] == 36 * 108
    assert len(row["milliseconds"]) == 2 and all(value > 0 for value in row["milliseconds"])


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(UserError, match="unknown network 'marble'"):
        main(["--networks", "marble", *SIZES])
