"""The pose within an exported graph is the program's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nasface.faces.camera import make_pose, project, split_pose
from nasface.faces.morphable import load_embedded_head
from nasface.faces.procrustes import head_angles
from nasface.inference.head_pose import HeadPose


@pytest.mark.parametrize("noise", (0.0, 6.0))
def test_every_pose(noise: float) -> None:
    head, rng = load_embedded_head(), np.random.default_rng(0)
    mean = head.mean[head.landmark_vertices]
    angles = rng.uniform([-85, -89, -180], [85, 89, 180], (60, 3))
    poses = make_pose(rng.uniform(30, 60, 60), angles, rng.uniform(20, 80, (60, 3)))
    landmarks = project(poses, mean[None]) + noise * rng.normal(size=(60, 68, 3))
    found = HeadPose(mean)(torch.from_numpy(landmarks).float()).numpy()
    if noise == 0:
        np.testing.assert_allclose(found, poses, atol=1e-3)
    rows = [found[:, i, :3] / np.linalg.norm(found[:, i, :3], axis=1, keepdims=True) for i in range(3)]
    assert max(abs((rows[i] * rows[j]).sum(1)).max() for i, j in ((0, 1), (0, 2), (1, 2))) < 1e-5
    turned = split_pose(found)[1] - [head_angles(mean, points) for points in landmarks]
    assert abs((turned + 180) % 360 - 180).max() < 0.01


def test_without_depth_the_affine_map() -> None:
    head = load_embedded_head()
    mean = head.mean[head.landmark_vertices]
    pose = make_pose(40.0, np.array([5.0, 30.0, 10.0]), np.array([60.0, 50.0, 0.0]))
    found = HeadPose(mean)(torch.from_numpy(project(pose, mean)[None, :, :2]).float())
    np.testing.assert_allclose(found[0], pose[:2], atol=1e-3)
