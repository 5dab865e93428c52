from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from nasface.data.crops import CropSettings, crop_window
from nasface.data.sets.aflw2000 import find_pairs, load_aflw2000, read_annotation
from nasface.faces.landmarks import bounding_box
from nasface.metrics.aflw2000 import yaw_bin
from nasface.metrics.nme import nme_68
from nasface.utils.errors import UserError

YAWS = (10.0, -47.0, 85.0, -351.0)
DOT = 30  # the landmark that is drawn


def landmarks_of(index: int) -> np.ndarray:
    """Landmarks (68, 3) in 0-based pixels of a 450-pixel photograph; the second face leaves it."""
    rng = np.random.default_rng(index)
    spread = rng.uniform(-1, 1, (68, 3)) * [70 + 10 * index, 90, 40]
    centre = [(225, 225, 0), (40, 400, 0), (300, 120, 5), (225, 200, -30)][index]
    spread[DOT] = 5
    return spread + centre


def write_pair(folder: Path, index: int) -> None:
    points = landmarks_of(index)
    column, row = np.meshgrid(np.arange(450), np.arange(450))
    x, y = points[DOT, :2]
    dot = 255 * np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * 5.0**2))
    cv2.imwrite(
        str(folder / f"image0{index}.jpg"), np.repeat(dot[..., None], 3, axis=2), [cv2.IMWRITE_JPEG_QUALITY, 100]
    )
    stored = (points + [1, 1, 0]).T
    kinds = (np.float32, np.float64)
    content = {
        "pt3d_68": stored.astype(kinds[index % 2]),
        "Pose_Para": np.array([[0.1, np.deg2rad(YAWS[index]), 0, 1, 2, 3, 1e-3]], dtype=kinds[(index + 1) % 2]),
        "pt2d": np.full((2, 23 if index == 1 else 21), -1, dtype=np.int16),
        "Exp_Para": np.zeros((29, 1), dtype=np.uint8),
    }
    savemat(folder / f"image0{index}.mat", content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "AFLW2000"
    place.mkdir()
    for index in range(4):
        write_pair(place, index)
    return place


@pytest.mark.parametrize("size", [64, 120])
def test_the_drawn_landmark_is_where_the_annotation_says(folder: Path, size: int) -> None:
    faces = load_aflw2000(folder, CropSettings(size))
    assert faces.images.shape == (4, size, size, 3)
    for image, landmarks in zip(faces.images, faces.landmarks, strict=True):
        light = np.clip(image[..., 0].astype(float) - 12, 0, None)
        column, row = np.meshgrid(np.arange(size), np.arange(size))
        found = np.array([(light * column).sum(), (light * row).sum()]) / light.sum()
        np.testing.assert_allclose(found, landmarks[DOT, :2], atol=0.05)


def test_the_box_fills_the_crop_as_the_benchmark_has_it(folder: Path) -> None:
    faces = load_aflw2000(folder, CropSettings(100))
    np.testing.assert_allclose(faces.box, bounding_box(faces.landmarks), atol=1e-4)
    np.testing.assert_allclose(faces.box.max(axis=1), 100 / 2**0.5, atol=0.3)
    low, high = faces.landmarks[..., :2].min(axis=1), faces.landmarks[..., :2].max(axis=1)
    np.testing.assert_allclose((low + high) / 2, 49.5, atol=0.4)  # in the middle, to half a pixel of the photograph
    np.testing.assert_allclose(load_aflw2000(folder, CropSettings(100, margin=2.0)).box.max(axis=1), 50, atol=0.3)


def test_the_error_is_the_same_in_the_crop_and_in_the_photograph(folder: Path) -> None:
    faces = load_aflw2000(folder, CropSettings(64))
    noise = np.random.default_rng(5).normal(size=(4, 68, 2))
    in_crop = nme_68(faces.landmarks[..., :2] + noise, faces.landmarks, faces.box)
    originals = np.stack([landmarks_of(index) for index in range(4)])
    scale = np.array([crop_window(points)[1] / 64 for points in originals])[:, None, None]
    in_photograph = nme_68(originals[..., :2] + noise * scale, originals, bounding_box(originals))
    np.testing.assert_allclose(in_crop, in_photograph, rtol=1e-4)


def test_yaw_is_that_of_the_fit_in_degrees_whatever_its_type(folder: Path) -> None:
    faces = load_aflw2000(folder, CropSettings(32))
    np.testing.assert_allclose(faces.yaw, YAWS, atol=1e-3)
    assert yaw_bin(faces.yaw).tolist() == [0, 1, 2, 2]
    assert faces.pose is None and faces.coefficients is None


def test_landmarks_count_pixels_from_zero(folder: Path) -> None:
    landmarks = read_annotation(folder / "image01.mat").landmarks
    expected = landmarks_of(1)
    np.testing.assert_allclose(landmarks[:, :2], expected[:, :2], atol=1e-4)
    np.testing.assert_allclose(landmarks[:, 2], expected[:, 2] - expected[:, 2].mean(), atol=1e-4)


def test_crop_window_by_hand() -> None:
    points = np.zeros((68, 3))
    points[1:, :2] = [100, 50]
    # Longer side 100, 141 pixels wide, centred on (50, 25): pixels -20 .. 120 and -45 .. 95.
    corner, side = crop_window(points)
    assert (corner.tolist(), side) == ([-20, -45], 141)


def test_the_folder_around_it_will_do_and_crops_are_kept(folder: Path, tmp_path: Path) -> None:
    assert [path.name for path in find_pairs(folder.parent)] == [f"image0{index}.jpg" for index in range(4)]
    seen: list[tuple[int, int]] = []
    for _ in range(2):
        faces = load_aflw2000(
            folder.parent, CropSettings(64, cache_dir=tmp_path / "cache", progress=lambda *state: seen.append(state))
        )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    np.testing.assert_array_equal(faces.images, load_aflw2000(folder, CropSettings(64)).images)


def _mat(folder: Path, **content: object) -> None:
    savemat(folder / "image02.mat", content)


_POINTS, _POSE = landmarks_of(2).T, np.zeros((1, 7))


@pytest.mark.parametrize(
    ("break_it", "named"),
    [
        (lambda f: [path.unlink() for path in f.iterdir()] and f.rmdir(), "AFLW2000 does not exist.*cbsr.ia.ac.cn"),
        (lambda f: [path.unlink() for path in f.iterdir()], "holds no .jpg.*cbsr.ia.ac.cn"),
        (lambda f: (f / "image02.mat").unlink(), "image02.jpg has no image02.mat"),
        (lambda f: (f / "image02.jpg").unlink(), "image02.mat has no image"),
        (lambda f: (f / "image02.mat").write_bytes(b""), "image02.mat is not a readable mat"),
        (lambda f: (f / "image02.mat").write_bytes(b"x" * 300), "image02.mat is not a readable mat"),
        (
            lambda f: (f / "image02.mat").write_bytes((f / "image02.mat").read_bytes()[:500]),
            "image02.mat is not a read",
        ),
        (
            lambda f: (f / "image02.jpg").write_bytes((f / "image02.jpg").read_bytes()[:900]),
            "image02.jpg does not decode",
        ),
        (lambda f: _mat(f, Pose_Para=_POSE), "image02.mat has no pt3d_68"),
        (lambda f: _mat(f, pt3d_68=_POINTS), "image02.mat has no Pose_Para"),
        (lambda f: _mat(f, pt3d_68=_POINTS[:, :60], Pose_Para=_POSE), "image02.mat: pt3d_68 is not 3 x 68"),
        (lambda f: _mat(f, pt3d_68=_POINTS * np.nan, Pose_Para=_POSE), "image02.mat: pt3d_68"),
        (lambda f: _mat(f, pt3d_68=_POINTS * 0, Pose_Para=_POSE), "image02.mat: the landmarks"),
        (lambda f: _mat(f, pt3d_68="words", Pose_Para=_POSE), "image02.mat: pt3d_68"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(folder: Path, break_it: object, named: str) -> None:
    break_it(folder)
    with pytest.raises(UserError, match=named) as caught:
        load_aflw2000(folder, CropSettings(32))
    assert "\n" not in str(caught.value)


def test_a_crop_margin_must_be_positive(folder: Path) -> None:
    with pytest.raises(UserError, match="margin"):
        load_aflw2000(folder, CropSettings(32, margin=0.0))


def test_the_real_sample(shared_data: Path) -> None:
    faces = load_aflw2000(shared_data / "aflw2000_sample", CropSettings(64))
    assert np.bincount(yaw_bin(faces.yaw)).tolist() == [36, 33, 32]
    assert np.isfinite(faces.landmarks).all()
    np.testing.assert_allclose(faces.box.max(axis=1), 64 / 2**0.5, atol=0.3)
    assert all(image.std() > 5 for image in faces.images)
