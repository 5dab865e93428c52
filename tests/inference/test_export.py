"""Exported networks compute what PyTorch computes, for any batch; safetensors files are read back."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from matplotlib import cbook

import nasface
from nasface.cli.export import _beside
from nasface.evaluation.inference import predict_faces
from nasface.faces.camera import split_pose
from nasface.faces.procrustes import similarity_between
from nasface.inference import export
from nasface.inference.published import load_published_mobilenet
from nasface.inference.trained import EMBEDDED, load_task
from nasface.pipelines.evaluate import labels
from nasface.training.targets.heatmap_coding import decode_heatmaps, draw_heatmaps
from nasface.utils.errors import UserError
from tests.helpers.tiny import REPOSITORY
from tests.helpers.toy import SIZE
from tests.inference.world import toy_weights

OUTPUTS = ("landmarks", "dense", "pose")


def need_onnx() -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    toy_weights(tmp_path / "network.pt")
    return tmp_path / "network.pt"


def test_torchscript_needs_nothing_else(weights: Path, tmp_path: Path) -> None:
    _, parity = export.export_network(weights, tmp_path / "n.pt", "torchscript")
    assert {(entry.output, entry.batch) for entry in parity} == {(n, b) for n in OUTPUTS for b in (1, 3)}
    image = torch.rand(5, 3, SIZE, SIZE)
    landmarks, dense, pose = torch.jit.load(str(tmp_path / "n.pt"))(image)
    expected = load_task(weights).task(image)
    torch.testing.assert_close(landmarks, expected.landmarks)
    torch.testing.assert_close(dense, expected.dense)
    assert_nearest(pose, landmarks, load_task(weights).mean_landmarks)


def assert_nearest(pose: torch.Tensor, landmarks: torch.Tensor, mean: np.ndarray) -> None:
    """The poses are those of the program's similarity."""
    for found, points in zip(pose.numpy(), landmarks.numpy(), strict=True):
        scale, rotation, shift = similarity_between(mean, points * [1.0, -1.0, 1.0])
        expected = np.column_stack([scale * rotation, shift]) * [[1.0], [-1.0], [1.0]]
        np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.fixture(params=("onnx", "torchscript"))
def exported(request: pytest.FixtureRequest, weights: Path, tmp_path: Path) -> Path:
    if request.param == "onnx":
        need_onnx()
    path = tmp_path / f"n{export.FORMATS[request.param]}"
    export.export_network(weights, path, request.param)
    return path


def test_a_file_does_not_say_where_it_was_made(exported: Path) -> None:
    parts = [exported.read_bytes()]
    if zipfile.is_zipfile(exported):
        with zipfile.ZipFile(exported) as archive:
            parts = [archive.read(name) for name in archive.namelist()]
    assert not [part for part in parts if str(REPOSITORY).encode() in part or b"site-packages" in part]


def test_a_network_of_heatmaps_says_what_it_gives(tmp_path: Path) -> None:
    toy_weights(tmp_path / "n.pt")
    trained = load_task(tmp_path / "n.pt")
    whole, flat = export.export_metadata(trained), export.export_metadata(trained, 2, dense=False)
    assert "toward the camera" in whole["landmarks"] and whole["dense"] and "(batch, 3, 4)" in whole["pose"]
    assert flat["landmarks"].startswith("(batch, 68, 2)") and "camera" not in flat["landmarks"]
    assert "dense" not in flat and "(batch, 2, 4)" in flat["pose"]


def test_heatmaps_are_decoded_alike(tmp_path: Path) -> None:
    """Of a confident network, whose cells have probabilities near 1."""
    need_onnx()

    class Decoder(torch.nn.Module):
        def forward(self, logits: torch.Tensor) -> torch.Tensor:
            return decode_heatmaps(logits, 4)

    points = torch.rand(3, 68, 2, generator=torch.Generator().manual_seed(0)) * 48 + 8
    heatmaps = draw_heatmaps(points, 16, 4, 1.5)
    for peak in (2.0, 18.0, 40.0):
        logits = peak + torch.log(heatmaps.clamp(min=1e-12))
        session = export.onnx_session(export.onnx_bytes(Decoder(), logits, ["points"]), 1)
        (found,) = session.run(None, {"image": logits.numpy()})
        np.testing.assert_allclose(found, decode_heatmaps(logits, 4).numpy(), atol=1e-3)


def test_onnx_of_any_batch(weights: Path, tmp_path: Path) -> None:
    need_onnx()
    trained, parity = export.export_network(weights, tmp_path / "n.onnx", "onnx")
    assert max(entry.difference for entry in parity) < 1e-4
    image = torch.rand(5, 3, SIZE, SIZE)
    session = export.onnx_session(tmp_path / "n.onnx", 1)
    landmarks, dense, pose = session.run(list(OUTPUTS), {"image": image.numpy()})
    expected = trained.task(image)
    np.testing.assert_allclose(landmarks, expected.landmarks.detach().numpy(), atol=1e-4)
    np.testing.assert_allclose(dense, expected.dense.detach().numpy(), atol=1e-4)
    assert_nearest(torch.from_numpy(pose), expected.landmarks.detach(), trained.mean_landmarks)


def test_an_export_is_the_same_aligner(weights: Path, exported: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    ours, theirs = (nasface.load(file).predict(image, [(20, 10, 30, 30)])[0] for file in (weights, exported))
    np.testing.assert_allclose(ours.angles, theirs.angles, atol=0.01)
    np.testing.assert_allclose(ours.vertices, theirs.vertices, atol=1e-3)
    assert np.array_equal(ours.triangles, theirs.triangles)


def test_an_export_of_the_embedded_head_says_so(weights: Path, tmp_path: Path) -> None:
    """A folder that is meant for a set's parameters would make its maps those of another chart."""
    for file, model in (("nasface-s", EMBEDDED), (weights, "3ddfa")):
        export.export_network(file, tmp_path / "n.pt", "torchscript")
        assert nasface.load(tmp_path / "n.pt", model="3ddfa").model == model


def test_exports_of_former_versions(weights: Path, tmp_path: Path) -> None:
    """Landmarks and the map alone, without metadata."""
    need_onnx()

    class Former(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.task = load_task(weights).task.eval().requires_grad_(False)

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            found = self.task(image)
            assert found.dense is not None
            return found.landmarks, found.dense

    content = export.onnx_bytes(Former(), torch.zeros(3, 3, SIZE, SIZE), ("landmarks", "dense"))
    (tmp_path / "n.onnx").write_bytes(content)
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    ours, theirs = (nasface.load(path).predict(image, "image")[0] for path in (weights, tmp_path / "n.onnx"))
    np.testing.assert_allclose(ours.landmarks, theirs.landmarks, atol=1e-3)
    assert theirs.has_mesh


def test_the_documents_lines_need_nothing_of_nasface(weights: Path, tmp_path: Path, monkeypatch: Any) -> None:
    need_onnx()
    lines = re.findall(r"^```py\n(.*?)^```$", (REPOSITORY / "docs" / "export.md").read_text(), re.M | re.S)[0]
    assert "nasface" not in lines.replace("nasface-m.onnx", "")
    monkeypatch.chdir(tmp_path)
    export.export_network(weights, "nasface-m.onnx", "onnx")
    with cbook.get_sample_data("grace_hopper.jpg") as photo:
        Path("photo.jpg").write_bytes(photo.read())
    found: dict[str, Any] = {}
    exec(lines, found)
    aligner = nasface.load(weights)
    aligner.refine = 0
    face = aligner.predict("photo.jpg", [(found["x"], found["y"], found["w"], found["h"])])[0]
    assert face.crop == (found["left"], found["top"], found["side"])
    np.testing.assert_allclose(found["points"], face.landmarks, atol=0.01)
    np.testing.assert_allclose(split_pose(found["pose"][0])[1], face.angles, atol=0.05)


def test_safetensors_is_a_weights_file(weights: Path, tmp_path: Path) -> None:
    export.export_network(weights, tmp_path / "n.safetensors", "safetensors")
    image = torch.rand(2, 3, SIZE, SIZE)
    ours, theirs = (load_task(path).task(image).landmarks for path in (weights, tmp_path / "n.safetensors"))
    assert torch.equal(ours, theirs)
    content = (tmp_path / "n.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="not a readable weights file"):
        load_task(tmp_path / "cut.safetensors")


def test_names_of_exports_and_rows_keep_a_runs_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "lr0.01"
    run.mkdir()
    assert _beside(run, ".onnx") == tmp_path / "lr0.01.onnx"
    assert _beside(run / "network.pt", ".onnx") == run / "network.onnx"
    assert _beside(Path("nasface-m"), ".onnx") == Path("nasface-m.onnx")
    assert labels([str(run), str(tmp_path / "other" / "network.pt"), "a.b.onnx"]) == ["lr0.01", "other", "a.b"]
    monkeypatch.chdir(run)
    assert _beside(Path(), ".onnx") == tmp_path / "lr0.01.onnx" and labels(["."]) == ["lr0.01"]
    assert labels(["network.pt"]) == ["lr0.01"]


def test_half_is_for_safetensors_and_nearly_the_same(weights: Path, tmp_path: Path) -> None:
    for half in (False, True):
        export.export_network(weights, tmp_path / f"{half}.safetensors", "safetensors", half=half)
    image = torch.rand(2, 3, SIZE, SIZE)
    whole, short = (load_task(tmp_path / f"{half}.safetensors").task(image).landmarks for half in (False, True))
    assert 0 < (whole - short).abs().max() < 0.1
    assert (tmp_path / "True.safetensors").stat().st_size < (tmp_path / "False.safetensors").stat().st_size
    with pytest.raises(UserError, match="--half is for --format safetensors"):
        export.export_network(weights, tmp_path / "n.pt", "torchscript", half=True)


def test_a_network_that_differs_is_refused(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        export, "_write_torchscript", lambda network, *_: lambda images: [v.detach() + 0.1 for v in network(images)]
    )
    with pytest.raises(UserError, match="differs from PyTorch by 0.1"):
        export.export_network(weights, tmp_path / "n.pt", "torchscript")
    assert not (tmp_path / "n.pt").exists()


def test_missing_packages_name_the_extra() -> None:
    with pytest.raises(UserError, match=r"nasface\[export\]"):
        export.need("a_package_that_nobody_has")


def test_a_published_checkpoint_is_a_task(shared_data: Path, tmp_path: Path) -> None:
    """Its landmarks are those of the program's own way to run published networks, and so are its exports'."""
    assets, faces = shared_data / "3ddfa", shared_data / "aflw2000_sample"
    images = [image for image in sorted(faces.rglob("*.jpg"))[:4]]
    crops = np.stack([cv2.resize(cv2.imread(str(image))[..., ::-1], (120, 120)) for image in images])
    trained = load_task(assets / "mb05_120x120.pth")
    found = predict_faces(trained.task, crops).landmarks
    other = load_published_mobilenet(assets / "mb05_120x120.pth", "mobilenet_x05", str(assets), None).regress(crops)[0]
    np.testing.assert_allclose(found[..., :2], other[..., :2], atol=0.3)
    np.testing.assert_allclose(found[..., 2], other[..., 2], atol=0.6)  # the mean is of the map's cells
    export.export_network(assets / "mb05_120x120.pth", tmp_path / "n.safetensors", "safetensors")
    again = predict_faces(load_task(tmp_path / "n.safetensors").task, crops).landmarks
    np.testing.assert_allclose(again, found, atol=1e-3)
    assert trained.input_size == 120 and trained.record["folder"] == str(assets)
