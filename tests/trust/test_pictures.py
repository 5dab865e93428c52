"""Pictures of every depth and colour model: scaled alike, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasface.utils import images
from nasface.utils.errors import UserError
from nasface.utils.images import decode_image

RAMP = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)


def test_sixteen_bits_are_scaled_as_eight(tmp_path: Path) -> None:
    deep = RAMP.astype(np.uint16) * 257
    for name in ("deep.png", "deep.tif", "deep.pgm"):
        Image.fromarray(deep).save(tmp_path / name)
        np.testing.assert_array_equal(decode_image(tmp_path / name), np.repeat(RAMP[..., None], 3, 2), name)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "1"])
def test_eight_bits_keep_black_and_white(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(np.repeat(np.uint8([[0, 255]]), 2, 0)).convert(mode).save(path)
    assert decode_image(path)[0].tolist() == [[0] * 3, [255] * 3]


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_numbers_without_a_white_are_refused(tmp_path: Path, kind: type) -> None:
    Image.fromarray(RAMP.astype(kind) / kind(2) if kind is np.float32 else RAMP.astype(kind)).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=r"a\.tif does not decode \(its pixels are of the kind"):
        decode_image(tmp_path / "a.tif")


def test_a_picture_too_large_is_named_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    monkeypatch.setattr(images, "MAX_PIXELS", 20)
    with pytest.raises(UserError, match=r"a\.png has more than .* million pixels: make it smaller"):
        decode_image(tmp_path / "a.png")
