"""The benchmark of batch norm: both ways take their turn on the same maps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import batch_norm as benchmark


def test_both_ways_find_the_same() -> None:
    x = torch.randn(4, 12, 5, 5).contiguous(memory_format=torch.channels_last)
    found = [way(nn.BatchNorm2d(12), x) for way in benchmark.WAYS]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


def test_a_row_for_every_shape_and_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "SHAPES", ((12, 4), (8, 2)))
    file = tmp_path / "figures.json"
    benchmark.main(["--threads", "1", "--batch", "3", "--json", str(file)])
    rows = json.loads(file.read_text())["rows"]
    assert [(row["threads"], row["channels"], row["side"]) for row in rows] == [(1, 12, 4), (1, 8, 2)]
    assert all(row["pytorch"] > 0 and row["loops"] > 0 for row in rows)
    printed = capsys.readouterr().out
    assert "4 x 4" in printed
    assert str(file) in printed
