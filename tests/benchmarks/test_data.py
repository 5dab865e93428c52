from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import data


def test_figures_are_printed_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(data, "SIZES", (16,))
    monkeypatch.setattr(
        data, "build_synthetic", lambda cache, split, count, *a, **k: original(cache, split, 4, *a, **k)
    )
    small = ["--experiment", "smoke", "--faces", "3", "--steps", "1", "--retrain.batch_size", "2"]
    assert data.main([*small, "--json", str(tmp_path / "figures.json")]) == 0
    printed, figures = capsys.readouterr().out, json.loads((tmp_path / "figures.json").read_text())
    rate, step = figures["rates"][0], figures["step"]
    assert rate["size"] == 16 and rate["draw"] >= rate["labelled"] > 0
    assert rate["wall"] > 0 and rate["together"] > 0 and len(rate["cpu_ms"]) == rate["processes"] >= 1
    whole = step["fetch_ms"] + step["augment_ms"] + step["train_ms"]
    assert step["waiting"] == pytest.approx(step["fetch_ms"] / whole)
    assert "16 x 16" in printed and "CPU ms a face" in printed and "waits for data" in printed


original = data.build_synthetic
