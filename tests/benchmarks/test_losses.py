from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.losses import main


def test_both_losses_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--batch", "3", "--map_size", "16", "--repeats", "2", "--json", str(tmp_path / "t.json")]
    monkeypatch.setattr(sys, "argv", ["losses", *arguments])
    main()
    times = json.loads((tmp_path / "t.json").read_text())
    assert times["batch"] == 3 and times["parameters"] == 12 + 102 and 0 < times["points"] <= 256
    assert times["fwpdc"] == pytest.approx(times["wpdc"], rel=1e-4) and times["largest_difference"] < 1e-4
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"embedded_head: {times['points']} points, 114 parameters, batch 3"
    assert [line.split()[0] for line in lines[4:7]] == ["WPDC", "fWPDC", "VDC"]
