"""The networks that come with the program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nasface
from nasface.config import DataConfig
from nasface.faces.morphable import load_embedded_head
from nasface.inference.packaged import FOLDER, PACKAGED, find_weights
from nasface.inference.trained import load_task
from nasface.utils.errors import UserError


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_network_finds_the_face_it_was_trained_on(name: str) -> None:
    trained = load_task(name)
    assert trained.record["model"] == load_embedded_head().name and trained.record["folder"] == ""
    assert trained.record["experiment"]["data"]["train"] == "synthetic"
    assert trained.record["experiment"]["data"]["cache"] == DataConfig.cache, "no path of the machine that made it"
    aligner = nasface.load(name, detector=lambda image: [])
    (face,) = aligner.predict(np.full((80, 80, 3), 128, np.uint8), "image")
    assert face.landmarks.shape == (68, 3) and np.isfinite(face.vertices).all()


def test_both_fit_in_eight_megabytes_before_a_wheel_packs_them() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 8e6
    assert {"LICENSE", "MODEL_CARD.md"} <= {path.name for path in FOLDER.iterdir()}


def test_names_of_weights(tmp_path: Path) -> None:
    assert find_weights("nasface-s").is_file()
    said = "nasface-l does not exist: give network.pt .* or nasface-s or nasface-m; did you mean nasface-"
    with pytest.raises(UserError, match=said):
        find_weights("nasface-l")
