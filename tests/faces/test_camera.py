from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import loadmat

from nasface.faces.camera import (
    crop_similarity,
    euler_to_matrix,
    make_pose,
    matrix_to_euler,
    points_from_300wlp,
    pose_from_300wlp,
    project,
    resize_similarity,
    split_pose,
    transform_points,
    transform_pose,
)
from tests.faces.mirror import mirror_pose, similarity

degrees = st.floats(-179, 179)
points = np.random.default_rng(3).normal(size=(20, 3))


def axis_matrices(pitch: float, yaw: float, roll: float) -> np.ndarray:
    """The three matrices of RotationMatrix.m, multiplied out."""
    (cx, sx), (cy, sy), (cz, sz) = ((np.cos(a), np.sin(a)) for a in np.deg2rad([pitch, yaw, roll]))
    rx = np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
    ry = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    rz = np.array([[cz, sz, 0], [-sz, cz, 0], [0, 0, 1]])
    return rx @ ry @ rz


@given(degrees, degrees, degrees)
def test_matrix_is_the_product_of_the_three_axes(pitch: float, yaw: float, roll: float) -> None:
    np.testing.assert_allclose(
        euler_to_matrix(np.array([pitch, yaw, roll])), axis_matrices(pitch, yaw, roll), atol=1e-12
    )


@given(degrees, st.floats(-89.9, 89.9), degrees)
def test_euler_angles_come_back(pitch: float, yaw: float, roll: float) -> None:
    angles = np.array([pitch, yaw, roll])
    np.testing.assert_allclose(matrix_to_euler(euler_to_matrix(angles)), angles, atol=1e-6)


@pytest.mark.parametrize("yaw", [-90.0, 90.0])
@pytest.mark.parametrize("pitch,roll", [(0.0, 0.0), (20.0, -35.0), (-70.0, 10.0)])
def test_profile_angles_still_give_the_same_rotation(pitch: float, yaw: float, roll: float) -> None:
    rotation = euler_to_matrix(np.array([pitch, yaw, roll]))
    angles = matrix_to_euler(rotation)
    assert angles[1] == pytest.approx(yaw)
    np.testing.assert_allclose(euler_to_matrix(angles), rotation, atol=1e-6)


def test_signs_as_documented() -> None:
    nose = np.array([[0.0, 0.0, 1.0]])
    brow = np.array([[0.0, 1.0, 0.0]])
    zero = np.zeros(3)
    assert project(make_pose(1.0, np.array([0, 30, 0]), zero), nose)[0, 0] == pytest.approx(
        -0.5
    )  # yaw: nose to the image's left
    assert project(make_pose(1.0, np.array([30, 0, 0]), zero), nose)[0, 1] == pytest.approx(-0.5)  # pitch: nose up
    assert project(make_pose(1.0, np.array([0, 0, 30]), zero), brow)[0, 0] == pytest.approx(0.5)  # roll: clockwise
    np.testing.assert_allclose(
        project(make_pose(2.0, zero, np.array([5, 6, 7])), np.array([[1.0, 2.0, 3.0]])), [[7, 2, 13]]
    )


@given(st.floats(0.001, 1000), degrees, st.floats(-89, 89), degrees)
def test_split_pose_inverts_make_pose(scale: float, pitch: float, yaw: float, roll: float) -> None:
    translation = np.array([1.0, -20.0, 300.0])
    s, angles, t = split_pose(make_pose(scale, np.array([pitch, yaw, roll]), translation))
    assert s == pytest.approx(scale, rel=1e-5)
    np.testing.assert_allclose(euler_to_matrix(angles), euler_to_matrix(np.array([pitch, yaw, roll])), atol=1e-5)
    np.testing.assert_allclose(t, translation, rtol=1e-6)


def test_similarity_turns_clockwise_as_seen_and_sends_the_centre_to_the_target() -> None:
    matrix = similarity(2.0, 90.0, (10.0, 10.0), (32.0, 30.0))
    # One pixel to the right of the centre comes to lie two pixels below the target: y grows downwards.
    np.testing.assert_allclose(
        transform_points(np.array([[10.0, 10.0], [11.0, 10.0]]), matrix), [[32, 30], [32, 32]], atol=1e-5
    )


@given(st.floats(0.2, 5), degrees)
def test_transforming_the_pose_is_transforming_its_points(scale: float, turn: float) -> None:
    pose = make_pose(7.0, np.array([10.0, -40.0, 5.0]), np.array([30.0, 28.0, 3.0]))
    matrix = similarity(scale, turn, (31.5, 31.5), (20.0, 40.0))
    expected = transform_points(project(pose, points), matrix)
    np.testing.assert_allclose(project(transform_pose(pose, matrix), points), expected, atol=2e-3)
    np.testing.assert_allclose(expected[:, 2], project(pose, points)[:, 2] * scale, rtol=1e-4)


def test_batches_of_poses_and_matrices() -> None:
    poses = make_pose(np.array([1.0, 2.0]), np.array([[0, 10, 0], [5, -20, 3]]), np.zeros((2, 3)))
    matrices = np.stack([resize_similarity(64, 32), resize_similarity(64, 128)])
    moved = transform_pose(poses, matrices)
    clouds = project(poses, np.stack([points, points]))
    for i in range(2):
        np.testing.assert_allclose(moved[i], transform_pose(poses[i], matrices[i]))
        np.testing.assert_allclose(transform_points(clouds, matrices)[i], transform_points(clouds[i], matrices[i]))


def test_resize_agrees_with_opencv() -> None:
    ramp = np.tile(np.arange(64, dtype=np.float32), (64, 1))
    small = cv2.resize(ramp, (16, 16), interpolation=cv2.INTER_AREA)
    # Pixel c of the small image shows the large one's coordinate small[0, c].
    large = np.stack([small[0], small[0]], axis=1)
    np.testing.assert_allclose(transform_points(large, resize_similarity(64, 16))[:, 0], np.arange(16), atol=1e-5)


def test_crop_of_the_whole_image_is_a_resize() -> None:
    np.testing.assert_allclose(crop_similarity((31.5, 31.5), 64.0, 24), resize_similarity(64, 24))
    # The corners of the cut square are the outer corners of the first and last pixels.
    corners = transform_points(np.array([[10.0, 20.0], [50.0, 60.0]]), crop_similarity((30.0, 40.0), 40.0, 80))
    np.testing.assert_allclose(corners, [[-0.5, -0.5], [79.5, 79.5]])


def test_mirror_pose_mirrors_the_mirrored_model() -> None:
    pose = make_pose(9.0, np.array([12.0, 33.0, -8.0]), np.array([25.0, 30.0, 1.0]))
    mirrored = mirror_pose(pose, 64)
    expected = project(pose, points)
    expected[:, 0] = 63 - expected[:, 0]
    np.testing.assert_allclose(project(mirrored, points * [-1, 1, 1]), expected, atol=1e-5)
    np.testing.assert_allclose(split_pose(mirrored)[1], [12.0, -33.0, 8.0], atol=1e-4)


@pytest.mark.parametrize("bad", [np.zeros(6), np.full(7, np.nan)])
def test_malformed_pose_para_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="7 finite numbers"):
        pose_from_300wlp(bad, 450)


def test_real_poses_reproduce_the_annotated_landmarks(shared_data: Path) -> None:
    assets = shared_data / "3ddfa"
    mean, shape, expression = (np.loadtxt(assets / f"{n}.txt") for n in ("u_base", "w_shp_base", "w_exp_base"))
    residuals, offsets = [], []
    for path in sorted((shared_data / "aflw2000_sample" / "AFLW2000").glob("*.mat")):
        mat = {k: np.asarray(v, dtype=np.float64) for k, v in loadmat(path).items() if not k.startswith("__")}
        vertices = mean + shape @ mat["Shape_Para"].ravel()[:40] + expression @ mat["Exp_Para"].ravel()[:10]
        got = project(pose_from_300wlp(mat["Pose_Para"], 450), vertices.reshape(68, 3))
        truth = points_from_300wlp(mat["pt3d_68"].T)
        box = np.ptp(truth[:, :2], axis=0)
        residuals.append(100 * np.linalg.norm((got - truth)[:, :2], axis=1).mean() / np.sqrt(box.prod()))
        offsets.append((got - truth).mean(axis=0))
    # 40 + 10 modes of 199 + 29 leave 0.88 % on the full set; a wrong sign or a shift of one pixel would show at once.
    assert len(residuals) > 50
    assert np.mean(residuals) < 1.0
    np.testing.assert_allclose(np.mean(offsets, axis=0), 0.0, atol=0.4)
