"""Readers of sets that have landmarks and no morphable model: .pts, LS3D-W, COFW, AFLW and the plain layout."""

from __future__ import annotations

import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasface.config import DataConfig
from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.data.photographs import Photograph, face_box
from nasface.data.registry import Request
from nasface.data.sets.aflw import load_aflw
from nasface.data.sets.aflw2000 import find_pairs, with_other_points
from nasface.data.sets.aflw_lfpa import load_aflw_lfpa
from nasface.data.sets.cofw import load_cofw
from nasface.data.sets.florence import load_florence, load_scan, rendering_subjects
from nasface.data.sets.ls3d_w import groups_of, load_ls3d_w
from nasface.data.sets.menpo3d import frame_videos, load_menpo3d
from nasface.data.sets.pts import load_pts, read_pts
from nasface.data.sets.threedfaw import load_3dfaw, threedfaw
from nasface.utils.errors import UserError
from nasface.utils.torch7 import load_t7
from tests.data.test_aflw2000 import landmarks_of, write_pair

WIDTH, HEIGHT = 200, 160


def face_points(index: int, count: int = 68, dimensions: int = 2) -> np.ndarray:
    """Landmarks in pixels from 0; the first is the one that is drawn."""
    rng = np.random.default_rng([index, count])
    points = rng.uniform(-1, 1, (count, dimensions)) * ([40, 35, 20][:dimensions])
    points[0] = 5
    return points + [100 + 5 * index, 80, 0][:dimensions]


def _picture(points: np.ndarray) -> np.ndarray:
    column, row = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    light = 255 * np.exp(-((column - points[0, 0]) ** 2 + (row - points[0, 1]) ** 2) / (2 * 3.0**2))
    return np.repeat(light[..., None], 3, axis=2).round().astype(np.uint8)


def draw_points(path: Path, points: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), _picture(points), [cv2.IMWRITE_JPEG_QUALITY, 100])


def _check(faces: FaceSet, truth: list[np.ndarray]) -> None:
    """The drawn landmark is where the label says, and labels are the truth up to the crop's place and scale."""
    assert len(faces) == len(truth)
    for image, landmarks, points in zip(faces.images, faces.landmarks, truth, strict=True):
        light = np.clip(image[..., 0].astype(float) - 12, 0, None)
        column, row = np.meshgrid(np.arange(faces.image_size), np.arange(faces.image_size))
        found = np.array([(light * column).sum(), (light * row).sum()]) / light.sum()
        np.testing.assert_allclose(found, landmarks[0, :2], atol=0.1)
        known = np.isfinite(points[:, 0])
        np.testing.assert_array_equal(np.isfinite(landmarks[:, 0]), known)
        span = np.ptp(points[known, 0])
        ratio = np.ptp(landmarks[known, 0]) / span
        dimensions = points.shape[1]
        moved = landmarks[known, :dimensions] - landmarks[known][0, :dimensions]
        np.testing.assert_allclose(moved, ratio * (points[known] - points[known][0]), atol=1e-2)
        if dimensions == 2:
            assert (landmarks[known, 2] == 0).all()


def _one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


# .pts ----------------------------------------------------------------------------------------------------------------


def write_pts(path: Path, points: np.ndarray) -> None:
    rows = "\n".join(" ".join(f"{value:.4f}" for value in row) for row in points)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"version: 1\nn_points:  {len(points)}\n{{\n{rows}\n}}\n")


def test_pts(tmp_path: Path) -> None:
    truth = [face_points(index) for index in range(3)]
    for index, points in enumerate(truth):
        path = tmp_path / "afw" / f"face{index}{'.png' if index == 1 else '.jpg'}"
        draw_points(path, points)
        write_pts(path.with_suffix(".pts"), points + 1)
    draw_points(tmp_path / "profile.jpg", face_points(9))
    write_pts(tmp_path / "profile.pts", face_points(9, 39) + 1)
    faces = load_pts(tmp_path, CropSettings(96))
    _check(faces, truth)
    assert np.isnan(faces.yaw).all() and faces.pose is None and faces.visible is None
    np.testing.assert_allclose(faces.box.max(axis=1), 96 / 2**0.5, atol=0.5)
    assert load_pts(tmp_path, CropSettings(32), points=39).landmarks.shape == (1, 39, 3)
    _one_line(lambda: load_pts(tmp_path, CropSettings(32), points=49), "300w holds no face")
    seen = [load_pts(tmp_path, CropSettings(32, cache_dir=tmp_path / "cache")).images for _ in range(2)]
    np.testing.assert_array_equal(*seen)


def test_pts_with_depth_keep_it(tmp_path: Path) -> None:
    points = face_points(0, dimensions=3)
    write_pts(tmp_path / "face.pts", points + [1, 1, 0])
    np.testing.assert_allclose(read_pts(tmp_path / "face.pts"), points, atol=1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a readable .pts"),
        ("version: 1\nn_points: 2\n{\n1 2\n}\n", "announces 2 points and holds 1"),
        ("version: 1\nn_points: 2\n{\n1 2\n3 4\n", "between braces"),
        ("version: 1\nn_points: 2\n{\n1 2\n3 x\n}\n", "is not a readable .pts"),
        ("version: 1\nn_points: 2\n{\n1 2\n3\n}\n", "is not a readable .pts"),
        ("version: 1\nn_points: 1\n{\n1 nan\n}\n", "between braces"),
    ],
)
def test_a_bad_pts_is_named(tmp_path: Path, text: str, message: str) -> None:
    draw_points(tmp_path / "face.jpg", face_points(0))
    (tmp_path / "face.pts").write_text(text)
    _one_line(lambda: load_pts(tmp_path, CropSettings(32)), f"face.pts .*{message}|face.pts {message}")


def test_missing_photographs_and_folders_are_named(tmp_path: Path) -> None:
    _one_line(lambda: load_pts(tmp_path / "absent", CropSettings(32)), "absent does not exist")
    _one_line(lambda: load_pts(tmp_path, CropSettings(32)), "holds no .pts files")
    write_pts(tmp_path / "face.pts", face_points(0) + 1)
    _one_line(lambda: load_pts(tmp_path, CropSettings(32)), "face.pts has no face.jpg")
    _one_line(lambda: load_ls3d_w(tmp_path, CropSettings(32)), "holds no .t7 files")


# Torch7 and LS3D-W ---------------------------------------------------------------------------------------------------


def t7_tensor(array: np.ndarray, kind: str = "Float", index: int = 1, strides: tuple[int, ...] | None = None) -> bytes:
    """A torch.FloatTensor as torch7 writes it (File.lua)."""
    code = {"Float": "<f4", "Double": "<f8", "Long": "<i8"}[kind]
    strides = strides or tuple(int(np.prod(array.shape[k + 1 :])) for k in range(array.ndim))

    def head(number: int, name: str) -> bytes:
        return struct.pack("<ii", 4, number) + _text("V 1") + _text(name)

    size = array.ndim
    tensor = struct.pack(f"<i{size}q{size}qq", size, *array.shape, *strides, 1)
    order = "F" if strides[0] == 1 and size == 2 and array.shape[0] > 1 else "C"
    values = array.astype(code).tobytes(order)
    storage = head(index + 1, f"torch.{kind}Storage") + struct.pack("<q", array.size) + values
    return head(index, f"torch.{kind}Tensor") + tensor + storage


def _text(text: str) -> bytes:
    return struct.pack("<i", len(text)) + text.encode()


def _t7_table(pairs: list[tuple[bytes, bytes]], index: int = 100) -> bytes:
    return struct.pack("<iii", 3, index, len(pairs)) + b"".join(key + value for key, value in pairs)


def _t7_number(value: float) -> bytes:
    return struct.pack("<id", 1, value)


@given(st.sampled_from(["Float", "Double", "Long"]), st.integers(1, 4), st.integers(1, 5), st.booleans())
def test_t7_tensors_of_any_type_and_stride(kind: str, rows: int, columns: int, transposed: bool) -> None:
    array = np.arange(rows * columns).reshape(rows, columns) * (0.5 if kind != "Long" else 1)
    strides = (1, rows) if transposed and rows > 1 else None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tensor.t7"
        path.write_bytes(t7_tensor(array, kind, strides=strides))
        np.testing.assert_array_equal(load_t7(path), array)


def test_t7_tables_share_what_is_mentioned_twice(tmp_path: Path) -> None:
    tensor = t7_tensor(np.ones((2, 2)))
    again = struct.pack("<ii", 4, 1)
    name = struct.pack("<i", 2) + _text("name")
    content = _t7_table(
        [(_t7_number(1), tensor), (_t7_number(2), again), (name, struct.pack("<ii", 5, 1)), (_t7_number(3), b"\0" * 4)]
    )
    (tmp_path / "table.t7").write_bytes(content)
    table = load_t7(tmp_path / "table.t7")
    assert table[1] is table[2] and table["name"] is True and table[3] is None


def test_a_bad_t7_is_named(tmp_path: Path) -> None:
    path = tmp_path / "face.t7"
    whole = t7_tensor(np.zeros((68, 2)))
    too_large = struct.pack("<ii", 4, 1) + _text("V 1") + _text("torch.FloatTensor") + struct.pack("<iq", 2**30, 1)
    for content in (b"", whole[:100], whole[:-1], struct.pack("<i", 6), too_large, b"\x80\x04}", _deep()):
        path.write_bytes(content)
        _one_line(lambda: load_t7(path), "face.t7 is not a readable .t7")
    _one_line(lambda: load_t7(tmp_path / "absent.t7"), "absent.t7 does not exist")


def _deep() -> bytes:
    return b"".join(struct.pack("<iii", 3, level, 1) + _t7_number(1) for level in range(1, 200))


def test_ls3d_w(tmp_path: Path) -> None:
    truth = [face_points(index) for index in range(2)]
    for index, points in enumerate(truth):
        path = tmp_path / "300W-Testset-3D" / f"indoor_{index}.png"
        draw_points(path, points)
        content = t7_tensor(points, "Double")
        path.with_suffix(".t7").write_bytes(content if index else _t7_table([(_t7_number(1), content)]))
    faces = load_ls3d_w(tmp_path / "300W-Testset-3D", CropSettings(96))
    _check(faces, truth)
    assert faces.name == "ls3d-w-300W-Testset-3D"
    (tmp_path / "300W-Testset-3D" / "indoor_0.t7").write_bytes(t7_tensor(np.zeros((66, 2))))
    _one_line(lambda: load_ls3d_w(tmp_path, CropSettings(32)), "indoor_0.t7 is not one tensor of 68 x 2")


def test_frames_of_a_video_of_ls3d_w_stay_together(tmp_path: Path) -> None:
    frames = ("Trainset/001/0001", "Trainset/001/0002", "CatA/002/0001")
    for name in (*(f"300VW-3D/{frame}" for frame in frames), "Menpo-3D/a", "Menpo-3D/b"):
        path = tmp_path / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.with_suffix(".t7").touch()
    groups = [Path(group).name for group in groups_of(tmp_path)]
    assert groups == ["002", "001", "001", "a.jpg", "b.jpg"]
    assert len(set(groups_of(tmp_path / "300VW-3D" / "Trainset"))) == 1


def test_aflw2000_with_ls3d_ws_annotations(tmp_path: Path) -> None:
    folder, other = tmp_path / "AFLW2000", tmp_path / "AFLW2000-3D-Reannotated"
    folder.mkdir()
    other.mkdir()
    moved = []
    for index in range(4):
        write_pair(folder, index)
        moved.append(landmarks_of(index)[:, :2] + [7, -3])
        (other / f"image0{index}.t7").write_bytes(t7_tensor(moved[-1], "Double"))
    images, fitted = find_pairs(folder), np.arange(4 * 68 * 3, dtype=np.float32).reshape(4, 68, 3)
    file = tmp_path / "points.npy"
    np.save(file, np.stack([points.T for points in moved]))
    for found in (with_other_points(fitted, other, images), with_other_points(fitted, file, images)):
        np.testing.assert_allclose(found[..., :2], moved, atol=1e-4)
        np.testing.assert_array_equal(found[..., 2], fitted[..., 2])
    np.save(file, np.stack([points.T for points in moved])[:3])
    _one_line(lambda: with_other_points(fitted, file, images), "points.npy is .3, 2, 68., not finite numbers of shape")
    (other / "image02.t7").unlink()
    _one_line(lambda: with_other_points(fitted, other, images), "image02.t7 does not exist")


# COFW ----------------------------------------------------------------------------------------------------------------


def write_cofw(path: Path, truth: list[np.ndarray], occluded: np.ndarray, suffix: str) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as content:
        references = content.create_dataset(f"Is{suffix}", (1, len(truth)), dtype=h5py.ref_dtype)
        for index, points in enumerate(truth):
            image = _picture(points)
            stored = image[..., 0].T if index == 1 else image.transpose(2, 1, 0)
            references[0, index] = content.create_dataset(f"#refs#/{index}", data=stored).ref
        rows = [
            np.concatenate([points[:, 0] + 1, points[:, 1] + 1, flags])
            for points, flags in zip(truth, occluded, strict=True)
        ]
        content[f"phis{suffix}"] = np.stack(rows, axis=1)


def test_cofw(tmp_path: Path) -> None:
    truth = [face_points(index, 29) for index in range(3)]
    occluded = np.random.default_rng(0).uniform(size=(3, 29)) < 0.3
    for split, suffix in (("train", "Tr"), ("test", "T")):
        write_cofw(tmp_path / f"COFW_{split}_color.mat", truth, occluded, suffix)
        faces = load_cofw(tmp_path, split, CropSettings(96))
        _check(faces, truth)
        np.testing.assert_array_equal(faces.visible, ~occluded)
    _one_line(lambda: load_cofw(tmp_path, "val", CropSettings(32)), "unknown split")
    (tmp_path / "COFW_test_color.mat").write_bytes(b"no")
    _one_line(lambda: load_cofw(tmp_path, "test", CropSettings(32)), "COFW_test_color.mat is not COFW's HDF5")
    (tmp_path / "COFW_test_color.mat").unlink()
    _one_line(lambda: load_cofw(tmp_path, "test", CropSettings(32)), "COFW_test_color.mat does not exist")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "COFW_test_color.mat", "w") as content:
        content["IsT"] = np.zeros((1, 2))
    _one_line(lambda: load_cofw(tmp_path, "test", CropSettings(32)), "COFW_test_color.mat is not COFW's HDF5")


def test_cofw_without_h5py_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "COFW_test_color.mat").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    _one_line(lambda: load_cofw(tmp_path, "test", CropSettings(32)), r"nasface\[hdf5\]")


# AFLW ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def aflw(tmp_path: Path) -> Path:
    return write_aflw(tmp_path)


def write_aflw(tmp_path: Path) -> Path:
    """Two crops of which the boxes are (50, 20, 290, 260) and (10, 30, 70, 90): twice and half of 120 pixels."""
    images, configs = tmp_path / "test.data" / "AFLW_GT_crop", tmp_path / "test.configs"
    images.mkdir(parents=True)
    configs.mkdir()
    roi = np.array([[50, 20, 290, 260], [10, 30, 70, 90]], dtype=np.uint16)
    in_crop = np.stack([_aflw_points(index) for index in range(2)])
    for index, points in enumerate(in_crop):
        cv2.imwrite(str(images / f"{index}.jpg"), _picture(points)[:120, :120], [cv2.IMWRITE_JPEG_QUALITY, 100])
    (tmp_path / "test.data" / "AFLW_GT_crop.list").write_text("0.jpg\n1.jpg\n")
    scale = np.array([2.0, 0.5])[:, None, None]
    stored = (in_crop + 1) * scale + roi[:, None, :2]
    stored[1, 5] = [-1, 452]  # as the file has points that are not annotated: only one of the two is -1
    stored[1, 6] = -1
    np.save(configs / "AFLW_GT_pts21.npy", stored.transpose(0, 2, 1).astype(np.float32))
    np.save(configs / "AFLW_GT_crop_yaws.npy", np.array([3.0, -50.0]))
    np.save(configs / "AFLW_GT_crop_roi_box.npy", roi)
    return tmp_path


def _aflw_points(index: int) -> np.ndarray:
    points = np.random.default_rng(index).uniform(20, 100, (21, 2))
    points[0] = 60
    return points


def test_aflw(aflw: Path) -> None:
    faces = load_aflw(aflw, CropSettings(120))
    hidden = np.zeros((2, 21), bool)
    hidden[1, 5:7] = True
    truth = np.stack([_aflw_points(index) for index in range(2)])
    truth[hidden] = np.nan
    _check(faces, list(truth))
    np.testing.assert_allclose(faces.landmarks[..., :2], truth, atol=1e-3)
    np.testing.assert_array_equal(faces.visible, (truth[..., 0] > 0) & ~hidden)
    np.testing.assert_array_equal(faces.yaw, [3, -50])
    np.testing.assert_allclose(faces.box, np.nanmax(truth, axis=1) - np.nanmin(truth, axis=1), atol=1e-3)
    np.testing.assert_allclose(load_aflw(aflw, CropSettings(60)).box, faces.box / 2, atol=1e-3)


def test_aflw_with_the_fitted_points_has_their_box(aflw: Path) -> None:
    fitted = np.zeros((2, 2, 68))
    fitted[:, 0, 1], fitted[:, 1, 1] = 120, 60  # pixels of the photographs: 60 x 30 and 240 x 120 in the crops
    np.save(aflw / "test.configs" / "AFLW_GT_pts68.npy", fitted)
    np.testing.assert_allclose(load_aflw(aflw, CropSettings(120)).box, [[60, 30], [240, 120]], atol=1e-3)


def test_another_image_of_aflw_is_seen(aflw: Path, tmp_path: Path) -> None:
    crops = CropSettings(32, cache_dir=tmp_path / "cache")
    assert load_aflw(aflw, crops).images[0].std() > 0
    path = next(aflw.rglob("0.jpg"))
    cv2.imwrite(str(path), np.full((120, 120, 3), 200, np.uint8))
    assert np.ptp(load_aflw(aflw, crops).images[0].astype(int)) <= 2
    path.unlink()
    _one_line(lambda: load_aflw(aflw, crops), "0.jpg does not exist: restore it")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "test.data" / "AFLW_GT_crop.list").unlink(), "has no AFLW_GT_crop.list"),
        (lambda f: (f / "test.data" / "AFLW_GT_crop.list").write_text(""), "AFLW_GT_crop.list is empty"),
        (lambda f: (f / "test.data" / "AFLW_GT_crop.list").write_text("0.jpg\n"), "AFLW_GT_pts21.npy is"),
        (lambda f: (f / "test.data" / "AFLW_GT_crop" / "1.jpg").unlink(), "1.jpg does not exist"),
        (lambda f: (f / "test.configs" / "AFLW_GT_crop_yaws.npy").unlink(), "has no AFLW_GT_crop_yaws.npy"),
        (lambda f: (f / "test.configs" / "AFLW_GT_crop_yaws.npy").write_bytes(b"x"), "yaws.npy is not a readable"),
        (lambda f: np.save(f / "test.configs" / "AFLW_GT_crop_roi_box.npy", np.zeros((2, 4))), "without extent"),
    ],
)
def test_a_bad_aflw_is_named(aflw: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(aflw)
    _one_line(lambda: load_aflw(aflw, CropSettings(32)), message)


def write_plain(folder: Path, names: list[str], count: int, dimensions: int) -> None:
    """A set in the plain layout, of made-up points."""
    truth = [face_points(index, count, dimensions) for index in range(len(names))]
    for name, points in zip(names, truth, strict=True):
        draw_points(folder / "images" / name, points)
    np.savez(folder / "landmarks.npz", names=np.array(names), landmarks=np.stack(truth))


# The plain layout ----------------------------------------------------------------------------------------------------


def write_plain_set(folder: Path, truth: list[np.ndarray], **more: np.ndarray) -> Path:
    names = [f"video{index // 2}/{index}.jpg" for index in range(len(truth))]
    for name, points in zip(names, truth, strict=True):
        draw_points(folder / "images" / name, points)
    np.savez(folder / "landmarks.npz", names=np.array(names), landmarks=np.stack(truth), **more)
    return folder


def test_menpo3d(tmp_path: Path) -> None:
    truth = [face_points(index, 84, 3) for index in range(3)]
    _check(load_menpo3d(write_plain_set(tmp_path, truth), CropSettings(96)), truth)
    assert frame_videos(tmp_path).tolist() == ["video0", "video0", "video1"]


def test_3dfaw(tmp_path: Path) -> None:
    truth = [face_points(index, 66, 3) for index in range(2)]
    write_plain_set(tmp_path / "val", truth)
    _check(load_3dfaw(tmp_path, "val", CropSettings(96)), truth)
    _one_line(lambda: load_3dfaw(tmp_path, "train", CropSettings(32)), "train/landmarks.npz does not exist")
    _one_line(lambda: load_3dfaw(tmp_path, "all", CropSettings(32)), "unknown split")
    write_plain_set(tmp_path / "val", [points[:, :2] for points in truth])
    _one_line(lambda: load_3dfaw(tmp_path, "val", CropSettings(32)), "two coordinates; those of 3dfaw-val have depth")


def test_a_count_of_3dfaw_is_a_sample_and_the_test_is_whole(tmp_path: Path) -> None:
    for split in ("val", "test"):
        write_plain_set(tmp_path / split, [face_points(index, 66, 3) for index in range(9)])
    config = DataConfig(folders={"3dfaw": str(tmp_path)}, val_count=4, test_count=4, cache=str(tmp_path / "cache"))

    def read(split: str) -> FaceSet:
        return threedfaw(Request("3dfaw", config, split, 32, None, lambda words: lambda done, count: None))

    whole, part = load_3dfaw(tmp_path, "val", CropSettings(32)), read("val")
    assert len(read("test")) == 9 and len(part) == 4
    where = [
        next(i for i, points in enumerate(whole.landmarks) if np.array_equal(points, face)) for face in part.landmarks
    ]
    assert len(set(where)) == 4 and where != [0, 1, 2, 3]
    np.testing.assert_array_equal(part.images[:], whole.images[where])


def test_aflw_lfpa(tmp_path: Path) -> None:
    truth = [face_points(index, 34) for index in range(2)]
    visible = np.ones((2, 34), bool)
    visible[0, 3] = visible[1, 4] = False
    truth[1][4] = np.nan
    folder = write_plain_set(tmp_path, truth, visible=visible, yaw=np.array([1.0, -80.0]))
    faces = load_aflw_lfpa(folder, CropSettings(96))
    _check(faces, truth)
    np.testing.assert_array_equal(faces.visible, visible)
    np.testing.assert_array_equal(faces.yaw, [1, -80])
    write_plain_set(tmp_path, truth)
    _one_line(lambda: load_aflw_lfpa(folder, CropSettings(32)), "has no array 'visible', which aflw-lfpa needs")


def test_florence(tmp_path: Path) -> None:
    truth = [face_points(index, 2) for index in range(3)]
    box = np.tile([60.0, 50.0, 140.0, 110.0], (3, 1))
    folder = write_plain_set(tmp_path, truth, box=box, yaw=np.array([-40.0, 0, 40]))
    faces = load_florence(folder, CropSettings(80))
    side = round(80 * 2**0.5)
    np.testing.assert_allclose(faces.box, [[80 * 80 / side, 60 * 80 / side]] * 3, rtol=1e-5)
    assert rendering_subjects(folder) == ["video0", "video0", "video1"]
    (folder / "scans").mkdir()
    points = np.random.default_rng(0).normal(size=(50, 3))
    np.savez(folder / "scans" / "video0.npz", points=points, eyes=points[:2])
    np.testing.assert_array_equal(load_scan(folder, "video0").points, points)
    _one_line(lambda: load_scan(folder, "video1"), "video1.npz does not exist: see nasface.data.sets.florence")
    for eyes in (points[:2] * np.nan, points[[0, 0]], points[:2] + 1e3):
        np.savez(folder / "scans" / "video1.npz", points=points, eyes=eyes)
        _one_line(lambda: load_scan(folder, "video1"), "video1.npz: its eyes are not two places of its face")
    np.savez(folder / "scans" / "video1.npz", points=points, eyes=points)
    _one_line(lambda: load_scan(folder, "video1"), "video1.npz: points must be")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"names": None}, "has no array 'names'"),
        ({"landmarks": None}, "has no array 'landmarks'"),
        ({"landmarks": np.zeros((2, 84))}, "names must be text and landmarks"),
        ({"landmarks": np.zeros((3, 84, 3))}, "landmarks has shape"),
        ({"landmarks": np.zeros((2, 83, 3))}, "83 landmarks a face; menpo3d has 68 or 84"),
        ({"landmarks": np.zeros((2, 84, 3))}, "has no extent"),
        ({"landmarks": np.full((2, 84, 3), np.nan)}, "has no extent"),
        ({"names": np.array(["video0/0.jpg", "absent.jpg"])}, "absent.jpg does not exist"),
        ({"yaw": np.zeros(3)}, "yaw has shape"),
        ({"visible": np.zeros((2, 5), bool)}, "visible is not"),
        ({"box": np.zeros((2, 4))}, "has no extent"),
        ({"box": np.full((2, 4), np.inf)}, "box must hold finite numbers"),
        ({"landmarks": np.full((2, 84, 3), "x")}, "landmarks must hold finite numbers"),
        ({"landmarks": np.full((2, 84, 3), np.inf)}, "landmarks must hold finite numbers"),
        ({"yaw": np.array(["left", "right"])}, "yaw must hold finite numbers"),
        ({"visible": np.full((2, 84), "yes")}, "visible must hold finite numbers"),
    ],
)
def test_a_bad_plain_layout_is_named(tmp_path: Path, arrays: dict[str, np.ndarray | None], message: str) -> None:
    truth = [face_points(index, 84, 3) for index in range(2)]
    write_plain_set(tmp_path, truth)
    with np.load(tmp_path / "landmarks.npz") as content:
        changed = dict(content) | arrays
    np.savez(tmp_path / "landmarks.npz", **{key: value for key, value in changed.items() if value is not None})
    _one_line(lambda: load_menpo3d(tmp_path, CropSettings(32)), message)


def test_a_damaged_npz_is_named(tmp_path: Path) -> None:
    _one_line(lambda: load_menpo3d(tmp_path, CropSettings(32)), "landmarks.npz does not exist")
    (tmp_path / "landmarks.npz").write_bytes(b"PK no")
    _one_line(lambda: load_menpo3d(tmp_path, CropSettings(32)), "landmarks.npz is not a readable")
    write_plain_set(tmp_path, [face_points(0)])
    _one_line(lambda: load_menpo3d(tmp_path, CropSettings(32, margin=0.0)), "margin")


def test_the_box_of_a_face_by_hand() -> None:
    points = np.array([[3.0, 4.0], [np.nan, np.nan], [8.0, 1.0]])
    assert face_box(Photograph(Path("face.jpg"), points)).tolist() == [3, 1, 8, 4]
    assert face_box(Photograph(Path("face.jpg"), points, box=np.array([0, 0, 2, 2]))).tolist() == [0, 0, 2, 2]
