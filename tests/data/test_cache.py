from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from nasface.data import cache as module
from nasface.data.cache import cached_face_set, fill_images, image_buffer
from nasface.data.crops import crop_square, resize_image
from nasface.data.face_set import FaceSet
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


def test_a_crop_is_black_outside_the_image() -> None:
    image = np.arange(1, 49, dtype=np.uint8).reshape(4, 4, 3)
    crop = crop_square(image, -1, 2, 4)
    np.testing.assert_array_equal(crop[:2, 1:], image[2:, :3])
    assert not crop[2:].any() and not crop[:, 0].any()
    assert not crop_square(image, 10, 10, 3).any()
    np.testing.assert_array_equal(crop_square(image, 1, 1, 2), image[1:3, 1:3])


def test_shrinking_averages() -> None:
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    image[::2, ::2] = 200
    assert (resize_image(image, 4) == 50).all()
    assert resize_image(image, 8) is image
    assert resize_image(image, 16).shape == (16, 16, 3)


def test_filling_keeps_the_order_and_reports_each() -> None:
    out, seen = np.zeros((1500, 1, 1, 3), dtype=np.uint8), []
    fill_images(
        out, lambda i: np.full((1, 1, 3), i % 251, dtype=np.uint8), lambda done, total: seen.append((done, total))
    )
    np.testing.assert_array_equal(out[:, 0, 0, 0], np.arange(1500) % 251)
    assert seen == [(i + 1, 1500) for i in range(1500)]


def test_a_large_buffer_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IN_MEMORY", 100)
    with image_buffer(5, 4, tmp_path) as images:
        assert isinstance(images, np.memmap)
        images[:] = 7
    assert images.sum() == 7 * 5 * 48
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IN_MEMORY", 100)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "posix_fallocate", full)
    with pytest.raises(UserError, match="No space left"), image_buffer(5, 4, tmp_path):
        pass


def test_a_damaged_cache_is_built_anew(tmp_path: Path) -> None:
    builds = []

    def build() -> FaceSet:
        builds.append(1)
        return FaceSet(
            name="x",
            images=np.full((3, 8, 8, 3), 9, dtype=np.uint8),
            landmarks=np.zeros((3, 68, 3), dtype=np.float32),
            yaw=np.zeros(3, dtype=np.float32),
            box=np.ones((3, 2), dtype=np.float32),
        )

    for _ in range(2):
        assert (cached_face_set(tmp_path, "x", build).images == 9).all()
    assert len(builds) == 1
    path = tmp_path / "x" / "images.npy"
    path.write_bytes(path.read_bytes()[:-20])
    assert (cached_face_set(tmp_path, "x", build).images == 9).all()
    assert len(builds) == 2
    cached_face_set(None, "x", build)
    assert len(builds) == 3
