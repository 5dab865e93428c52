"""Data sets by name, and which use each of them is for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nasface.config import DataConfig
from nasface.data.face_set import FaceSet
from nasface.data.registry import DATA_SETS, Labels, Request, register_data_set
from nasface.data.sources import check_sets, load_faces
from nasface.testing import check_face_set
from nasface.utils.errors import UserError


def progress_for(name: str):
    return lambda done, total: None


def test_the_known_sets_and_what_each_is_for() -> None:
    sets = {name: DATA_SETS.get(name) for name in DATA_SETS.names()}
    assert {name for name, one in sets.items() if one.trains} == {"synthetic", "ddfa", "w300lp"}
    assert {name for name, one in sets.items() if one.tests} == {"synthetic", "aflw2000"}
    assert sets.keys() > {"aflw", "cofw", "ls3d_w", "300w"}
    for name, one in sets.items():
        assert one.name == name and set(one.splits) <= {"train", "val", "test"}
        assert one.published.startswith("http") or name == "synthetic"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (DataConfig(train="marble"), "unknown data set 'marble'; known are: 300w, aflw, aflw2000, "),
        (DataConfig(test="aflw200"), "did you mean aflw2000"),
        (DataConfig(train="aflw2000"), "data.train cannot be aflw2000 .*no model's.*choose one of ddfa, synthetic"),
        (DataConfig(test="ddfa"), r"data.test cannot be ddfa \(splits: train, val;.*choose one of aflw2000, synthetic"),
        (DataConfig(test="cofw"), "data.test cannot be cofw .*29 points without depth, no yaw"),
        (DataConfig(test="ls3d_w"), "data.test cannot be ls3d_w .*68 points without depth, no yaw"),
    ],
)
def test_a_set_that_does_not_fit_is_one_line(config: DataConfig, words: str) -> None:
    for use in (check_sets, lambda data: load_faces(data, 32, progress_for)):
        with pytest.raises(UserError, match=words) as error:
            use(config)
        assert "\n" not in str(error.value)


def test_folders_are_asked_for() -> None:
    cofw, config = DATA_SETS.get("cofw"), DataConfig()
    with pytest.raises(UserError, match="where is the set cofw. give its folder by --data.folders.cofw"):
        cofw.read(Request("cofw", config, "test", 32, None, progress_for))
    config = replace(config, folders={"cofw": "nowhere"})
    with pytest.raises(UserError, match="nowhere/COFW_test_color.mat does not exist|h5py"):
        cofw.read(Request("cofw", config, "test", 32, None, progress_for))


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
