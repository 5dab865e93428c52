"""Photographs from their files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from nasface.utils.errors import UserError
from nasface.utils.images import decode_image


def test_a_photograph_decodes_as_rgb(tmp_path: Path) -> None:
    picture = np.zeros((40, 30, 3), dtype=np.uint8)
    picture[..., 0] = 200  # red
    cv2.imwrite(str(tmp_path / "a.png"), picture[..., ::-1])
    np.testing.assert_array_equal(decode_image(tmp_path / "a.png"), picture)
    cv2.imwrite(str(tmp_path / "grey.png"), picture[..., 0])
    assert decode_image(tmp_path / "grey.png").shape == (40, 30, 3)


def test_a_photograph_that_is_not_whole_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 120, 3), dtype=np.uint8)
    whole = cv2.imencode(".jpg", noise)[1].tobytes()
    for content in (b"", b"no image at all", whole[: len(whole) // 2], whole[:-200], whole[:30]):
        (tmp_path / "face.jpg").write_bytes(content)
        with pytest.raises(UserError, match="face.jpg does not decode"):
            decode_image(tmp_path / "face.jpg")
    with pytest.raises(UserError, match="gone.jpg does not exist"):
        decode_image(tmp_path / "gone.jpg")
