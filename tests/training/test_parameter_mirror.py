"""Mirrored faces by their parameters, against mirrored maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nasface.config import ParametersConfig, VideoConfig
from nasface.data.augment import augment
from nasface.faces.ddfa_model import load_ddfa_model
from nasface.faces.morphable import MorphableModel, load_embedded_head
from nasface.faces.uv import uv_basis
from nasface.training.parameter_mirror import ParameterMirror
from nasface.training.uv_target import UVTarget
from tests.data.test_augment import OFF
from tests.helpers.toy import toy_faces
from tests.training.parameter_training import parameters_task
from tests.training.test_parameters import batch_of, perfect

SIDE = 64


def faces_of(model: MorphableModel, count: int = 8) -> tuple[UVTarget, Tensor, Tensor]:
    """The model's chart, and poses and coefficients of random faces over all angles, about 40 pixels wide."""
    uv, rng = UVTarget(uv_basis(model, 32), SIDE), np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(count, 3, 3)))[0]
    rotations = axes * np.sign(np.linalg.det(axes))[:, None, None]
    width = float(np.ptp(model.mean[:, 0]))
    pose = np.concatenate((rotations * 40 / width, rng.uniform(20, 40, (count, 3, 1))), 2)
    pose[:, 1] *= -1
    coefficients = rng.normal(size=(count, len(model.coefficient_std))) * model.coefficient_std
    return uv, torch.from_numpy(pose).float(), torch.from_numpy(coefficients).float()


def distance(uv: UVTarget, pose: Tensor, coefficients: Tensor) -> float:
    """Mean distance in percent of 40 pixels between mirrored maps and maps of mirrored parameters."""
    flipped = torch.ones(len(pose), dtype=torch.bool)
    found_pose, found = ParameterMirror(uv)(pose, coefficients, flipped)
    assert torch.equal(torch.linalg.det(found_pose[:, :, :3]).sign(), torch.linalg.det(pose[:, :, :3]).sign())
    difference = uv.maps(found, found_pose, ~flipped) - uv.maps(coefficients, pose, flipped)
    return 100 / 40 * float(difference.norm(dim=1)[:, uv.weight > 0].mean())


def test_the_embedded_head_is_symmetric() -> None:
    uv, pose, coefficients = faces_of(load_embedded_head())
    assert distance(uv, pose, coefficients) < 0.1
    again = ParameterMirror(uv)
    twice = again(*again(pose, coefficients, torch.ones(8, dtype=torch.bool)), torch.ones(8, dtype=torch.bool))
    as_they_are = torch.zeros(8, dtype=torch.bool)
    torch.testing.assert_close(
        uv.maps(twice[1], twice[0], as_they_are), uv.maps(coefficients, pose, as_they_are), rtol=0, atol=0.2
    )


def test_a_model_that_is_not_is_fitted(shared_data: Path) -> None:
    assert distance(*faces_of(load_ddfa_model(shared_data / "3ddfa"))) < 0.5


def test_only_flipped_faces_are_mirrored() -> None:
    uv, pose, coefficients = faces_of(load_embedded_head(), 3)
    flipped = torch.tensor([False, True, False])
    found_pose, found = ParameterMirror(uv)(pose, coefficients, flipped)
    assert (found_pose == pose).flatten(1).all(1).tolist() == (found == coefficients).all(1).tolist() == [1, 0, 1]


def test_mirrored_batches_train_parameters() -> None:
    """With the true parameters of what an image shows, the loss is 0, mirrored or not; with the others it is not."""
    task, batch = parameters_task(ParametersConfig("fwpdc", "none"), faces=toy_faces(6)), batch_of()
    assert task.mirrors
    flipped = torch.tensor(3 * [False, True])
    batch |= {"image": torch.where(flipped[:, None, None, None], batch["image"].flip(-1), batch["image"])}
    true = task.true_face(batch | {"flipped": flipped})
    right = task.network.vector.whiten(*true)
    for output, exact in ((right, True), (perfect(task, batch), False)):
        task.network.forward = lambda image, output=output: output
        losses = [float(task.losses(task.network, None, batch | {"flipped": flipped}, name)["loss"]) for name in NAMES]
        assert all((loss < 1e-6) == exact for loss in losses), losses


NAMES = ("vdc", "wpdc", "fwpdc", "vanilla_joint")


def test_augmented_images_and_their_parameters_agree() -> None:
    """The mirror comes last, after the similarity, in images and in labels."""
    uv, pose, coefficients = faces_of(load_embedded_head(), 6)
    settings = type(OFF)(**{**OFF.__dict__, "rotation": 30.0, "shift": 0.1, "flip": 1.0})
    _, moved, flipped = augment(torch.zeros(6, 3, SIDE, SIDE), pose, settings, 3)
    assert flipped.all()
    assert distance(uv, moved, coefficients) < 0.1


def test_videos_are_made_of_faces_as_they_are() -> None:
    task = parameters_task(ParametersConfig("vdc", "none", video=VideoConfig(frames=2)))
    assert not task.mirrors


@pytest.mark.parametrize("name", ["mobilenet_x05", "dhm", "rhg"])
def test_every_network_of_parameters_sees_mirrored_faces(name: str) -> None:
    task, batch = parameters_task(ParametersConfig("vdc", "none"), name, 0.05), batch_of()
    batch["flipped"] = ~batch["flipped"]
    task.loss(batch)["loss"].backward()
    assert all(parameter.grad.isfinite().all() for parameter in task.network.parameters())
