"""The benchmark of batch norm and the HPM block: both ways take their turn on the same maps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import batch_norm as benchmark
from nasface.nets.network import channels_last


@pytest.mark.parametrize("part", benchmark.PARTS)
def test_both_ways_find_the_same(part: str) -> None:
    make, ways = benchmark.PARTS[part]
    module = channels_last(make(12))
    x = torch.randn(4, 12, 5, 5).contiguous(memory_format=torch.channels_last)
    found = [way(module, x) for way in ways]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


def test_a_row_for_every_part_shape_and_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "SHAPES", ((12, 4), (8, 2)))
    monkeypatch.setattr(benchmark, "BLOCKS", ((16, 4),))
    file = tmp_path / "figures.json"
    benchmark.main(["--threads", "1", "--batch", "3", "--json", str(file)])
    rows = json.loads(file.read_text())["rows"]
    places = [(row["threads"], row["part"], row["channels"], row["side"]) for row in rows]
    assert places == [(1, "batch norm", 12, 4), (1, "batch norm", 8, 2), (1, "HPM block", 16, 4)]
    assert all(row["pytorch"] > 0 and row["loops"] > 0 for row in rows)
    printed = capsys.readouterr().out
    assert "4 x 4" in printed
    assert str(file) in printed
