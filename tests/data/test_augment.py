"""Augmentation: image and pose move together, every draw follows from the seed, zero strength changes nothing."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from nasface.config import AugmentConfig
from nasface.data import augment as module
from nasface.data.augment import augment, normalise

SIZE, COUNT = 64, 24
OFF = AugmentConfig(**{field.name: 0.0 for field in fields(AugmentConfig)})
MODEL_POINT = torch.tensor([0.4, -0.3, 0.5])


def dots() -> tuple[torch.Tensor, torch.Tensor]:
    """Dark images, each with a soft dot where its pose puts MODEL_POINT; normalised images and poses."""
    generator = torch.Generator().manual_seed(0)
    pose = torch.zeros(COUNT, 3, 4)
    pose[:, 0, 0], pose[:, 1, 1], pose[:, 2, 2] = 12.0, -12.0, 12.0
    pose[:, 0, 2] = 3.0  # some of the depth enters x, as under yaw
    pose[:, :2, 3] = SIZE / 2 + 10 * (torch.rand(COUNT, 2, generator=generator) - 0.5)
    place = project(pose)
    line = torch.arange(SIZE)
    distance = (line[None, None, :] - place[:, 0, None, None]) ** 2 + (
        line[None, :, None] - place[:, 1, None, None]
    ) ** 2
    images = -0.9 + 1.5 * torch.exp(-distance / (2 * 1.5**2))
    return images[:, None].expand(-1, 3, -1, -1).clone(), pose


def project(pose: torch.Tensor) -> torch.Tensor:
    return pose[:, :, :3] @ MODEL_POINT + pose[:, :, 3]


def brightest(images: torch.Tensor) -> torch.Tensor:
    """Centre of mass (x, y) of what is bright."""
    light = (images.mean(1) + 0.8).clamp(min=0)
    line = torch.arange(SIZE, dtype=torch.float32)
    mass = light.sum((1, 2))
    return torch.stack(((light.sum(1) * line).sum(1) / mass, (light.sum(2) * line).sum(1) / mass), 1)


@pytest.mark.parametrize(
    "config",
    [
        replace(OFF, rotation=40.0),
        replace(OFF, scale=0.3),
        replace(OFF, shift=0.15),
        replace(OFF, flip=1.0),
        replace(OFF, rotation=40.0, scale=0.3, shift=0.1, flip=0.5),
    ],
    ids=["rotation", "scale", "shift", "flip", "all"],
)
def test_image_and_pose_move_together(config: AugmentConfig) -> None:
    images, pose = dots()
    before = project(pose)[:, :2]
    np.testing.assert_allclose(brightest(images), before, atol=0.02)
    moved_images, moved_pose, flipped = augment(images, pose, config, 3)
    expected = project(moved_pose)[:, :2]
    expected[:, 0] = torch.where(flipped, SIZE - 1 - expected[:, 0], expected[:, 0])
    np.testing.assert_allclose(brightest(moved_images), expected, atol=0.1)
    assert (expected - before).norm(dim=1).max() > 2, "nothing moved: the test shows nothing"


def test_sizes_are_the_papers() -> None:
    """Uniform in 0.7 to 1.3 of the face's own."""
    pose = torch.eye(3, 4).expand(2000, 3, 4)
    _, moved, _ = augment(torch.zeros(2000, 3, 4, 4), pose, replace(OFF, scale=0.3), 5)
    size = moved[:, 0, :3].norm(dim=1)
    assert 0.7 <= size.min() < 0.71 and 1.29 < size.max() <= 1.3 + 1e-6
    assert abs(size.mean() - 1) < 0.02 and abs((size < 0.8).float().mean() - 1 / 6) < 0.03


def test_depth_scales_with_the_face_and_angles_stay() -> None:
    images, pose = dots()
    _, moved, _ = augment(images, pose, replace(OFF, rotation=30.0, scale=0.3, shift=0.1), 4)
    before, after = pose[:, :, :3].double(), moved[:, :, :3].double()
    scale = after[:, 2].norm(dim=1) / before[:, 2].norm(dim=1)
    # A similarity of the crop: the Gram matrix of the pose's rows grows by scale^2, after the rotation about z.
    rows = torch.einsum("bij,bkj->bik", after, after) / scale[:, None, None] ** 2
    expected = torch.einsum("bij,bkj->bik", before, before)
    torch.testing.assert_close(rows[:, 2, 2], expected[:, 2, 2])
    torch.testing.assert_close(rows[:, 0, 0] + rows[:, 1, 1], expected[:, 0, 0] + expected[:, 1, 1], rtol=1e-5, atol=0)
    torch.testing.assert_close(torch.linalg.det(after), scale**3 * torch.linalg.det(before), rtol=1e-5, atol=0)
    assert scale.min() < 0.85 and scale.max() > 1.15


def test_strength_zero_changes_nothing() -> None:
    images, pose = dots()
    images = images + 0.05 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    images = images.clamp(-1, 1)
    same_images, same_pose, flipped = augment(images, pose, OFF, 5)
    torch.testing.assert_close(same_images, images, rtol=0, atol=1e-5)
    torch.testing.assert_close(same_pose, pose, rtol=0, atol=1e-5)
    assert not flipped.any()


def test_everything_follows_from_the_seed() -> None:
    images, pose = dots()
    torch.manual_seed(0)
    first = augment(images, pose, AugmentConfig(), 6)
    torch.manual_seed(1)  # torch's own generator must not matter
    second = augment(images, pose, AugmentConfig(), 6)
    other = augment(images, pose, AugmentConfig(), 7)
    for one, two, three in zip(first, second, other, strict=True):
        assert torch.equal(one, two)
        assert not torch.equal(one, three)


def test_faces_of_a_batch_are_augmented_differently() -> None:
    images, pose = dots()
    images, pose = images[:1].expand(COUNT, -1, -1, -1), pose[:1].expand(COUNT, -1, -1)
    moved_images, moved_pose, _ = augment(images, pose, AugmentConfig(), 8)
    assert len({tuple(image.flatten().tolist()) for image in moved_images}) == COUNT
    assert len({tuple(matrix.flatten().tolist()) for matrix in moved_pose}) == COUNT


@pytest.mark.parametrize("setting", ["colour", "grey", "erase", "noise"])
def test_colours_leave_the_pose_alone(setting: str) -> None:
    images, pose = dots()
    images[:, 0] *= 0.5  # so that grey is a change
    strength = {"colour": 0.3, "grey": 1.0, "erase": 1.0, "noise": 20.0}[setting]
    changed, same_pose, flipped = augment(images, pose, replace(OFF, **{setting: strength}), 9)
    torch.testing.assert_close(same_pose, pose, rtol=0, atol=1e-5)
    assert not flipped.any()
    assert ((changed - images).abs().amax((1, 2, 3)) > 0.005).all()
    assert changed.abs().max() <= 1
    if setting == "grey":
        torch.testing.assert_close(changed[:, 0], changed[:, 2])
    if setting == "erase":
        share = ((changed - images).abs().amax(1) > 1e-4).float().mean((1, 2))
        assert share.min() > 0.005 and share.max() < 0.2


def test_the_callers_tensors_stay_as_they_were() -> None:
    images, pose = dots()
    before = images.clone(), pose.clone()
    augment(images, pose, AugmentConfig(), 10)
    assert torch.equal(images, before[0]) and torch.equal(pose, before[1])


def test_normalise() -> None:
    images = torch.tensor([0, 127, 128, 255], dtype=torch.uint8).view(1, 2, 2, 1).expand(-1, -1, -1, 3)
    found = normalise(images)
    assert found.shape == (1, 3, 2, 2)
    np.testing.assert_allclose(found[0, 1].flatten(), np.array([-127.5, -0.5, 0.5, 127.5]) / 128)


@pytest.mark.parametrize("faces", [1, 5, COUNT])
def test_the_faces_at_a_time_do_not_matter(monkeypatch: pytest.MonkeyPatch, faces: int) -> None:
    images, pose = dots()
    config = AugmentConfig(grey=0.3, erase=0.5)
    whole = augment(images, pose, config, seed=3)
    assert images.nbytes <= module._AT_ONCE
    monkeypatch.setattr(module, "_AT_ONCE", faces * images[0].nbytes)
    for found, expected in zip(augment(images, pose, config, seed=3), whole, strict=True):
        assert torch.equal(found, expected)


def test_what_is_given_stays_as_it_was() -> None:
    images, pose = dots()
    given = images.clone(), pose.clone()
    augment(images, pose, AugmentConfig(grey=0.3, erase=0.5, noise=0.0), seed=3)
    assert torch.equal(images, given[0]) and torch.equal(pose, given[1])
    colours = torch.rand(2, 4, 4, 3) * 255
    before = colours.clone()
    normalise(colours)
    assert torch.equal(colours, before)
