"""The figure of faces: what is drawn, where, and in which order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from nasface.data.face_set import FaceSet
from nasface.evaluation.inference import evaluate_faces
from nasface.evaluation.test_faces import spread_over_yaw
from nasface.faces.drawing import PREDICTED, TRUE, shaded
from nasface.faces.uv import grid_triangles
from nasface.report.faces import draw_results, results_figure
from nasface.report.tables import signed_degrees
from nasface.training.targets.uv import UVTask
from nasface.training.uv_target import UVTarget
from nasface.utils.errors import UserError
from tests.helpers.toy import SIZE, toy_basis, toy_context, toy_faces


def plate(size: int = 40, depth: float = 0.0) -> np.ndarray:
    """A flat 5 x 5 map over the middle half of a `size` image: columns from 10 to 30, rows from 10 to 30."""
    line = np.linspace(size / 4, 3 * size / 4, 5)
    x, y = np.meshgrid(line, line)
    return np.stack([x, y, np.full_like(x, depth)]).astype(np.float32)


def lines_of(figure: Figure, cell: int, colour: str) -> np.ndarray:
    """All points of one colour in a cell, as drawn (not the outlines)."""
    lines = [line for line in figure.axes[cell].lines if to_hex(line.get_color()) == colour]
    dots = [line for line in lines if line.get_linestyle() == "None"]
    (only,) = dots
    return np.stack(only.get_data(), -1)


def test_faces_are_sorted_by_yaw_with_their_own_landmarks_and_errors() -> None:
    faces = toy_faces(3)
    predicted = faces.landmarks + 1
    figure = draw_results(faces.images, predicted, faces.landmarks, None, np.array([1.0, 2.0, 3.0]), faces.yaw)
    order = np.argsort(faces.yaw)
    assert len(figure.axes) == 3
    for cell, face in enumerate(order):
        np.testing.assert_allclose(lines_of(figure, cell, PREDICTED), predicted[face, :, :2])
        np.testing.assert_allclose(lines_of(figure, cell, TRUE), faces.landmarks[face, :, :2])
        assert figure.axes[cell].get_title() == f"{signed_degrees(faces.yaw[face])}  NME {face + 1:.1f} %"
        np.testing.assert_array_equal(figure.axes[cell].images[0].get_array(), faces.images[face])


def test_outlines_join_each_part_and_close_eyes_and_lips() -> None:
    faces = toy_faces(1)
    axes = draw_results(faces.images, faces.landmarks).axes[0]
    outlines = [line.get_xydata() for line in axes.lines if line.get_linestyle() == "-"]
    lengths = sorted(len(line) for line in outlines)
    assert lengths == sorted([17, 5, 5, 4, 5, 7, 7, 13, 9])
    closed = [line for line in outlines if np.array_equal(line[0], line[-1])]
    assert sorted(len(line) for line in closed) == [7, 7, 9, 13]
    assert sum(len(line) for line in outlines) - len(closed) == 68


def test_more_faces_than_columns_go_to_further_rows_without_overlap(tmp_path: Path) -> None:
    faces = toy_faces(5)
    dense = np.repeat(plate(SIZE)[None], 5, 0)
    path = tmp_path / "faces.png"
    figure = draw_results(faces.images, faces.landmarks, dense=dense, yaw=faces.yaw, path=path, columns=2)
    assert len(figure.axes) == 10
    boxes = [axes.get_position() for axes in figure.axes]
    for number, box in enumerate(boxes):
        assert 0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
    with Image.open(path) as image:
        assert image.format == "PNG" and image.width == round(130 * figure.get_size_inches()[0])


def test_dense_shape_covers_its_cells_and_nothing_else() -> None:
    image = np.full((40, 40, 3), 7, np.uint8)
    picture = shaded(image, plate(), opacity=1.0)
    changed = (picture != 7).any(-1)
    side = len(picture) / 40
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    for found in (rows, columns):
        # A pixel of the 40 px image is `side` wide here; its centre stays its centre.
        assert found[0] == pytest.approx((10 + 0.5) * side - 0.5, abs=1)
        assert found[-1] == pytest.approx((30 + 0.5) * side - 0.5, abs=1)
    assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_cells_outside_the_skin_are_left_out() -> None:
    inside = np.ones((5, 5), bool)
    inside[:, 3:] = False
    picture = shaded(np.zeros((40, 40, 3), np.uint8), plate(), inside)
    columns, cell = np.flatnonzero((picture > 0).any((0, 2))), 5 * len(picture) / 40
    skin = (20 + 0.5) * len(picture) / 40 - 0.5  # whose border is smoothed, and loses a cell at most by that
    assert skin - cell - 1 <= columns[-1] <= skin + 1
    nothing = shaded(np.zeros((40, 40, 3), np.uint8), plate(), np.zeros((5, 5), bool))
    assert not nothing.any()


def test_near_is_brighter_than_far() -> None:
    dense = plate()
    dense[2] = np.linspace(-1, 1, 5)[None, :]
    picture = shaded(np.zeros((40, 40, 3), np.uint8), dense, opacity=1.0).astype(int)
    row = picture[len(picture) // 2]
    left, right = row[int(12 * len(picture) / 40)], row[int(28 * len(picture) / 40)]
    assert right.sum() > left.sum() + 100


def test_a_shape_that_is_no_number_leaves_the_photograph() -> None:
    assert (shaded(np.full((40, 40, 3), 9, np.uint8), np.full((3, 5, 5), np.nan, np.float32)) == 9).all()


def test_grid_triangles_cover_each_square_once_and_turn_alike() -> None:
    x, y = np.meshgrid(np.arange(4.0), np.arange(3.0))
    points = np.stack([x, y], -1).reshape(-1, 2)
    triangles = grid_triangles(np.ones((3, 4), bool))
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    assert len(triangles) == 2 * 2 * 3
    assert (area < 0).all() and area.sum() == pytest.approx(-6.0)


def test_spread_over_yaw_takes_both_ends_and_no_face_twice() -> None:
    yaw = np.array([3.0, -80.0, 90.0, 2.0, 45.0, -40.0, 1.0])
    assert spread_over_yaw(yaw, 3).tolist() == [1, 0, 2]
    assert sorted(spread_over_yaw(yaw, 99).tolist()) == list(range(7))
    assert sorted(spread_over_yaw(np.zeros(4), 3).tolist()) == [0, 1, 2]


class Remembering(nn.Module):
    """Stands in for a network whose answer is known: face i is of grey level 20 i, its map the true one."""

    def __init__(self, uv: UVTarget, faces: FaceSet) -> None:
        super().__init__()
        flipped = torch.zeros(len(faces), dtype=torch.bool)
        self.maps = uv.to_units(uv.maps(torch.from_numpy(faces.coefficients), torch.from_numpy(faces.pose), flipped))
        self.some = nn.Parameter(torch.zeros(1))
        self.modes: list[bool] = []

    def forward(self, image: Tensor) -> Tensor:
        self.modes.append(self.training)
        return self.maps[((image.mean((1, 2, 3)) * 128 + 127.5) / 20).round().long()]


def test_results_figure_draws_what_the_network_finds(tmp_path: Path) -> None:
    faces, uv = toy_faces(9), UVTarget(toy_basis(), SIZE)
    levels = np.broadcast_to(20 * np.arange(9, dtype=np.uint8)[:, None, None, None], faces.images.shape)
    faces = replace(faces, images=np.array(levels))
    network = Remembering(uv, faces)
    task = UVTask(network, toy_context(uv=uv)).train()
    figure = results_figure(evaluate_faces(task, faces, spread=4, batch=3).spread, tmp_path / "faces.png")
    assert network.training and network.modes == [False] * 5, "three batches of nine, and twice what is shown"
    assert (tmp_path / "faces.png").exists() and len(figure.axes) == 8
    for number, face in enumerate(sorted(spread_over_yaw(faces.yaw, 4), key=lambda index: faces.yaw[index])):
        photograph = 2 * number
        np.testing.assert_allclose(lines_of(figure, photograph, PREDICTED), faces.landmarks[face, :, :2], atol=1e-2)
        np.testing.assert_allclose(lines_of(figure, photograph, TRUE), faces.landmarks[face, :, :2])
        assert figure.axes[photograph].get_title().endswith("NME 0.0 %")


def test_problems_are_named(tmp_path: Path) -> None:
    faces = toy_faces(2)
    with pytest.raises(ValueError, match="true is of 1 faces, images of 2"):
        draw_results(faces.images, faces.landmarks, faces.landmarks[:1])
    with pytest.raises(ValueError, match="no face"):
        draw_results(faces.images[:0], faces.landmarks[:0])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError):
        draw_results(faces.images, faces.landmarks, path=tmp_path / "file" / "faces.png")
