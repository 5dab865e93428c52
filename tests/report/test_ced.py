from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasface.metrics.ced import ced_curve
from nasface.report.ced import draw_ced

ERRORS = {"coarse": [2.0, 4.0, 4.0, 10.0], "fine": [1.0, 2.0, 3.0, np.nan]}


def test_the_legend_tells_the_best_first() -> None:
    figure = draw_ced(ERRORS, threshold=8)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["fine: AUC 56.2 %, failures 25.0 %", "coarse: AUC 43.8 %, failures 25.0 %"]


def test_the_lines_are_the_curves() -> None:
    axes = draw_ced(ERRORS, threshold=8).axes[0]
    assert axes.get_xlim() == (0, 8) and axes.get_ylim() == (0, 100)
    for line, name in zip(axes.get_lines(), ("fine", "coarse"), strict=True):
        x, y = line.get_data()
        assert x[0] == 0 and x[-1] == 8 and (np.diff(x) >= 0).all() and (np.diff(y) >= 0).all()
        for place in (0.5, 1.7, 3.3, 7.9):
            on_line = y[np.searchsorted(x, place) - 1]
            assert on_line == pytest.approx(100 * ced_curve(ERRORS[name], [place])[0])


def test_curves_that_coincide_are_told_apart() -> None:
    lines = draw_ced({"one": [1.0], "two": [1.0]}).axes[0].get_lines()
    assert lines[0].get_linestyle() != lines[1].get_linestyle()


def test_a_picture_is_saved(tmp_path: Path) -> None:
    draw_ced(ERRORS, tmp_path / "ced.png", title="AFLW2000-3D")
    with Image.open(tmp_path / "ced.png") as image:
        assert image.format == "PNG" and image.width == 840
    assert [path.name for path in tmp_path.iterdir()] == ["ced.png"]


def test_nothing_to_draw() -> None:
    for errors in ({}, {"empty": []}):
        with pytest.raises(ValueError):
            draw_ced(errors)
