"""Prediction and export with a network of every kind that is registered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nasface
from nasface.config import Experiment
from nasface.faces.morphable import load_embedded_head
from nasface.faces.uv import uv_basis
from nasface.inference import export
from nasface.inference.trained import trained_record
from nasface.nets.heatmap_network import HeatmapNetwork
from nasface.nets.network import HEATMAPS, PARAMETERS, UV_MAP, VOLUMES
from nasface.nets.registry import NETWORKS, create_network
from nasface.nets.weights import save_weights
from nasface.training.face_task import TaskContext
from nasface.training.tasks import make_task
from nasface.training.uv_target import UVTarget
from tests.helpers.tiny import Command
from tests.helpers.toy import toy_faces

SIZE = 32
# Name: whether it finds depth and a dense shape.
KINDS = {
    "hourglass1": (True, True),
    "sdu-hourglass-resnet-1": (False, False),
    "jvcr-64": (True, False),
    "mobilenet_x05": (True, True),
    "dhm": (True, True),
    "rhg": (True, True),
    "dhm_landmarks": (True, False),
}


@pytest.fixture(scope="module")
def context() -> TaskContext:
    head, experiment = load_embedded_head(), Experiment()
    sizes = replace(experiment.network, input_size=SIZE, map_size=16)
    return TaskContext(UVTarget(uv_basis(head, 16), SIZE), head, replace(experiment, network=sizes))


def test_what_a_file_of_weights_says_names_no_place_of_this_machine(context: TaskContext) -> None:
    data = replace(context.experiment.data, cache="/home/me/cache")
    experiment = replace(context.experiment, runs="/home/me/runs", output="/home/me/best.json", data=data)
    assert "/home/me" not in str(trained_record(replace(context, experiment=experiment))["experiment"])


@pytest.fixture(scope="module", params=KINDS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, context: TaskContext) -> Path:
    """network.pt in a folder of the network's name, as a retraining leaves it."""
    torch.manual_seed(0)
    network = create_network(request.param, SIZE, 16, 0.05)
    task = make_task(network, context)  # fits a last layer to the morphable model
    faces = toy_faces(12)
    if NETWORKS.get(request.param).target == PARAMETERS:
        coefficients = np.random.default_rng(1).normal(size=(12, len(context.uv.modes))).astype(np.float32)
        task.learn_statistics(replace(faces, coefficients=coefficients))
    if isinstance(network, HeatmapNetwork):
        # The tops of flat maps are chance, as are those of maps where a sigmoid is 1 in many places.
        with torch.no_grad():
            logits = network.eval()(torch.rand(4, 3, SIZE, SIZE) * 2 - 1)
            for stack, values in zip(network.stacks, logits, strict=True):
                stack.head.weight *= 3 / values.std()
    path = tmp_path_factory.mktemp("weights") / request.param / "network.pt"
    path.parent.mkdir()
    save_weights(path, network.eval(), trained_record(context))
    return path


def test_every_target_is_here() -> None:
    assert {NETWORKS.get(name).target for name in KINDS} == {UV_MAP, HEATMAPS, VOLUMES, PARAMETERS}


def test_predict(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    depth, shape = KINDS[trained.parent.name]
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / "photo.png")
    arguments = f"{tmp_path / 'photo.png'} --weights {trained} --output {tmp_path / 'out'} --box image --aligned 112"
    result = Command(tmp_path, tmp_path, capsys)("predict", *arguments.split())
    assert result.code == 0, result.errors
    assert ("neither depth nor a dense shape" in result.output) == (not depth)
    assert ("no mesh is written" in result.output) == (depth and not shape)
    (face,) = json.loads((tmp_path / "out" / "photo.png.json").read_text())["faces"]
    assert np.shape(face["landmarks"]) == (68, 3 if depth else 2) and np.isfinite(face["landmarks"]).all()
    assert np.isfinite([face["pitch"], face["yaw"], face["roll"]]).all()
    assert (tmp_path / "out" / "photo.png-0.obj").exists() == shape
    assert Image.open(tmp_path / "out" / "photo.png.overlay.png").size == (50, 40)
    assert Image.open(tmp_path / "out" / "photo.png-0.aligned.png").size == (112, 112)


@pytest.mark.parametrize("trained", ["mobilenet_x05"], indirect=True)
def test_a_damaged_file_of_a_folder_is_left_out(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"no photograph")
    for name in ("b.png", "c.png"):
        Image.new("RGB", (40, 40)).save(folder / name)
    arguments = f"{folder} --weights {trained} --output {output} --box image --obj false"
    result = Command(tmp_path, tmp_path, capsys)("predict", *arguments.split())
    assert result.code == 2 and "in 2 files" in result.output
    assert "a.jpg does not decode" in result.errors[0] and "1 of 3 files were left out" in result.errors[-1]
    assert {path.name for path in output.glob("*.json")} == {"b.png.json", "c.png.json"}


@pytest.mark.parametrize("kind", export.FORMATS)
def test_export(trained: Path, tmp_path: Path, kind: str) -> None:
    for package in {"onnx": ("onnx", "onnxscript", "onnxruntime")}.get(kind, ()):
        pytest.importorskip(package)
    depth, shape = KINDS[trained.parent.name]
    _, parity = export.export_network(trained, tmp_path / "exported", kind)
    outputs = ("landmarks", "dense", "pose") if shape else ("landmarks", "pose")
    assert {(entry.output, entry.batch) for entry in parity} == {(name, batch) for name in outputs for batch in (1, 3)}
    assert max(entry.difference for entry in parity) < 1e-4 * SIZE
    if kind == "torchscript":
        found = torch.jit.load(str(tmp_path / "exported"))(torch.zeros(5, 3, SIZE, SIZE))
        assert found[0].shape == (5, 68, 3 if depth else 2) and found[0].isfinite().all()
        assert found[-1].shape == (5, 3 if depth else 2, 4) and found[-1].isfinite().all()
    if kind == "safetensors":
        photo = np.zeros((SIZE, SIZE, 3), np.uint8)
        ours, theirs = (
            nasface.load(path).predict(photo, [(4, 4, 20, 20)])[0] for path in (trained, tmp_path / "exported")
        )
        np.testing.assert_array_equal(ours.landmarks, theirs.landmarks)
