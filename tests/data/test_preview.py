from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from nasface.faces.morphable import load_embedded_head
from nasface.faces.uv import position_map, uv_basis
from nasface.rendering import preview
from nasface.rendering.preview import draw_preview
from nasface.rendering.synthetic import draw_face, face_yaw


@pytest.mark.parametrize(("domain", "pictures"), [("studio", 4), ("wild", 2)])
def test_sheet_has_every_picture(tmp_path: Path, domain: str, pictures: int) -> None:
    draw_preview(tmp_path / "sheet.png", domain, "train", 32, 0, columns=3, rows=2, map_size=16)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    side = preview._CELL
    assert sheet.shape == (2 * pictures * side, 3 * side, 3)
    cells = sheet.reshape(2 * pictures, side, 3, side, 3).swapaxes(1, 2)
    assert (cells.std(axis=(2, 3)).max(axis=2) > 5).all()


def test_faces_are_spread_over_yaw() -> None:
    chosen = preview.spread_over_yaw("studio", "train", 0, 5, 2)
    assert len(np.unique(chosen)) == 10
    yaw = np.vectorize(lambda index: face_yaw(0, "train", index))(chosen)
    np.testing.assert_allclose(yaw, np.tile([-72, -36, 0, 36, 72], (2, 1)), atol=6)


def test_hidden_side_is_red_in_the_image_read_back() -> None:
    index = next(i for i in range(200) if 55 < face_yaw(0, "train", i) < 70)
    face, basis = draw_face(0, "train", index, 64), uv_basis(load_embedded_head(), 32)
    picture = preview._read_back(face, position_map(basis, face.coefficients, face.pose), basis.inside).astype(int)
    red = (picture[..., 0] - picture[..., 2] > 40) & (picture[..., 1] < 64) & basis.inside
    # Positive yaw turns the nose to the image's left: the left half of the chart is hidden.
    assert red[:, :10].sum() > 0.7 * basis.inside[:, :10].sum()
    assert red[:, 22:].sum() < 0.4 * basis.inside[:, 22:].sum()
