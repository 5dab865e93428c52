"""The picture of faces over yaw, at the size of image that the network takes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.faces_figure import main
from nasface.utils.images import decode_image


def test_a_packaged_network_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["faces_figure", "--weights", "nasface-s", "--faces", "3"])
    main()
    said = capsys.readouterr().out
    assert float(said.split()[2]) < 8, "it sees the faces at its own size"
    assert decode_image(tmp_path / "faces.png").shape[0] > 0
