"""Stability on videos: how far the predicted motion of the landmarks is from the true one, frame to frame.

The measure is 3DDFA_V2's on Menpo-3D (`nasface.metrics.menpo3d`); the videos are made of a face set's still images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nasface.data.face_set import FaceSet
from nasface.faces.morphable import MorphableModel
from nasface.metrics.aflw2000 import nme_2d
from nasface.metrics.menpo3d import over_videos, stability
from nasface.rendering.video import ShortVideos
from nasface.utils.errors import UserError


class VideoErrors(NamedTuple):
    """Percent of the landmarks' box, both means over the frames of all videos."""

    nme: float
    stability: float


def require_videos(faces: FaceSet, model: MorphableModel) -> None:
    """Raise a UserError where no videos can be made of a set of a model's faces."""
    if faces.coefficients is None or faces.pose is None:
        raise UserError(f"{faces.name} has no model parameters of which videos can be made: give retrain.videos 0")
    if model.landmark_vertices is None:
        raise UserError(f"the landmarks of {model.name} are no vertices, as videos need them: give retrain.videos 0")


def measure_videos(
    predict: Callable[[np.ndarray], np.ndarray], faces: FaceSet, videos: ShortVideos, count: int, seed: int = 0
) -> VideoErrors:
    """Errors on short videos of faces that are spread over the set.

    Args:
        predict: landmarks (n, 68, >=2) in crop pixels of frames (n, S, S, 3) uint8.
        faces: stills that `require_videos` lets pass.
        videos: how they move.
        count: videos, at most one of each face.
        seed: of the motion.
    """
    require_videos(faces, videos.model)
    assert faces.coefficients is not None and faces.pose is not None  # as required
    model = videos.model
    errors, motions = [], []
    for index in np.linspace(0, len(faces) - 1, min(count, len(faces))).astype(int):
        coefficients, rng = faces.coefficients[index], np.random.default_rng([seed, int(index)])
        frames, poses = videos.video(np.array(faces.images[index]), coefficients, faces.pose[index], rng)
        points = model.vertices(coefficients)[model.landmark_vertices]
        true = points @ poses[:, :, :3].transpose(0, 2, 1) + poses[:, None, :, 3]
        found = predict(frames)
        errors.append(nme_2d(found, true))
        motions.append(stability(found, true))
    return VideoErrors(over_videos(errors), over_videos(motions))
