from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from benchmarks.common import parse
from nasface.config import DataConfig
from nasface.data.crops import CropSettings
from nasface.data.registry import data_set
from nasface.data.sets.w300lp import Selection, choose, face_name, find_images, load_w300lp, photograph_name
from nasface.data.sources import load_faces, read_training
from nasface.faces.bfm import keypoints_of, load_bfm
from nasface.faces.ddfa_model import KeypointModel, load_ddfa_model, load_keypoint_model
from nasface.faces.landmarks import bounding_box
from nasface.faces.morphable import MorphableModel
from nasface.faces.uv import position_map, sample_map, uv_basis
from nasface.utils.errors import UserError
from tests.data.test_aflw2000 import write_pair
from tests.data.w300lp_files import BRIGHT, write_w300lp
from tests.faces.basel_files import write_bfm, write_noneck
from tests.faces.ddfa_files import write_assets
from tests.helpers.tiny import Command

Models = tuple[MorphableModel, KeypointModel]


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assets")
    write_assets(folder)
    return folder


@pytest.fixture(scope="module")
def models(assets: Path) -> Models:
    return load_ddfa_model(assets), load_keypoint_model(assets)


@pytest.fixture
def root(tmp_path: Path, models: Models) -> Path:
    _write(tmp_path / "300W_LP", models)
    return tmp_path / "300W_LP"


def _write(root: Path, models: Models, **more: object) -> dict[str, np.ndarray]:
    return write_w300lp(root, with_mean(models[1]), **more)


def test_landmarks_maps_and_pictures_agree(tmp_path: Path, models: Models) -> None:
    truth = _write(tmp_path, models)
    faces = load_w300lp(tmp_path, *models, CropSettings(96))
    assert len(faces) == 6 and faces.images.shape[1:] == (96, 96, 3)
    model = models[0]
    read = sample_map(position_map(uv_basis(model, 64), faces.coefficients, faces.pose), model.landmark_uv)
    np.testing.assert_allclose(read, faces.landmarks, atol=2e-3)
    for image, points in zip(faces.images, faces.landmarks, strict=True):
        light = np.clip(image[..., 0].astype(float) - 12, 0, None)
        column, row = np.meshgrid(np.arange(96), np.arange(96))
        found = np.array([(light * column).sum(), (light * row).sum()]) / light.sum()
        np.testing.assert_allclose(found, points[BRIGHT, :2], atol=0.06)
    # Up to the crop's scale and place the landmarks are the truth.
    chosen = choose(find_images(tmp_path), "train")
    for path, points, box in zip(chosen, faces.landmarks, faces.box, strict=True):
        expected = truth[f"AFW/{path.stem}"]
        ratio = box[0] / bounding_box(expected)[0]
        np.testing.assert_allclose(points - points[0], ratio * (expected - expected[0]), atol=5e-3)


def test_depth_has_zero_mean_over_the_models_vertices(root: Path, models: Models) -> None:
    faces = load_w300lp(root, *models, CropSettings(64))
    vertices = models[0].vertices(faces.coefficients)
    depth = np.einsum("nj,nvj->nv", faces.pose[:, 2, :3], vertices) + faces.pose[:, 2, 3:]
    np.testing.assert_allclose(depth.mean(axis=1), 0, atol=1e-3)


def test_crops_follow_the_benchmark_and_yaw_the_pose(root: Path, models: Models) -> None:
    faces = load_w300lp(root, *models, CropSettings(100))
    np.testing.assert_allclose(faces.box, bounding_box(faces.landmarks), atol=1e-3)
    np.testing.assert_allclose(faces.box.max(axis=1), 100 / 2**0.5, atol=0.3)
    paths = choose(find_images(root), "train")
    yaw = [loadmat(path.with_suffix(".mat"))["Pose_Para"][0, 1] for path in paths]
    np.testing.assert_allclose(faces.yaw, np.rad2deg(yaw), rtol=1e-5)


def test_no_photograph_is_in_both_splits_and_a_beginning_is_a_sample(tmp_path: Path) -> None:
    images = [Path(f"{s}/{s}_{i}_1_{k}.jpg") for s in ("AFW", "HELEN") for i in range(100) for k in range(3)]
    train, val = choose(images, "train"), choose(images, "val")
    assert sorted(train + val) == sorted(images)
    assert len({photograph_name(path) for path in val}) == 10 and len(val) == 30
    assert not {photograph_name(path) for path in train} & {photograph_name(path) for path in val}
    assert choose(images, "train", 50) == train[:50]
    assert 10 < sum(path.parent.name == "AFW" for path in train[:50]) < 40
    flipped = [Path(str(path).replace("AFW/", "AFW_Flip/")) for path in images[:300]]
    both = choose(images + flipped, "val")
    assert {photograph_name(path) for path in both} == {photograph_name(path) for path in val}
    with pytest.raises(UserError, match="unknown split"):
        choose(images, "test")


def test_faces_of_one_photograph_stay_together() -> None:
    names = ("AFW_134212_1_0", "AFW_134212_2_3", "HELEN_1629243_1_0", "IBUG_image_008_1_3", "LFPW_image_train_0001_2")
    shared = ["AFW_134212", "AFW_134212", "HELEN_1629243", "IBUG_image_008", "LFPW_image_train_0001"]
    assert [photograph_name(Path(f"SET_Flip/{name}.jpg")) for name in names] == [f"SET/{name}" for name in shared]
    images = [Path(f"AFW/AFW_{i}_{face}_{k}.jpg") for i in range(100) for face in (1, 2) for k in range(3)]
    train, val = choose(images, "train"), choose(images, "val")
    assert len(val) == 30 and not {path.stem.split("_")[1] for path in train} & {
        path.stem.split("_")[1] for path in val
    }


def test_flips_are_taken_on_request(root: Path, models: Models) -> None:
    shutil.copytree(root / "AFW", root / "AFW_Flip")
    assert len(load_w300lp(root, *models, CropSettings(32))) == 6
    assert len(find_images(root)) == 8 and len(find_images(root, flipped=True)) == 16
    assert len(load_w300lp(root.parent, *models, CropSettings(32), Selection(count=3))) == 3


def test_crops_are_kept_until_a_file_changes(root: Path, models: Models, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def load() -> None:
        load_w300lp(
            root, *models, CropSettings(32, cache_dir=tmp_path / "cache", progress=lambda *state: seen.append(state))
        )

    load()
    load()
    assert seen == [(i, 6) for i in range(1, 7)]
    path = choose(find_images(root), "train")[0].with_suffix(".mat")
    _edit(path, Exp_Para=np.ones((29, 1)))
    load()
    assert len(seen) == 12


def _edit(path: Path, **changes: object) -> None:
    content = {key: value for key, value in loadmat(path).items() if not key.startswith("__")} | changes
    savemat(path, {key: value for key, value in content.items() if value is not None})


def test_the_wrong_copy_is_recognised(root: Path, models: Models) -> None:
    chosen = choose(find_images(root), "train")
    group = [path for path in chosen if face_name(path) == face_name(chosen[0])]
    mats = [path.with_suffix(".mat") for path in group]
    first = loadmat(mats[0])
    _edit(mats[1], pt2d=first["pt2d"])
    with pytest.warns(UserWarning, match="wrong pt2d"):
        load_w300lp(root, *models, CropSettings(32))
    _edit(mats[1], Pose_Para=first["Pose_Para"])
    with pytest.raises(UserError, match="wrong copy of 300W-LP"):
        load_w300lp(root, *models, CropSettings(32))


def _first(root: Path, suffix: str) -> Path:
    return choose(find_images(root), "train")[0].with_suffix(suffix)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: shutil.rmtree(root), "300W_LP does not exist"),
        (lambda root: shutil.rmtree(root / "AFW"), "holds no .jpg in AFW, HELEN"),
        (lambda root: _first(root, ".mat").unlink(), "jpg has no AFW_"),
        (lambda root: _first(root, ".mat").write_bytes(b""), "is not a readable mat file"),
        (lambda root: _first(root, ".jpg").write_bytes(b"x"), "jpg does not decode"),
        (lambda root: _edit(_first(root, ".mat"), Shape_Para=None), "has no Shape_Para"),
        (lambda root: _edit(_first(root, ".mat"), Exp_Para=np.zeros((10, 1))), "Exp_Para is not 29 finite numbers"),
        (lambda root: _edit(_first(root, ".mat"), Pose_Para=np.zeros((1, 7))), "Pose_Para has the scale 0"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(
    root: Path, models: Models, damage: Callable[[Path], None], message: str
) -> None:
    damage(root)
    with pytest.raises(UserError, match=message) as caught:
        load_w300lp(root, *models, CropSettings(32))
    assert "\n" not in str(caught.value)


def test_an_experiment_searches_and_trains_on_it(
    root: Path, assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aflw = tmp_path / "AFLW2000"
    aflw.mkdir()
    for index in range(3):
        write_pair(aflw, index)
    data = [
        *("--data.train", "w300lp", "--data.w300lp", str(root), "--data.ddfa_assets", str(assets)),
        *("--data.test", "aflw2000", "--data.aflw2000", str(aflw)),
    ]
    monkeypatch.chdir(tmp_path)
    command = Command(tmp_path, tmp_path / "cache", capsys)
    result = command.tiny("search", *data)
    assert result.code == 0, result.errors
    result = command.tiny("retrain", "--arch", "best.json", *data)
    assert result.code == 0, result.errors
    assert [path.name.split("-")[2] for path in sorted((tmp_path / "cache").glob("300w-lp-*"))] == ["train", "val"]


def test_the_papers_experiment_takes_it(root: Path, assets: Path, tmp_path: Path) -> None:
    experiment = parse("", (), ["--experiment", "paper"]).experiment
    assert experiment.data.train == "w300lp"
    data = replace(experiment.data, w300lp=str(root), ddfa_assets=str(assets), cache=str(tmp_path))
    assert experiment.network.input_size == 256
    for split in ("train", "val"):
        read_training(data_set("w300lp", "train"), split, data, 256, lambda name: lambda done, total: None)
    folders = sorted(path.name for path in tmp_path.glob("300w-lp-*"))
    assert [name.split("-")[2:4] for name in folders] == [["train", "256px"], ["val", "256px"]]


@pytest.mark.parametrize("kind", ["BFM.mat", "configs"])
def test_targets_of_the_basel_models(tmp_path: Path, kind: str) -> None:
    """With all modes of the set, and with 3DDFA_V2's: maps, landmarks and the photographs' parameters agree."""
    whole = load_bfm(write_bfm(tmp_path / "face3d"))
    write_noneck(tmp_path / "configs")
    write_w300lp(tmp_path / "300W_LP", with_mean(keypoints_of(whole)))
    for path in sorted((tmp_path / "300W_LP" / "AFW").glob("*.mat")):
        modes = np.random.default_rng(len(path.name)).normal(0, 2e4, (199, 1))
        _edit(path, Shape_Para=modes, Exp_Para=np.full((29, 1), 3e4))
    (tmp_path / "AFLW2000").mkdir()
    write_pair(tmp_path / "AFLW2000", 0)
    config = DataConfig(
        train="w300lp",
        test="aflw2000",
        w300lp=str(tmp_path / "300W_LP"),
        bfm=str(tmp_path / ("face3d/BFM.mat" if kind == "BFM.mat" else "configs")),
        aflw2000=str(tmp_path / "AFLW2000"),
        cache=str(tmp_path / "cache"),
        train_count=2,
        val_count=0,
    )
    faces = load_faces(config, 64, lambda name: lambda done, total: None)
    assert faces.train.coefficients.shape == (2, 228 if kind == "BFM.mat" else 50)
    maps = position_map(uv_basis(faces.model, 64), faces.train.coefficients, faces.train.pose)
    np.testing.assert_allclose(sample_map(maps, faces.model.landmark_uv), faces.train.landmarks, atol=0.3)


def with_mean(keypoints: KeypointModel) -> np.ndarray:
    return np.concatenate([keypoints.mean[..., None], keypoints.basis], axis=-1)


def test_the_real_pair(shared_data: Path) -> None:
    folder = shared_data / "3ddfa"
    model, keypoints = load_ddfa_model(folder), load_keypoint_model(folder)
    for split in ("train", "val"):
        faces = load_w300lp(shared_data / "300w_lp_sample", model, keypoints, CropSettings(128), Selection(split=split))
        assert len(faces) == 1
    assert abs(faces.yaw[0] + 44.0) < 0.1
    # 300-W's own landmarks of the photograph: the inner ones are near the model's (the fit is not perfect).
    points = loadmat(shared_data / "300w_lp_sample" / "IBUG" / "IBUG_image_008_1_0.mat")["pt2d"].T - 1
    ratio = faces.box[0, 0] / bounding_box(points)[0]
    gap = (faces.landmarks[0, 17:, :2] - faces.landmarks[0, 17:, :2].mean(0)) / ratio
    gap -= points[17:] - points[17:].mean(0)
    assert np.linalg.norm(gap, axis=1).mean() < 0.04 * np.sqrt(bounding_box(points).prod())
