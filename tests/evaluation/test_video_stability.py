"""Stability on short videos, against figures that were worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nasface.config import VideoConfig
from nasface.data.face_set import FaceSet
from nasface.evaluation.video_stability import measure_videos
from nasface.rendering.video import ShortVideos
from nasface.utils.errors import UserError
from tests.helpers.toy import toy_faces, toy_model

FRAMES = 4


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return toy_faces(6)


@pytest.fixture(scope="module")
def videos() -> ShortVideos:
    return ShortVideos(toy_model(), VideoConfig(frames=FRAMES, noise=0, blur=0))


def truth(faces: FaceSet, videos: ShortVideos, index: int) -> np.ndarray:
    """The landmarks of every frame, by the poses alone."""
    rng = np.random.default_rng([0, index])
    _, poses = videos.video(faces.images[index], faces.coefficients[index], faces.pose[index], rng)
    model = videos.model
    points = model.vertices(faces.coefficients[index])[model.landmark_vertices]
    return np.stack([points @ pose[:, :3].T + pose[:, 3] for pose in poses])


def test_jitter_costs_both_and_an_offset_the_error_alone(faces: FaceSet, videos: ShortVideos) -> None:
    true = truth(faces, videos, 0)
    one = replace(faces.subset([0]), name="one")
    assert measure_videos(lambda _: true, one, videos, 1) == pytest.approx((0, 0))
    side = np.sqrt(np.prod(np.ptp(true[..., :2], axis=1), axis=1))
    offset = measure_videos(lambda _: true + [3.0, 4.0, 0.0], one, videos, 1)
    assert offset.nme == pytest.approx(np.mean(500 / side)) and offset.stability == pytest.approx(0, abs=1e-5)
    # To and fro by 3, 4: each frame is 0 or 5 pixels away, each motion is 5 pixels wrong.
    shaken = true + np.array([[[0, 0, 0]], [[3, 4, 0]]] * (FRAMES // 2))
    result = measure_videos(lambda _: shaken, one, videos, 1)
    assert result.nme == pytest.approx(np.mean([0, 500, 0, 500] / side))
    assert result.stability == pytest.approx(np.mean(500 / side[1:]))


def test_a_network_that_stands_still_misses_the_motion(faces: FaceSet, videos: ShortVideos) -> None:
    seen = []

    def first_frame(frames: np.ndarray) -> np.ndarray:
        index = int(np.abs(faces.images.astype(int) - frames[0]).sum((1, 2, 3)).argmin())
        seen.append(index)
        return np.repeat(truth(faces, videos, index)[:1], FRAMES, 0)

    errors = measure_videos(first_frame, faces, videos, 3)
    assert len(seen) == 3 and seen[0] == 0 and seen[-1] == len(faces) - 1
    expected = []
    for index in seen:
        true = truth(faces, videos, index)[..., :2]
        motion, box = np.linalg.norm(np.diff(true, axis=0), axis=-1).mean(-1), np.sqrt(np.ptp(true, 1).prod(-1))
        expected += list(100 * motion / box[1:])
    assert errors.stability == pytest.approx(np.mean(expected)) and errors.stability > 0.1


def test_faces_without_parameters_are_refused(faces: FaceSet, videos: ShortVideos) -> None:
    with pytest.raises(UserError, match=r"toy has no model parameters.*retrain\.videos 0"):
        measure_videos(lambda frames: frames, replace(faces, coefficients=None), videos, 3)
