"""Training of networks that regress a face's vector, on a toy world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nasface.config import OptimizerConfig, ParametersConfig
from nasface.data.augment import normalise
from nasface.data.module import Batch, _Faces, prepare_batch
from nasface.nets.network import PARAMETERS
from nasface.nets.registry import NETWORKS
from nasface.training.targets.landmark_vector import LandmarkVectorTask
from nasface.training.targets.meta_joint import MetaJointTask
from nasface.training.targets.parameter_losses import Face
from nasface.training.targets.parameters import ParametersTask
from nasface.utils.errors import UserError
from tests.helpers.toy import MAP, SIZE, toy_faces
from tests.training.parameter_training import mean_nme, parameters_task, run

NAMES = [name for name in NETWORKS.names() if NETWORKS.get(name).target == PARAMETERS]


def batch_of(count: int = 6, seed: int = 0) -> dict[str, torch.Tensor]:
    return prepare_batch(_Faces(toy_faces(count, seed))[Batch(np.arange(count), 3)], None)


def config(objective: str = "fwpdc", landmarks: str = "none", **more: float) -> ParametersConfig:
    return ParametersConfig(objective=objective, landmarks=landmarks, **more)


def perfect(task: ParametersTask, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return task.network.vector.whiten(batch["pose"], batch["coefficients"])


def test_true_parameters_give_the_true_face_and_no_loss() -> None:
    task, batch = parameters_task(config(), faces=toy_faces(6)), batch_of()
    task.network.forward = lambda image: perfect(task, batch)
    found = task(batch["image"])
    assert found.dense.shape == (6, 3, MAP, MAP)
    torch.testing.assert_close(found.landmarks, batch["landmarks"], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(found.dense, task.uv.target_maps(batch), atol=1e-3, rtol=1e-4)
    for objective in ("vdc", "wpdc", "fwpdc", "vanilla_joint"):
        assert task.losses(task.network, None, batch, objective)["loss"] < 1e-8


def test_losses_of_the_task() -> None:
    """In half sides, over the chart's cells; the joint ones are of fWPDC's size."""
    task, batch = parameters_task(config()), batch_of()
    losses = {name: task.losses(task.network, None, batch, name) for name in ("vdc", "wpdc", "fwpdc", "vanilla_joint")}
    with torch.no_grad():
        error = task(batch["image"]).dense - task.uv.target_maps(batch)
    inside = task.uv.weight > 0
    expected = error.square().sum(1)[:, inside].mean() / (SIZE / 2) ** 2
    torch.testing.assert_close(losses["vdc"]["loss"].detach(), expected)
    assert losses["vanilla_joint"]["loss"].item() == pytest.approx(losses["fwpdc"]["loss"].item(), rel=1e-5)
    assert set(losses["vanilla_joint"]) == {"loss", "vdc", "wpdc"}
    for found in losses.values():  # the vertex error is told whatever is minimised
        torch.testing.assert_close(found["vdc"].detach(), expected)
    assert losses["vdc"]["vdc"].requires_grad and not losses["fwpdc"]["vdc"].requires_grad


@pytest.mark.parametrize("landmarks", ["regression", "constraint"])
def test_landmarks_add_a_loss_of_the_same_size(landmarks: str) -> None:
    task, batch = parameters_task(config("vdc", landmarks)), batch_of()
    found = task.loss(batch)
    assert found["loss"].item() == pytest.approx(2 * found["vdc"].item(), rel=1e-5)
    found["loss"].backward()
    if landmarks == "regression":
        assert task.landmark_branch.weight.grad.abs().sum() > 0
        assert not any("landmark" in name for name in task.network.state_dict()), "the branch is no part of the network"
    else:
        pixels = task.uv.landmarks(task(batch["image"]).dense)[..., :2] - task.uv.target_landmarks(batch)[..., :2]
        assert found["landmarks"].item() == pytest.approx((pixels / (SIZE / 2)).square().mean().item(), rel=1e-4)


def test_vdc_follows_fwpdc(monkeypatch: pytest.MonkeyPatch) -> None:
    task, batch = parameters_task(config("vdc_from_fwpdc", switch=0.3), steps=10), batch_of()
    parts = []
    for step in (0, 2, 3, 9):
        monkeypatch.setattr(ParametersTask, "global_step", step)
        found = task.loss(batch)
        parts.append((set(found) - {"loss"}, found["vdc"].requires_grad))
    assert parts == 2 * [({"wpdc", "vdc"}, False)] + 2 * [({"vdc"}, True)]


def test_depth_that_a_network_does_not_regress_costs_nothing() -> None:
    task, batch = parameters_task(config("vdc"), "dhm"), batch_of()
    true = Face(batch["pose"], batch["coefficients"])
    output = torch.zeros(6, task.network.vector.size)
    farther = Face(true.pose + torch.tensor([0.0, 0, 9])[:, None] * torch.tensor([0.0, 0, 0, 1]), true.coefficients)
    nearer = [task.vdc(task.face(task.network, output, face), face) for face in (true, farther)]
    torch.testing.assert_close(*nearer)
    assert (nearer[0] > 0).all()


def test_what_the_papers_use() -> None:
    kinds = {name: type(parameters_task(ParametersConfig(), name, 0.05)) for name in NAMES}
    assert {name for name, kind in kinds.items() if kind is MetaJointTask} == {"mobilenet", "mobilenet_x05"}
    assert {name for name, kind in kinds.items() if kind is ParametersTask} == {"dhm", "dhm_3dcnn", "rhg"}
    landmarks = {name for name, kind in kinds.items() if kind is LandmarkVectorTask}
    assert landmarks == {"dhm_2drnn", "dhm_landmarks", "rhg_landmarks"}
    assert parameters_task(ParametersConfig()).landmarks == "regression"
    assert all(kind.mirrors for kind in kinds.values())


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("dhm", config("fwpdc"), "parameters.objective fwpdc is for a network with a pose matrix: give vdc for dhm"),
        ("rhg", config("vdc", "regression"), "rhg has no features for parameters.landmarks regression"),
        ("dhm_2drnn", config("fwpdc"), "parameters.objective fwpdc is for 3DMM parameters; dhm_2drnn has landmarks"),
        ("dhm_landmarks", config("vdc", "regression"), "parameters.landmarks regression is for 3DMM parameters"),
    ],
)
def test_objectives_that_do_not_fit_are_one_line(name: str, settings: ParametersConfig, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parameters_task(settings, name, 0.05)
    assert "\n" not in str(caught.value)


def test_unlabelled_faces_are_refused() -> None:
    faces = replace(toy_faces(6), pose=None, coefficients=None)
    with pytest.raises(UserError, match="toy has no model parameters"):
        parameters_task(config(), faces=faces)


@pytest.mark.parametrize(
    ("name", "settings", "steps"),
    [
        ("mobilenet_x05", config("fwpdc", "regression"), 40),
        ("mobilenet_x05", ParametersConfig(look_ahead=5), 40),
        ("dhm", ParametersConfig(), 60),
        ("dhm_3dcnn", ParametersConfig(), 60),
        ("dhm_2drnn", ParametersConfig(), 60),
        ("rhg", ParametersConfig(), 60),
    ],
)
def test_eight_faces_are_learnt(name: str, settings: ParametersConfig, steps: int, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    faces, optimizer = toy_faces(8), OptimizerConfig(lr=5e-3)
    task = parameters_task(settings, name, 0.25 if name.startswith("m") else 0.06, steps, optimizer, faces)
    before = mean_nme(task, faces)
    for module in task.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.5  # few steps
    run(task, tmp_path, steps, steps, 8, faces)
    after = mean_nme(task, faces)
    assert after < 0.45 * before, f"{before:.2f} % -> {after:.2f} %"


def test_a_network_can_be_exported() -> None:
    """As one graph of torch, whose operations ONNX knows; to ONNX itself where its packages are installed."""
    for name in ("mobilenet_x05", "dhm"):
        task = parameters_task(ParametersConfig(), name, 0.125)
        image = normalise(torch.from_numpy(toy_faces(2).images))
        network = task.network.eval()
        program = torch.export.export(network, (image,))
        torch.testing.assert_close(program.module()(image), network(image))


def test_onnx(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    for name in ("mobilenet_x05", "dhm"):
        network = parameters_task(ParametersConfig(), name, 0.06).network.eval()
        image = normalise(torch.from_numpy(toy_faces(1).images))
        torch.onnx.export(network, (image,), tmp_path / "n.onnx", dynamo=True, verbose=False)
        session = runtime.InferenceSession(str(tmp_path / "n.onnx"))
        (found,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        np.testing.assert_allclose(found, network(image).detach().numpy(), atol=1e-4)
