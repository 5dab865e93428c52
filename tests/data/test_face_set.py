from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasface.data.face_set import FaceSet, load_face_set, save_face_set
from nasface.faces.camera import make_pose, project
from nasface.utils.errors import UserError


def make_set(count: int = 4, size: int = 32, full: bool = True) -> FaceSet:
    rng = np.random.default_rng(5)
    return FaceSet(
        name="toy",
        images=rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8),
        landmarks=rng.uniform(0, size, (count, 68, 3)).astype(np.float32),
        yaw=rng.uniform(-90, 90, count).astype(np.float32),
        box=rng.uniform(10, 20, (count, 2)).astype(np.float32),
        pose=make_pose(np.full(count, 8.0), np.zeros((count, 3)), np.full((count, 3), 15.0)) if full else None,
        coefficients=rng.normal(size=(count, 7)).astype(np.float32) if full else None,
    )


def assert_same(a: FaceSet, b: FaceSet) -> None:
    assert a.name == b.name
    for key in ("images", "landmarks", "yaw", "box", "pose", "coefficients", "visible"):
        x, y = getattr(a, key), getattr(b, key)
        assert (x is None) == (y is None)
        if x is not None:
            np.testing.assert_array_equal(x, y)
            assert x.dtype == y.dtype


@pytest.mark.parametrize("full", [True, False])
def test_round_trip_memory_mapped(tmp_path: Path, full: bool) -> None:
    faces = make_set(full=full)
    save_face_set(tmp_path / "set", faces)
    loaded = load_face_set(tmp_path / "set")
    assert_same(faces, loaded)
    assert isinstance(loaded.images, np.memmap)


def test_saving_again_replaces(tmp_path: Path) -> None:
    save_face_set(tmp_path / "set", make_set(4))
    save_face_set(tmp_path / "set", make_set(2, full=False))
    assert len(load_face_set(tmp_path / "set")) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_resized_moves_labels_with_the_image() -> None:
    faces = make_set(size=32)
    small = faces.resized(16)
    assert small.image_size == 16 and small.images.shape == (4, 16, 16, 3)
    np.testing.assert_allclose(
        small.landmarks[..., :2], (faces.landmarks[..., :2] + 0.5) / 2 - 0.5, rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(small.landmarks[..., 2], faces.landmarks[..., 2] / 2, rtol=1e-6)
    np.testing.assert_allclose(small.box, faces.box / 2)
    model = np.random.default_rng(0).normal(size=(9, 3))
    np.testing.assert_allclose(
        project(small.pose, model)[:, :, :2], (project(faces.pose, model)[:, :, :2] + 0.5) / 2 - 0.5, atol=1e-4
    )
    mean_of_blocks = faces.images.reshape(4, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    assert np.abs(small.images - mean_of_blocks).max() <= 1.0
    assert faces.resized(32) is faces


def test_subset_keeps_the_order_asked_for() -> None:
    faces = make_set()
    part = faces.subset([3, 1])
    assert len(part) == 2
    for key in ("images", "landmarks", "yaw", "box", "pose", "coefficients"):
        np.testing.assert_array_equal(getattr(part, key), getattr(faces, key)[[3, 1]])


def test_mismatched_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="landmarks"):
        replace(make_set(), landmarks=np.zeros((3, 68, 3), dtype=np.float32))


@pytest.mark.parametrize("key", ["images", "landmarks", "pose"])
def test_truncated_and_absent_files_are_named(tmp_path: Path, key: str) -> None:
    save_face_set(tmp_path / "set", make_set())
    path = tmp_path / "set" / f"{key}.npy"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=f"{key}.npy"):
        load_face_set(tmp_path / "set")
    path.unlink()
    with pytest.raises(UserError, match=f"{key}.npy does not exist"):
        load_face_set(tmp_path / "set")


def test_array_of_another_shape_is_named(tmp_path: Path) -> None:
    save_face_set(tmp_path / "set", make_set())
    np.save(tmp_path / "set" / "yaw.npy", np.zeros(3, dtype=np.float32))
    with pytest.raises(UserError, match="yaw.npy"):
        load_face_set(tmp_path / "set")


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"format": 99, "name": "x", "arrays": {}})])
def test_damaged_description_is_named(tmp_path: Path, content: str) -> None:
    save_face_set(tmp_path / "set", make_set())
    (tmp_path / "set" / "meta.json").write_text(content)
    with pytest.raises(UserError, match="meta.json"):
        load_face_set(tmp_path / "set")


def test_absent_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        load_face_set(tmp_path / "nowhere")
