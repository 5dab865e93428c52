from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from nasface.metrics.ced import ced_curve
from nasface.report.ced import draw_ced

ERRORS = {"coarse": [2.0, 4.0, 4.0, 10.0], "fine": [1.0, 2.0, 3.0, np.nan]}


def legend(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_legend_tells_the_best_first() -> None:
    axes = draw_ced({"": ERRORS}, threshold=8).axes[0]
    assert legend(axes) == ["fine: AUC 56.2 %, failures 25.0 %", "coarse: AUC 43.8 %, failures 25.0 %"]


def test_the_lines_are_the_curves() -> None:
    axes = draw_ced({"": ERRORS}, threshold=8).axes[0]
    assert axes.get_xlim() == (0, 8) and axes.get_ylim() == (0, 100)
    for line, name in zip(axes.get_lines(), ("fine", "coarse"), strict=True):
        x, y = line.get_data()
        assert x[0] == 0 and x[-1] == 8 and (np.diff(x) >= 0).all() and (np.diff(y) >= 0).all()
        for place in (0.5, 1.7, 3.3, 7.9):
            on_line = y[np.searchsorted(x, place) - 1]
            assert on_line == pytest.approx(100 * ced_curve(ERRORS[name], [place])[0])


def test_curves_that_coincide_are_told_apart() -> None:
    lines = draw_ced({"": {"one": [1.0], "two": [1.0]}}).axes[0].get_lines()
    assert lines[0].get_linestyle() != lines[1].get_linestyle()


def test_every_protocol_has_a_panel_and_a_network_one_style() -> None:
    """The order of a legend is its panel's; some networks lack some protocols."""
    panels = {
        "2D": ERRORS,
        "3D": {"fine": [7.0, 8.0], "coarse": [1.0, 1.0]},
        "dense": {"coarse": [4.0]},
        "more": ERRORS,
    }
    figure = draw_ced(panels, threshold=8)
    assert [axes.get_title() for axes in figure.axes] == ["2D", "3D", "dense", "more"]
    styles = [
        {line.get_label().split(":")[0]: (line.get_color(), line.get_linestyle()) for line in axes.get_lines()}
        for axes in figure.axes
    ]
    assert [list(panel) for panel in styles] == [["fine", "coarse"], ["coarse", "fine"], ["coarse"], ["fine", "coarse"]]
    assert styles[0] == styles[1] == styles[3] and styles[2].items() <= styles[0].items()
    assert legend(figure.axes[1]) == ["coarse: AUC 87.5 %, failures 0.0 %", "fine: AUC 6.2 %, failures 0.0 %"]
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    for number, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and figure.bbox.y0 <= box.y0
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])


def test_a_picture_is_saved(tmp_path: Path) -> None:
    draw_ced({"AFLW2000-3D": ERRORS}, tmp_path / "ced.png")
    with Image.open(tmp_path / "ced.png") as image:
        assert image.format == "PNG" and image.width == 840
    assert [path.name for path in tmp_path.iterdir()] == ["ced.png"]


def test_nothing_to_draw() -> None:
    for panels in ({}, {"a": {}}, {"a": {"empty": []}}, {"a": ERRORS, "b": {}}):
        with pytest.raises(ValueError):
            draw_ced(panels)
