from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from nasface.faces.morphable import load_embedded_head
from nasface.faces.uv import uv_basis
from nasface.rendering.preview import draw_preview, spread_over_yaw
from nasface.rendering.synthetic import Domain, SyntheticFaces, face_yaw
from nasface.utils.errors import UserError


def sheet(path: Path, faces: SyntheticFaces, pictures: int, map_size: int) -> np.ndarray:
    """The pictures of a contact sheet of three columns, (rows, pictures a face, 3, S, S, RGB)."""
    draw_preview(path, faces, columns=3, map_size=map_size)
    image = cv2.imread(str(path))[..., ::-1]
    side, rows = image.shape[1] // 3, faces.count // 3
    assert image.shape == (rows * pictures * side, 3 * side, 3)
    return image.reshape(rows, pictures, side, 3, side, 3).swapaxes(2, 3)


@pytest.mark.parametrize(("domain", "pictures"), [("studio", 4), ("wild", 2)])
def test_sheet_has_every_picture(tmp_path: Path, domain: Domain, pictures: int) -> None:
    cells = sheet(tmp_path / "sheet.png", SyntheticFaces("train", 6, 32, 0, domain), pictures, 16)
    assert (cells.std(axis=(3, 4)).max(axis=3) > 5).all()


def test_faces_are_spread_over_yaw() -> None:
    chosen = spread_over_yaw(SyntheticFaces("train", 10, 32, 0), 5)
    assert len(np.unique(chosen)) == 10
    yaw = np.vectorize(lambda index: face_yaw(0, "train", index))(chosen)
    np.testing.assert_allclose(yaw, np.tile([-72, -36, 0, 36, 72], (2, 1)), atol=6)


def test_hidden_side_is_red_in_the_image_read_back(tmp_path: Path) -> None:
    """Positive yaw turns the nose to the image's left: the left part of the chart is hidden, the right part is not."""
    size, inside = 32, uv_basis(load_embedded_head(), 32).inside
    cells = sheet(tmp_path / "sheet.png", SyntheticFaces("train", 3, 64, 0), 4, size)
    left, right = slice(0, 10), slice(22, size)
    for column, hidden, seen in ((0, right, left), (2, left, right)):
        picture = cells[0, 3, column]
        step = len(picture) // size
        cell = picture[step // 2 :: step, step // 2 :: step].astype(int)
        red = (cell[..., 0] - cell[..., 2] > 40) & (cell[..., 1] < 64) & inside
        assert red[:, hidden].sum() > 0.7 * inside[:, hidden].sum()
        assert red[:, seen].sum() < 0.4 * inside[:, seen].sum()


def test_maps_of_no_use_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="UV maps of 4 cells"):
        draw_preview(tmp_path / "sheet.png", SyntheticFaces("train", 3, 32, 0), 3, map_size=4)
