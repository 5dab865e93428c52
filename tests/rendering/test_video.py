"""Short videos: the labels move with the picture, smoothly, and a pure function of the seed makes them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nasface.config import VideoConfig
from nasface.data.augment import normalise
from nasface.data.face_set import FaceSet
from nasface.faces.camera import make_pose, split_pose
from nasface.rendering.video import ShortVideos, draw_motion, motion_blur, profiling_mesh, render_mesh
from nasface.utils.errors import UserError
from tests.helpers.toy import MAP, SIZE, toy_faces, toy_model

STILL = VideoConfig(frames=5, yaw=0, pitch=0, roll=0, scale=0, shift=0, noise=0, blur=0)


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return toy_faces(4)


def frames_of(config: VideoConfig, faces: FaceSet, index: int = 0, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    videos = ShortVideos(toy_model(), config)
    return videos.video(faces.images[index], faces.coefficients[index], faces.pose[index], rng)


def test_nothing_moves_without_strength(faces: FaceSet) -> None:
    frames, poses = frames_of(STILL, faces)
    assert frames.shape == (5, SIZE, SIZE, 3) and frames.dtype == np.uint8
    assert np.abs(frames.astype(int) - faces.images[0]).max() <= 1
    np.testing.assert_allclose(poses, np.broadcast_to(faces.pose[0], poses.shape), atol=1e-4)


def test_a_spot_on_the_face_stays_at_its_vertex() -> None:
    """A white disc on a black face is found, in every frame, where the pose puts the vertex under it."""
    size, model = 96, toy_model()
    pose = make_pose(30.0, np.array([5.0, 10.0, 0.0]), np.array([48.0, 48.0, 0.0]))
    coefficients, vertex = np.zeros(3, np.float32), (MAP // 2) * MAP + MAP // 2 - 2
    place = model.vertices(coefficients)[vertex] @ pose[:, :3].T + pose[:, 3]
    image = np.zeros((size, size, 3), np.uint8)
    cv2.circle(image, tuple(np.round(place[:2] * 16).astype(int).tolist()), 3 * 16, (255,) * 3, -1, cv2.LINE_AA, 4)
    config = VideoConfig(frames=6, yaw=3, pitch=2, roll=2, scale=0.02, shift=0.02, noise=0, blur=0)
    frames, poses = ShortVideos(model, config).video(image, coefficients, pose, np.random.default_rng(1))
    y, x = np.indices((size, size))
    for frame, moved in zip(frames, poses, strict=True):
        light = frame[..., 0].astype(float)
        found = np.array([(light * x).sum(), (light * y).sum()]) / light.sum()
        wanted = model.vertices(coefficients)[vertex] @ moved[:, :3].T + moved[:, 3]
        assert np.linalg.norm(found - wanted[:2]) < 0.6
    assert np.linalg.norm(poses[-1] - poses[0]) > 1, "nothing has moved"


def test_the_picture_around_the_face_moves_too_and_has_no_holes(faces: FaceSet) -> None:
    grey = replace(faces, images=np.full_like(faces.images, 200))
    config = replace(STILL, yaw=8, pitch=8, roll=3, scale=0.05)
    for index in range(len(faces)):
        assert (frames_of(config, grey, index)[0] == 200).all()


@given(seed=st.integers(0, 2**31), yaw=st.sampled_from([-60.0, 0.0, 20.0]))
def test_motion_is_smooth_bounded_and_away_from_the_front(seed: int, yaw: float) -> None:
    config = VideoConfig(frames=9)
    motion = draw_motion(np.random.default_rng(seed), config, yaw, 64)
    paths = np.column_stack((motion.turn, motion.roll, motion.scale, motion.shift))
    limits = [config.pitch, config.yaw, config.roll, np.log1p(config.scale), *2 * [64 * config.shift]]
    steps = np.diff(paths, axis=0)
    assert paths.shape == (9, 6) and (paths[0] == 0).all()
    assert (np.abs(steps) <= np.array(limits) + 1e-9).all()
    if yaw:
        assert (np.sign(steps[:, 1]) * np.sign(yaw) >= 0).all()


def test_yaw_grows_and_the_pose_stays_a_similarity(faces: FaceSet) -> None:
    config = replace(STILL, yaw=3)
    for yaw in (-30.0, 40.0):
        pose = make_pose(10.0, np.array([4.0, yaw, 5.0]), np.array([15.5, 15.5, 0.0]))
        rng = np.random.default_rng(0)
        _, poses = ShortVideos(toy_model(), config).video(faces.images[0], faces.coefficients[0], pose, rng)
        scale, angles, _ = split_pose(poses)
        np.testing.assert_allclose(scale, 10, rtol=1e-5)
        assert (np.diff(angles[:, 1] * np.sign(yaw)) > 0).all()


def test_noise_and_blur_leave_the_first_frame(faces: FaceSet) -> None:
    frames, _ = frames_of(replace(STILL, noise=20, blur=0.2), faces)
    assert (frames[0] == faces.images[0]).all() and all((frame != faces.images[0]).any() for frame in frames[1:])


def test_blur_smears_along_its_direction() -> None:
    image = np.zeros((21, 21, 1), np.float32)
    image[10, 10] = 1
    across = motion_blur(image, 6, 0.0)
    assert across.sum() == pytest.approx(1) and across[10].sum() == pytest.approx(1)
    assert np.count_nonzero(across > 0.02) == 7
    assert motion_blur(image, 6, np.pi / 2)[:, 10].sum() == pytest.approx(1)
    assert (motion_blur(image, 0.5, 0.3) == image).all()


def test_the_face_hides_what_is_behind_it() -> None:
    """A turned sheet is drawn before its background, whatever the order of the triangles."""
    model = toy_model()
    pose = make_pose(20.0, np.zeros(3), np.array([31.5, 31.5, 0.0]))
    vertices = model.mean @ pose[:, :3].T + pose[:, 3]
    mesh = profiling_mesh(vertices, model.triangles, 64)
    order = np.random.default_rng(0).permutation(len(mesh.triangles))
    image = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    moved = mesh.moved(np.eye(3), np.eye(2, 3))
    shuffled = replace(mesh, triangles=mesh.triangles[order])
    assert (render_mesh(image, mesh, moved) == render_mesh(image, shuffled, moved)).all()
    assert len(mesh.points) > len(vertices) and (mesh.firmness[: len(vertices)] == 1).all()


def test_a_batch_becomes_videos_of_its_faces(faces: FaceSet) -> None:
    videos = ShortVideos(toy_model(), VideoConfig(frames=3))
    batch = {
        "image": normalise(torch.from_numpy(faces.images)),
        "pose": torch.from_numpy(faces.pose),
        "coefficients": torch.from_numpy(faces.coefficients),
        "index": torch.arange(4),
    }
    result = videos.of_batch(batch, 5)
    assert result["index"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    torch.testing.assert_close(result["image"][::3], batch["image"])
    torch.testing.assert_close(result["pose"][::3], batch["pose"])
    torch.testing.assert_close(result["coefficients"], batch["coefficients"].repeat_interleave(3, 0))
    again, other = videos.of_batch(batch, 5), videos.of_batch(batch, 6)
    assert torch.equal(result["image"], again["image"]) and not torch.equal(result["pose"], other["pose"])
    assert videos.stills(12) == 4
    with pytest.raises(UserError, match="batch_size 16 is no multiple of the 3 frames"):
        videos.stills(16)
