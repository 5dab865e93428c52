from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch

from nasface.report.drawing import architecture_svg, draw_architecture
from nasface.space.catalogue import load_space
from nasface.space.presets import load_preset
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError
from tests.helpers.tiny import Command


def test_one_arrow_a_connection_in_the_operation_s_style() -> None:
    architecture = load_space("multipath_small").random_architecture(np.random.default_rng(0))
    figure = draw_architecture(architecture)
    arrows = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]
    operations = [operation for *_, operation in architecture.connections()]
    assert len(arrows) == len(operations)
    assert sum(arrow.get_linestyle() == "-" for arrow in arrows) == operations.count(2)
    texts = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert f"{len(operations)} connections: {operations.count(2)} HPM, {operations.count(1)} identity" in texts
    assert architecture.digest in texts


@pytest.mark.parametrize(("width", "written"), [(32, True), (None, False), ("32", False), (True, False), (-4, False)])
def test_a_found_width_is_written(width: object, written: bool, nasface: Command, tmp_path: Path) -> None:
    architecture = load_space("multipath_small").random_architecture(np.random.default_rng(0))
    architecture.save(tmp_path / "best.json", {"width": width}, {})
    assert nasface("draw", "--output", "a.svg").code == 0
    assert ("identity, width 32" in (tmp_path / "a.svg").read_text()) == written
    assert "identity, width 32" in architecture_svg(architecture, 32)


def test_dead_ends_are_not_drawn() -> None:
    space = MultipathSpace("small", 3, 2)
    figure = draw_architecture(Architecture(space, (0, 2, 0, 0, 1, 2, 0, 2)))
    arrows = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == 3


def test_everything_lies_inside_the_figure() -> None:
    for space in (MultipathSpace("a_space_with_a_rather_long_name", 2, 1), load_space("multipath")):
        figure = draw_architecture(space.random_architecture(np.random.default_rng(0)))
        axes = figure.axes[0]
        figure.canvas.draw()
        for item in [*axes.texts, *axes.patches, axes.get_legend()]:
            box = item.get_window_extent()
            assert box.x0 >= 0 and box.y0 >= 0
            assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1


def test_files(tmp_path: Path) -> None:
    architecture = load_preset("hrnet")
    draw_architecture(architecture, tmp_path / "a.png")
    image = cv2.imread(str(tmp_path / "a.png"))
    blue = (image[..., 0] > 150) & (image[..., 2] < 80)
    assert blue.sum() > 500
    draw_architecture(architecture, tmp_path / "a.svg")
    draw_architecture(architecture, tmp_path / "b.svg")
    drawn = (tmp_path / "a.svg").read_text()
    assert "<svg" in drawn
    assert not re.search(r"<dc:date>", drawn)
    assert drawn == (tmp_path / "b.svg").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg", "b.svg"]


def test_unknown_format_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.svg"):
        draw_architecture(load_preset("prnet"), tmp_path / "a.gif")
