from __future__ import annotations

from pathlib import Path

import pytest

from nasface.report.selection import draw_selection

SELECTIONS = [
    {"batch": 3, "fwpdc": 0.5, "vdc": 0.7, "selected": "fwpdc"},
    {"batch": 7, "fwpdc": 0.4, "vdc": 0.3, "selected": "vdc"},
    {"batch": 9, "fwpdc": 0.3, "vdc": 0.2, "selected": "vdc"},
]


def test_errors_and_choices_are_drawn(tmp_path: Path) -> None:
    figure = draw_selection(SELECTIONS, ("fwpdc", "vdc"), tmp_path / "s.png")
    errors, chosen = figure.axes
    assert [list(line.get_ydata()) for line in errors.lines] == [[0.5, 0.4, 0.3], [0.7, 0.3, 0.2]]
    assert [list(line.get_xdata()) for line in chosen.lines] == [[4], [8, 10]]
    assert [list(line.get_ydata()) for line in chosen.lines] == [[0], [1, 1]]
    assert (tmp_path / "s.png").read_bytes()[:4] == b"\x89PNG"


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="no selection"):
        draw_selection([], ("fwpdc", "vdc"))
