"""Stability on videos: how far the predicted motion of the landmarks is from the true one, frame to frame.

The measure is 3DDFA_V2's on Menpo-3D (`nasface.metrics.menpo3d`); the videos are made of a face set's still images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from nasface.data.face_set import FaceSet
from nasface.evaluation.benchmark import Errors
from nasface.faces.morphable import MorphableModel
from nasface.faces.uv import sample_map
from nasface.metrics.aflw2000 import nme_2d
from nasface.metrics.menpo3d import over_videos, stability
from nasface.rendering.video import ShortVideos
from nasface.utils.errors import UserError

STILL = "a prediction that never moves"
"""The row of the first frame's true landmarks in all frames of a video: steadier than it is only what sees motion."""


class VideoErrors(NamedTuple):
    """Percent of the landmarks' box, both means over the frames of all videos."""

    nme: float
    stability: float


def require_videos(faces: FaceSet) -> None:
    """Raise a UserError where no videos can be made of a set of a model's faces."""
    if faces.coefficients is None or faces.pose is None:
        raise UserError(f"{faces.name} has no model parameters of which videos can be made: give retrain.videos 0")


def video_errors(found: np.ndarray, true: np.ndarray, videos: np.ndarray) -> list[Errors]:
    """Stability, and the error of still frames, of landmarks (N, 68, >=2) in pixels of the frames.

    Args:
        found: predicted; true: the truth.
        videos: (N,) of which video each frame is; a video's frames follow each other.
    """
    motion, counted = np.full(len(found), np.nan), np.zeros(len(found), dtype=bool)
    for video in dict.fromkeys(videos.tolist()):
        frames = np.flatnonzero(videos == video)
        if len(frames) > 1:
            motion[frames[1:]], counted[frames[1:]] = stability(found[frames], true[frames]), True
    return [Errors("stability", motion, counted=counted), Errors("2D", nme_2d(found, true))]


def make_videos(
    faces: FaceSet, videos: ShortVideos, count: int, seed: int = 0
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Videos of `count` faces (at most one of each) that are spread over a set that `require_videos` lets pass.

    Yields:
        The face's number, its frames (n, S, S, 3) uint8, and the true landmarks (n, 68, 3) in crop pixels.
    """
    require_videos(faces)
    assert faces.coefficients is not None and faces.pose is not None  # as required
    for index in np.linspace(0, len(faces) - 1, min(count, len(faces))).astype(int):
        coefficients, rng = faces.coefficients[index], np.random.default_rng([seed, int(index)])
        frames, poses = videos.video(np.array(faces.images[index]), coefficients, faces.pose[index], rng)
        points = model_landmarks(videos.model, coefficients)
        yield int(index), frames, points @ poses[:, :, :3].transpose(0, 2, 1) + poses[:, None, :, 3]


def model_landmarks(model: MorphableModel, coefficients: np.ndarray) -> np.ndarray:
    """(68, 3) of a face (K,) in model coordinates: vertices, or else read at their places on a square grid's chart."""
    vertices = model.vertices(coefficients)
    if model.landmark_vertices is not None:
        return vertices[model.landmark_vertices]
    side = round(len(vertices) ** 0.5)
    return sample_map(vertices.T.reshape(3, side, side), model.landmark_uv)


def measure_videos(
    predict: Callable[[np.ndarray], np.ndarray], faces: FaceSet, videos: ShortVideos, count: int, seed: int = 0
) -> VideoErrors:
    """Errors of a network (frames (n, S, S, 3) uint8 to landmarks (n, 68, >=2) in crop pixels) on `make_videos`."""
    errors, motions = [], []
    for _, frames, true in make_videos(faces, videos, count, seed):
        found = predict(frames)
        errors.append(nme_2d(found, true))
        motions.append(stability(found, true))
    return VideoErrors(over_videos(errors), over_videos(motions))
