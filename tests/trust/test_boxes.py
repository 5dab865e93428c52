"""Boxes and points beyond reason are refused before memory is taken for them, and named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasface.data.crops import CropSettings
from nasface.data.photographs import Photograph, crop_photographs
from nasface.data.position_maps import Moves, square_around
from nasface.data.sets.aflw2000 import read_annotation
from nasface.utils.errors import UserError
from tests.data.test_aflw2000 import write_pair
from tests.helpers.tiny import Command
from tests.inference.world import toy_weights


@pytest.mark.parametrize("box", ["1000,1000,20,20", "-50,-50,40,40", "0,0,1000000,1000000", "1e300,0,5,5", "0,0,5,1e9"])
def test_a_box_is_in_its_image(box: str, nasface: Command) -> None:
    toy_weights(Path("n.pt"))
    Image.new("RGB", (64, 48)).save("a.png")
    result = nasface("predict", "a.png", "--weights", "n.pt", f"--box={box}")
    assert result.code == 2 and "is not in the image of 64 x 48 pixels" in result.line
    assert nasface("predict", "a.png", "--weights", "n.pt", "--box=-10,-10,40,40").code == 0


@pytest.mark.parametrize("scale", [1e6, 1e18, 1e300, 0.0])
@pytest.mark.parametrize("offset", [0.0, 1e7])
def test_points_are_those_of_a_face(scale: float, offset: float, tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(0, 1, (68, 2)) * (scale or 40 * (offset > 0)) + offset
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    face = Photograph(tmp_path / "a.png", points)
    with pytest.raises(UserError, match=r"the face in .*a\.png"):
        crop_photographs("mine", lambda: [face], [tmp_path / "a.png"], CropSettings(32))
    with pytest.raises(UserError, match="the face in AFW/a"):
        square_around(points, Moves(0.0), "AFW/a")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("factor", [1e5, 1j])
def test_a_mat_file_of_points_that_are_none_is_named(tmp_path: Path, factor: complex) -> None:
    from scipy.io import loadmat, savemat

    write_pair(tmp_path, 0)
    path = next(tmp_path.glob("*.mat"))
    content = {key: value for key, value in loadmat(path).items() if not key.startswith("__")}
    savemat(path, content | {"pt3d_68": content["pt3d_68"] * factor})
    with pytest.raises(UserError, match=path.name):
        read_annotation(path)
