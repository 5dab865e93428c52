"""Several sets in one training, parts of a set, and labels that are not complete."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nasface.config import AugmentConfig, DataConfig
from nasface.data.augment import augment, moved_landmarks, normalise
from nasface.data.mixture import join, rows
from nasface.data.module import Batch, SeededBatches, prepare_batch
from nasface.data.sources import LEAST_SHARE, load_faces, training_sets
from nasface.faces.correspondences import as_68, point_matrix
from nasface.faces.landmarks import complete_landmarks
from nasface.faces.morphable import load_embedded_head
from tests.data.test_registry import menpo3d, progress_for, pts, threedfaw
from tests.helpers.toy import SIZE, toy_faces


def test_shares_sum_to_one() -> None:
    assert training_sets(DataConfig()) == {"synthetic": 1.0}
    assert training_sets(DataConfig(train=["synthetic:3", "aflw"])) == {"synthetic": 0.75, "aflw": 0.25}


@pytest.mark.parametrize("batch_size", [7, 20])
def test_every_batch_has_the_shares_and_every_set_its_passes(batch_size: int) -> None:
    mixture = ((5, 0.2), (30, 0.5), (8, 0.3))
    stream = SeededBatches(43, batch_size, 600, 3, mixture=mixture)
    batches = [batch.indices for batch in stream]
    parts = [np.searchsorted([5, 35], batch, side="right") for batch in batches]
    for part in parts:
        counts = np.bincount(part, minlength=3)
        assert (np.abs(counts - batch_size * np.array([0.2, 0.5, 0.3])) <= 1.01).all()
    for number, (start, count) in enumerate(((0, 5), (5, 30), (35, 8))):
        own = np.concatenate(batches)[np.concatenate(parts) == number] - start
        passes = own[: len(own) // count * count].reshape(-1, count)
        assert len(passes) > 40 and (np.sort(passes) == np.arange(count)).all()
        assert len(np.unique(passes, axis=0)) > 1, "shuffled anew"


def test_the_least_share_is_met() -> None:
    stream = SeededBatches(15, 10, 100, 3, mixture=((6, 1 - LEAST_SHARE), (9, LEAST_SHARE)))
    assert (np.concatenate([batch.indices for batch in stream]) >= 6).sum() == 1


def test_processes_share_a_mixed_stream() -> None:
    mixture = ((6, 0.5), (9, 0.5))
    one = SeededBatches(15, 8, 2, 3, mixture=mixture)
    two = [SeededBatches(15, 4, 2, 3, rank, 2, mixture) for rank in (0, 1)]
    halves = [np.concatenate([batch.indices for batch in pair]) for pair in zip(*two, strict=True)]
    np.testing.assert_array_equal([batch.indices for batch in one], halves)


def test_joined_faces_are_those_of_the_sets() -> None:
    one, other = toy_faces(5), toy_faces(4, seed=1)
    both = join([one, replace(other, name="b")])
    assert len(both) == 9 and both.name == "toy+b" and both.pose.shape == (9, 3, 4)
    np.testing.assert_array_equal(np.asarray(both.images), np.concatenate([one.images, other.images]))
    chosen = np.array([8, 0, 5])
    np.testing.assert_array_equal(both.images[chosen], np.stack([other.images[3], one.images[0], other.images[0]]))
    np.testing.assert_array_equal(both.images[6], other.images[1])
    part = rows(both, chosen)
    np.testing.assert_array_equal(part.subset([2, 0]).images, both.images[[5, 8]])
    np.testing.assert_array_equal(part.coefficients, both.coefficients[chosen])
    assert join([one, replace(other, pose=None, coefficients=None)]).pose is None


def test_landmarks_move_as_a_pose_does() -> None:
    faces = toy_faces(6)
    images, landmarks = normalise(torch.from_numpy(faces.images)), torch.from_numpy(faces.landmarks)
    config = AugmentConfig()
    both = [moved_landmarks(images, landmarks, config, 3), augment(images, torch.from_numpy(faces.pose), config, 3)]
    torch.testing.assert_close(both[0][0], both[1][0])
    torch.testing.assert_close(both[0][2], both[1][2])
    assert both[0][2].any() and not both[0][2].all()
    # Of faces that are not mirrored: an affine map of the landmarks in space takes the old pose to the new one.
    for still in np.flatnonzero(~both[0][2].numpy()):
        old, new = torch.from_numpy(faces.pose)[still].double(), both[1][1][still].double()
        linear = new[:, :3] @ torch.linalg.inv(old[:, :3])
        expected = landmarks[still].double() @ linear.T + (new[:, 3] - linear @ old[:, 3])
        torch.testing.assert_close(both[0][1][still].double(), expected, rtol=1e-4, atol=1e-3)
    flat = landmarks.clone()
    flat[..., 2] = torch.nan
    flat[0, 3] = torch.nan
    found = moved_landmarks(images, flat, config, 3)[1]
    assert int(found[..., :2].isnan().any(-1).sum()) == 1 and found[..., 2].isnan().all()
    known = ~found[..., 0].isnan()
    torch.testing.assert_close(found[known][:, :2], both[0][1][known][:, :2])


def test_a_batch_without_model_has_augmented_landmarks() -> None:
    faces = toy_faces(3)
    raw = {"image": torch.from_numpy(faces.images), "landmarks": torch.from_numpy(faces.landmarks), "seed": 4}
    found = prepare_batch(raw, AugmentConfig(flip=1.0, rotation=0, scale=0, shift=0))
    torch.testing.assert_close(found["landmarks"][:, 8, 0], SIZE - 1 - raw["landmarks"][:, 8, 0])
    assert "pose" not in found and found["flipped"].all()


@pytest.mark.parametrize("depth", [True, False])
def test_missing_landmarks_follow_from_the_mean_face(depth: bool) -> None:
    head = load_embedded_head()
    mean = head.mean[head.landmark_vertices]
    angle = np.deg2rad(30)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, -1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    true = (7 * (mean - mean.mean(axis=0)) @ turn.T + [40, 50, 0]).astype(np.float32)
    faces = np.stack([true, true])
    faces[0, [3, 60, 64]] = np.nan
    if not depth:
        faces[..., 2] = np.nan
    found = complete_landmarks(faces, mean)
    span = np.ptp(true[:, 0])
    np.testing.assert_allclose(found[..., :2], np.stack([true, true])[..., :2], atol=1e-3 * span)
    depths = found[..., 2] - found[..., 2].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(depths, [true[:, 2] - true[:, 2].mean()] * 2, atol=0.02 * span)
    np.testing.assert_array_equal(found[1, :, :2], faces[1, :, :2])


@pytest.mark.parametrize("count", [21, 29, 51, 66, 68, 84])
def test_points_of_other_sets_are_landmarks(count: int) -> None:
    landmarks = toy_faces(2).landmarks
    points = point_matrix(count) @ landmarks
    found = as_68(points)
    known = np.isfinite(found[0, :, 0])
    np.testing.assert_allclose(found[:, known], landmarks[:, known], atol=1e-5)
    assert known.sum() == {21: 18, 29: 21, 51: 51, 66: 66, 68: 68, 84: 68}[count]


def test_sets_are_divided_and_mixed(tmp_path: Path) -> None:
    folders = pts(tmp_path / "pts", count=24).folders | menpo3d(tmp_path / "menpo").folders
    folders |= threedfaw(tmp_path / "3dfaw").folders
    config = DataConfig(train=["pts:0.5", "menpo3d:0.3", "3dfaw:0.2"], test="3dfaw", folders=folders)
    faces = load_faces(replace(config, cache=str(tmp_path / "cache")), 32, progress_for)
    # A twentieth of 24 faces is one; of two videos of two frames, one; 3DFAW has a validation set.
    assert [count for count, _ in faces.mixture] == [23, 2, 2] and len(faces.train) == 27
    assert len(faces.val) == 1 + 2 + 2 and len(faces.test) == 2
    landmarks = faces.train.landmarks
    assert np.isnan(landmarks[:25, :, 2]).all() and np.isfinite(landmarks[:25, :, :2]).all()
    assert np.isfinite(landmarks[25:, 0]).all() and np.isnan(landmarks[25:, 60]).all()
    assert faces.model.name == load_embedded_head().name and faces.train.pose is None
    batch = next(iter(SeededBatches(27, 10, 1, 0, mixture=faces.mixture)))
    assert isinstance(batch, Batch) and faces.train.images[batch.indices].shape == (10, 32, 32, 3)


def test_a_count_is_of_each_set(tmp_path: Path) -> None:
    folders = pts(tmp_path, count=3).folders
    config = DataConfig(train=["synthetic", "pts"], test_count=1, val_count=1, train_count=2, folders=folders)
    faces = load_faces(replace(config, cache=str(tmp_path / "cache")), 32, progress_for)
    assert [count for count, _ in faces.mixture] == [2, 2]
