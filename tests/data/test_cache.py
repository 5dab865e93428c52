"""Decoded photographs in memory and on disk."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from nasface.data import cache
from nasface.data.cache import cached_face_set, fill_images, image_buffer
from nasface.data.face_set import FaceSet
from nasface.utils.errors import UserError


def test_filling_keeps_the_order_and_reports_each() -> None:
    out, seen = np.zeros((1500, 1, 1, 3), dtype=np.uint8), []
    fill_images(
        out, lambda i: np.full((1, 1, 3), i % 251, dtype=np.uint8), lambda done, total: seen.append((done, total))
    )
    np.testing.assert_array_equal(out[:, 0, 0, 0], np.arange(1500) % 251)
    assert seen == [(i + 1, 1500) for i in range(1500)]


def test_a_large_buffer_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "IN_MEMORY", 100)
    with image_buffer(5, 4, tmp_path) as images:
        assert isinstance(images, np.memmap)
        images[:] = 7
    assert images.sum() == 7 * 5 * 48
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "IN_MEMORY", 100)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "posix_fallocate", full)
    with pytest.raises(UserError, match="No space left"), image_buffer(5, 4, tmp_path):
        pass


def small_set() -> FaceSet:
    return FaceSet(
        name="x",
        images=np.full((3, 8, 8, 3), 9, dtype=np.uint8),
        landmarks=np.zeros((3, 68, 3), dtype=np.float32),
        yaw=np.zeros(3, dtype=np.float32),
        box=np.ones((3, 2), dtype=np.float32),
    )


def test_a_damaged_cache_is_built_anew(tmp_path: Path) -> None:
    builds = []

    def build() -> FaceSet:
        builds.append(1)
        return small_set()

    for _ in range(2):
        assert (cached_face_set(tmp_path, "x", build).images == 9).all()
    assert len(builds) == 1
    path = tmp_path / "x" / "images.npy"
    path.write_bytes(path.read_bytes()[:-20])
    assert (cached_face_set(tmp_path, "x", build).images == 9).all()
    assert len(builds) == 2
    cached_face_set(None, "x", build)
    assert len(builds) == 3


def test_two_that_need_a_set_build_it_once(tmp_path: Path) -> None:
    builds, begun = [], threading.Barrier(2)

    def build() -> FaceSet:
        builds.append(1)
        time.sleep(0.3)  # long enough for the other one to find that nothing is there
        return small_set()

    def ask(_: int) -> np.ndarray:
        begun.wait()
        return cached_face_set(tmp_path, "x", build).images

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(ask, range(2)))
    assert len(builds) == 1
    assert all((images == 9).all() for images in found)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
