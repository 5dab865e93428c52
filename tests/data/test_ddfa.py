from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from nasface.data.crops import CropSettings
from nasface.data.sets import ddfa
from nasface.data.sets.ddfa import load_ddfa, read_split
from nasface.faces.camera import euler_to_matrix
from nasface.faces.ddfa_model import load_ddfa_model, load_keypoint_model, load_whitening
from nasface.faces.uv import position_map, sample_map, uv_basis
from nasface.metrics.nme import nme_68
from nasface.utils.errors import UserError
from tests.faces.ddfa_files import write_assets

COUNT = 6
YAWS = np.array([0.0, 20.0, -45.0, 70.0, -80.0, 5.0])

# The 21 points of AFLW as means of the 68 (3DDFA, benchmark_aflw.py), counted from 1.
AFLW_21 = (
    [[18], [20], [22], [23], [25], [27], [37], [*range(37, 43)], [40], [43], [*range(43, 49)]]
    + [[46], [3], [32], [31], [36], [15], [49], [*range(61, 69)], [55], [9]]
)  # fmt: skip


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assets")
    write_assets(folder)
    return folder


def _raw_parameters(assets: Path, count: int = COUNT) -> np.ndarray:
    rng = np.random.default_rng(1)
    std = load_whitening(assets / "param_mean_std_62d_120x120.pkl").std
    rows = rng.normal(size=(count, 62)) * std * 0.5
    rotation = euler_to_matrix(np.stack([YAWS[:count] * 0 + 5, YAWS[:count], YAWS[:count] * 0], axis=1))
    matrix = np.concatenate([5e-4 * rotation, np.tile([[60.0], [62.0], [-30.0]], (count, 1, 1))], axis=2)
    rows[:, :12] = matrix.reshape(count, 12)
    return rows


def write_set(folder: Path, assets: Path, count: int = COUNT) -> np.ndarray:
    """A small set under its usual names; returns the raw parameters."""
    raw = _raw_parameters(assets, count)
    whitening = load_whitening(assets / "param_mean_std_62d_120x120.pkl")
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(2)
    names = [f"face{index}.jpg" for index in range(count)]
    for name in names:
        picture = cv2.resize(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8), (120, 120))
        cv2.imwrite(str(folder / "images" / name), picture)
    for split in ("train", "val"):
        (folder / f"list.{split}").write_text("\n".join(names) + "\n")
        with (folder / f"param_norm_{split}.pkl").open("wb") as stream:
            pickle.dump(whitening.apply(raw).astype(np.float32), stream)
    shutil.copy(assets / "param_mean_std_62d_120x120.pkl", folder)
    return raw


@pytest.fixture
def data(tmp_path: Path, assets: Path) -> Path:
    write_set(tmp_path / "data", assets)
    return tmp_path / "data"


def test_landmarks_are_3ddfas_own_in_our_pixels(data: Path, assets: Path) -> None:
    faces = load_ddfa(data, assets, "train", CropSettings(60))
    keypoints = load_keypoint_model(assets)
    assert len(faces) == COUNT and faces.image_size == 60
    for row, landmarks, box in zip(_raw_parameters(assets), faces.landmarks, faces.box, strict=True):
        matrix = row[:12].reshape(3, 4)
        points = keypoints.mean + keypoints.basis.astype(np.float64) @ row[12:]
        drawn = points @ matrix[:, :3].T + matrix[:, 3]
        x, y = drawn[:, 0] - 1, 120 - drawn[:, 1]
        expected = np.stack([(x + 0.5) / 2 - 0.5, (y + 0.5) / 2 - 0.5], axis=1)
        np.testing.assert_allclose(landmarks[:, :2], expected, atol=2e-3)
        np.testing.assert_allclose(np.diff(landmarks[:, 2]), np.diff(drawn[:, 2]) / 2, atol=2e-3)
        np.testing.assert_allclose(box, np.ptp(expected, axis=0), atol=2e-3)


def test_pose_coefficients_and_landmarks_agree_on_the_map(data: Path, assets: Path) -> None:
    faces = load_ddfa(data, assets, "val", CropSettings(64))
    basis = uv_basis(load_ddfa_model(assets), 64)
    maps = position_map(basis, faces.coefficients, faces.pose)
    np.testing.assert_allclose(sample_map(maps, basis.landmark_uv), faces.landmarks, atol=2e-3)
    np.testing.assert_allclose(maps[:, 2].mean(axis=(1, 2)), 0.0, atol=2e-3)
    np.testing.assert_allclose(faces.yaw, YAWS, atol=0.05)


def test_images_are_area_averages_in_the_order_of_the_list(data: Path, assets: Path) -> None:
    (data / "list.train").write_text("\n".join(f"face{index}.jpg" for index in reversed(range(COUNT))))
    faces = load_ddfa(data, assets, "train", CropSettings(40))
    for index, image in enumerate(faces.images):
        picture = cv2.imread(str(data / "images" / f"face{COUNT - 1 - index}.jpg"))[..., ::-1]
        expected = picture.reshape(40, 3, 40, 3, 3).mean(axis=(1, 3))
        assert np.abs(image - expected).max() < 2.5  # decoders differ by a grey level or two


def test_the_augmented_release_is_found_by_its_names(tmp_path: Path, assets: Path) -> None:
    raw = write_set(tmp_path / "data", assets)
    folder, configs = tmp_path / "data", tmp_path / "data" / "train.configs"
    configs.mkdir()
    (folder / "images").rename(folder / "train_aug_120x120")
    whitening = {"param_mean": np.full(62, 0.5), "param_std": np.full(62, 2.0)}
    (configs / "param_whitening.pkl").write_bytes(pickle.dumps(whitening))
    (folder / "param_mean_std_62d_120x120.pkl").unlink()
    for split, name in (("train", "param_all_norm.pkl"), ("val", "param_all_norm_val.pkl")):
        (folder / f"list.{split}").rename(configs / f"train_aug_120x120.list.{split}")
        (folder / f"param_norm_{split}.pkl").unlink()
        (configs / name).write_bytes(pickle.dumps((raw - 0.5) / 2.0, protocol=2))
    for split in ("train", "val"):
        np.testing.assert_allclose(read_split(folder, assets, split).parameters, raw, atol=1e-9)
    assert len(load_ddfa(folder, assets, "val", CropSettings(32))) == COUNT


def test_the_decoded_set_is_kept_until_a_source_changes(
    data: Path, assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    first = load_ddfa(
        data,
        assets,
        "train",
        CropSettings(32, cache_dir=tmp_path / "cache", progress=lambda *state: seen.append(state)),
    )
    assert seen == [(index + 1, COUNT) for index in range(COUNT)]
    decoded: list[Path] = []
    decode = ddfa.decode_image
    monkeypatch.setattr(ddfa, "decode_image", lambda path: decoded.append(path) or decode(path))
    again = load_ddfa(data, assets, "train", CropSettings(32, cache_dir=tmp_path / "cache"))
    assert not decoded
    for key in ("images", "landmarks", "pose", "coefficients", "yaw", "box"):
        np.testing.assert_array_equal(getattr(first, key), getattr(again, key))
    load_ddfa(data, assets, "val", CropSettings(32, cache_dir=tmp_path / "cache"))
    load_ddfa(data, assets, "train", CropSettings(16, cache_dir=tmp_path / "cache"))
    assert len(decoded) == 2 * COUNT
    os.utime(data / "param_norm_train.pkl", ns=(1, 1))
    load_ddfa(data, assets, "train", CropSettings(32, cache_dir=tmp_path / "cache"))
    assert len(decoded) == 3 * COUNT
    os.utime(next(data.rglob("face1.jpg")), ns=(1, 1))
    load_ddfa(data, assets, "train", CropSettings(32, cache_dir=tmp_path / "cache"))
    assert len(decoded) == 4 * COUNT


def _drop(name: str) -> object:
    return lambda folder: (folder / name).unlink()


def _put(name: str, content: bytes) -> object:
    return lambda folder: (folder / name).write_bytes(content)


def _cut(name: str) -> object:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-100])


def _rows(change: object) -> object:
    def apply(folder: Path) -> None:
        path = folder / "param_norm_train.pkl"
        path.write_bytes(pickle.dumps(change(pickle.loads(path.read_bytes()))))

    return apply


def _with_nan(rows: np.ndarray) -> np.ndarray:
    rows[3, 20] = np.nan
    return rows


@pytest.mark.parametrize(
    ("break_it", "named"),
    [
        (shutil.rmtree, "data does not exist.*github.com/cleardusk/3DDFA"),
        (_drop("list.train"), "no list of images list.train"),
        (_put("list.train", b"\n\n"), "list.train is empty"),
        (_put("list.train", b"\xff\xfe\x80"), "list.train"),
        (_drop("param_norm_train.pkl"), "no parameter file param_norm_train.pkl"),
        (_cut("param_norm_train.pkl"), "param_norm_train.pkl"),
        (_rows(lambda rows: rows[:-1]), "has 5 rows but .*list.train lists 6"),
        (_rows(lambda rows: rows[:, :61]), r"\(6, 61\), not rows of 62"),
        (_rows(lambda rows: {"a": rows}), "param_norm_train.pkl holds a dict"),
        (_rows(_with_nan), "row 3 .* not finite"),
        (_rows(lambda rows: rows.astype(str)), "param_norm_train.pkl"),
        (_put("param_mean_std_62d_120x120.pkl", b"x"), "param_mean_std_62d_120x120.pkl"),
        (_drop("images/face4.jpg"), "face4.jpg does not exist"),
        (_drop("images/face0.jpg"), "face0.jpg"),
        (_cut("images/face2.jpg"), "face2.jpg does not decode"),
        (_put("images/face5.jpg", b"hello"), "face5.jpg does not decode"),
        (lambda folder: shutil.rmtree(folder / "images"), "no folder of images"),
        (
            lambda folder: cv2.imwrite(str(folder / "images" / "face1.jpg"), np.zeros((90, 120, 3))),
            "face1.jpg is 120 x 90",
        ),
    ],
)
def test_what_is_wrong_is_named_in_one_line(data: Path, assets: Path, break_it: object, named: str) -> None:
    break_it(data)
    with pytest.raises(UserError, match=named) as caught:
        load_ddfa(data, assets, "train", CropSettings(32))
    assert "\n" not in str(caught.value)


def test_a_failed_build_leaves_no_cache(data: Path, assets: Path, tmp_path: Path) -> None:
    (data / "images" / "face2.jpg").write_bytes(b"")
    with pytest.raises(UserError):
        load_ddfa(data, assets, "train", CropSettings(32, cache_dir=tmp_path / "cache"))
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


def test_absent_assets_are_named(data: Path, assets: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="u_base.txt does not exist"):
        load_ddfa(data, tmp_path / "nowhere", "train", CropSettings(32))
    with pytest.raises(UserError, match="unknown split 'test'"):
        load_ddfa(data, assets, "test", CropSettings(32))


def test_the_real_labels_fit_the_annotated_points(shared_data: Path) -> None:
    folder, assets = shared_data / "aflw_120x120", shared_data / "3ddfa"
    assert len(read_split(folder, assets, "train").paths) == 9983
    faces = load_ddfa(folder, assets, "val", CropSettings(120))
    assert len(faces) == 600
    with np.load(folder / "aflw21_val.npz") as annotated:
        points, yaw = annotated["points"].transpose(0, 2, 1), annotated["yaw"]
    fitted = np.stack([faces.landmarks[:, np.array(group) - 1, :2].mean(axis=1) for group in AFLW_21], axis=1)
    # A pixel convention that is off by one would show as a mean offset of a pixel.
    assert np.abs(np.nanmean(fitted - points, axis=(0, 1))).max() < 0.1
    error = 100 * np.nanmean(np.linalg.norm(fitted - points, axis=2), axis=1) / np.sqrt(faces.box.prod(axis=1))
    assert error.mean() < 3.3
    # AFLW's yaw has the other sign or the same, but one of them throughout.
    assert abs(np.corrcoef(faces.yaw, yaw)[0, 1]) > 0.97
    basis = uv_basis(load_ddfa_model(assets), 64)
    few = faces.subset(range(0, 600, 20))
    read = sample_map(position_map(basis, few.coefficients, few.pose), basis.landmark_uv)
    assert nme_68(read, few.landmarks, few.box).max() < 1e-3
