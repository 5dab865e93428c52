"""Data sets by name, and which use each of them is for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasface.config import DataConfig
from nasface.data.face_set import FaceSet
from nasface.data.registry import DATA_SETS, Labels, Request, register_data_set
from nasface.data.sources import check_sets, load_faces
from nasface.faces.ddfa_model import load_keypoint_model
from nasface.testing import check_face_set
from nasface.utils.errors import UserError
from tests.data.test_aflw2000 import write_pair
from tests.data.test_ddfa import write_set
from tests.data.test_landmark_sets import (
    draw_points,
    face_points,
    t7_tensor,
    write_aflw,
    write_cofw,
    write_plain,
    write_pts,
)
from tests.data.test_w300lp import with_mean
from tests.data.w300lp_files import write_w300lp
from tests.faces.ddfa_files import write_assets


def progress_for(name: str):
    return lambda done, total: None


def test_the_known_sets_and_what_each_is_for() -> None:
    sets = {name: DATA_SETS.get(name) for name in DATA_SETS.names()}
    modelled = {"synthetic", "ddfa", "w300lp", "w300lp_flip"}
    others = {"3dfaw", "aflw2000", "aflw", "cofw", "ls3d_w", "300w", "menpo2d", "menpo3d", "pts"}
    known = {name: sets[name] for name in modelled | others}  # one may have added its own
    assert {name for name, one in known.items() if one.trains("model")} == modelled
    assert {name for name, one in known.items() if one.trains("depth")} == modelled | {"3dfaw"}
    assert known.keys() - {name for name, one in known.items() if one.trains()} == {"aflw2000"}
    assert known.keys() - {name for name, one in known.items() if one.tests} == modelled - {"synthetic"}
    for name, one in sets.items():
        assert one.name == name and set(one.splits) <= {"train", "val", "test", "all"}
        assert one.published.startswith("http") or name == "synthetic"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (DataConfig(train="marble"), "unknown data set 'marble'; known are: 300w, 3dfaw, aflw, "),
        (DataConfig(test="aflw200"), "did you mean aflw2000"),
        (DataConfig(train="aflw2000"), "data.train cannot be aflw2000 .*no model's.*choose one of 300w, 3dfaw, "),
        (DataConfig(test="ddfa"), r"data.test cannot be ddfa \(splits: train, val;.*choose one of 300w, 3dfaw, aflw"),
        (DataConfig(train=["synthetic", "marble:2"]), "unknown data set 'marble'"),
        (DataConfig(train=["synthetic:half"]), "data.train: 'synthetic:half' is no set and share"),
        (DataConfig(train=["synthetic:0"]), "is no set and share"),
        (DataConfig(train=["synthetic:1", "pts:0.0005"]), "pts has a share of 0.0005, too little"),
        (DataConfig(train=["pts", "pts"]), "or one twice"),
        (DataConfig(train=[]), "data.train names no set"),
        (DataConfig(train="pts"), "data.test synthetic goes with data.train synthetic only"),
        (DataConfig(train=["pts", "aflw"], test="pts"), "data.test pts is trained on, and has no split of its own"),
    ],
)
def test_a_set_that_does_not_fit_is_one_line(config: DataConfig, words: str) -> None:
    for use in (lambda data: check_sets(data, "points"), lambda data: load_faces(data, 32, progress_for)):
        with pytest.raises(UserError, match=words) as error:
            use(config)
        assert "\n" not in str(error.value)


def test_a_training_that_needs_more_than_a_set_has_is_one_line() -> None:
    config = DataConfig(train=["synthetic", "3dfaw"], test="aflw2000")
    check_sets(config, "depth")
    with pytest.raises(UserError, match="cannot be 3dfaw .*66 points with depth.*training faces with a model's pose"):
        check_sets(config)
    with pytest.raises(UserError, match="cannot be cofw .*29 points without depth.*faces with points that have depth"):
        check_sets(DataConfig(train="cofw", test="aflw2000"), "depth")


def test_folders_are_asked_for() -> None:
    cofw, config = DATA_SETS.get("cofw"), DataConfig()
    with pytest.raises(UserError, match="where is the set cofw. give its folder by --data.folders.cofw"):
        cofw.read(Request("cofw", config, "test", 32, None, progress_for))
    for folders, also in (({"coff": "nowhere"}, "data.folders.cofw; coff is no set$"), ({"pts": "x"}, "folders.cofw$")):
        with pytest.raises(UserError, match=also):
            cofw.read(Request("cofw", replace(config, folders=folders), "test", 32, None, progress_for))
    config = replace(config, folders={"cofw": "nowhere"})
    with pytest.raises(UserError, match="nowhere/COFW_test_color.mat does not exist|h5py"):
        cofw.read(Request("cofw", config, "test", 32, None, progress_for))


def synthetic(folder: Path) -> DataConfig:
    return DataConfig(train_count=2, val_count=1, test_count=2)


def ddfa(folder: Path) -> DataConfig:
    write_assets(folder / "assets")
    write_set(folder / "set", folder / "assets")
    return DataConfig(ddfa=str(folder / "set"), ddfa_assets=str(folder / "assets"))


def w300lp(folder: Path) -> DataConfig:
    write_assets(folder / "assets")
    write_w300lp(folder / "set", with_mean(load_keypoint_model(folder / "assets")))
    return DataConfig(w300lp=str(folder / "set"), ddfa_assets=str(folder / "assets"))


def aflw2000(folder: Path) -> DataConfig:
    for index in range(3):
        write_pair(folder, index)
    return DataConfig(aflw2000=str(folder))


def aflw(folder: Path) -> DataConfig:
    return DataConfig(folders={"aflw": str(write_aflw(folder))})


def cofw(folder: Path) -> DataConfig:
    for split, suffix in (("train", "Tr"), ("test", "T")):
        path = folder / f"COFW_{split}_color.mat"
        write_cofw(path, [face_points(index, 29) for index in range(2)], np.zeros((2, 29)), suffix)
    return DataConfig(folders={"cofw": str(folder)})


def ls3d_w(folder: Path) -> DataConfig:
    draw_points(folder / "face.png", face_points(0))
    (folder / "face.t7").write_bytes(t7_tensor(face_points(0)))
    return DataConfig(folders={"ls3d_w": str(folder)})


def w300(folder: Path) -> DataConfig:
    for place in ("helen/trainset", "lfpw/trainset", "afw", "helen/testset", "lfpw/testset", "ibug"):
        _pts_face(folder / place, "face")
    return DataConfig(folders={"300w": str(folder)})


def pts(folder: Path, name: str = "pts", count: int = 1) -> DataConfig:
    for index in range(count):
        _pts_face(folder, f"face{index:02d}")
    return DataConfig(folders={name: str(folder)})


def _pts_face(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draw_points(folder / f"{name}.jpg", face_points(0))
    write_pts(folder / f"{name}.pts", face_points(0) + 1)


def menpo3d(folder: Path) -> DataConfig:
    write_plain(folder, [f"{video}/{frame}.png" for video in "ab" for frame in range(2)], 84, 3)
    return DataConfig(folders={"menpo3d": str(folder)})


def threedfaw(folder: Path) -> DataConfig:
    for split in ("train", "val", "test"):
        write_plain(folder / split, ["0.png", "1.png"], 66, 3)
    return DataConfig(folders={"3dfaw": str(folder)})


# Each writes the files of a set, made up, into a folder.
MADE = {make.__name__: make for make in (synthetic, ddfa, w300lp, aflw2000, aflw, cofw, ls3d_w, pts, menpo3d)} | {
    "300w": w300,
    "3dfaw": threedfaw,
    "menpo2d": lambda folder: pts(folder, "menpo2d"),
    "w300lp_flip": w300lp,
}


@pytest.mark.parametrize("name", DATA_SETS.names())
def test_every_set_keeps_the_contract(name: str, tmp_path: Path) -> None:
    assert name in MADE, f"give {__name__}.MADE a function that writes files of {name}"
    config, registered = MADE[name](tmp_path), DATA_SETS.get(name)
    config = replace(config, cache=str(tmp_path / "cache"))
    for split in registered.splits:
        model = registered.model(config) if registered.model else None
        check_face_set(name, registered.read(Request(name, config, split, 32, model, progress_for)))


def test_an_own_set(tmp_path) -> None:
    with DATA_SETS.scope():

        @register_data_set("mine", splits=("test",), labels=Labels(depth=True), published="https://example.org")
        def mine(request: Request) -> FaceSet:
            assert request.folder == "data/mine" and request.model is None
            size, count = request.image_size, request.count
            return FaceSet(
                "mine",
                images=np.zeros((count, size, size, 3), np.uint8),
                landmarks=np.zeros((count, 68, 3), np.float32),
                yaw=np.zeros(count, np.float32),
                box=np.ones((count, 2), np.float32),
            )

        config = DataConfig(test="mine", cache=str(tmp_path), train_count=2, val_count=1, test_count=3)
        faces = load_faces(replace(config, folders={"mine": "data/mine"}), 32, progress_for)
        assert (len(faces.train), len(faces.val), len(faces.test), faces.test.name) == (2, 1, 3, "mine")
        check_face_set("synthetic", faces.train)
        with pytest.raises(AssertionError, match="points without depth"):
            check_face_set("mine", faces.test)
        with pytest.raises(ValueError, match="data set name 'mine' is taken by tests.data.test_registry"):
            register_data_set("mine", splits=(), labels=Labels())(mine)
