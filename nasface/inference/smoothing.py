"""Temporal smoothing of a video's faces: an exponential mean over frames."""

from __future__ import annotations

import numpy as np

from nasface.inference.aligner import FaceAligner
from nasface.inference.detection import Box
from nasface.inference.face import Face

SAME = 0.3  # overlap of two boxes from which they are the same face


class Smoother:
    """Mixes each face with the same face of the frame before.

    Args:
        aligner: makes the angles of the mixed shapes.
        share: of the earlier frame, 0..1; 0 changes nothing.
    """

    def __init__(self, aligner: FaceAligner, share: float) -> None:
        self.aligner, self.share = aligner, share
        self._before: list[Face] = []

    def __call__(self, faces: list[Face]) -> list[Face]:
        """The faces of the next frame, smoothed."""
        if self.share > 0:
            faces = [self._mixed(face) for face in faces]
            self._before = faces
        return faces

    def restart(self) -> None:
        """Forget the frames before: the next one is of another scene."""
        self._before = []

    def _mixed(self, face: Face) -> Face:
        before = max(self._before, key=lambda other: overlap(face.box, other.box), default=None)
        if before is None or overlap(face.box, before.box) < SAME:
            return face
        landmarks = self._mean(face.landmarks, before.landmarks)
        dense = None if face.dense is None or before.dense is None else self._mean(face.dense, before.dense)
        return self.aligner.moved(face, landmarks, dense)

    def _mean(self, now: np.ndarray, before: np.ndarray) -> np.ndarray:
        return ((1 - self.share) * now + self.share * before).astype(np.float32)


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    low = np.maximum(first[:2], second[:2])
    high = np.minimum(np.add(first[:2], first[2:]), np.add(second[:2], second[2:]))
    shared = float(np.prod(np.maximum(high - low, 0)))
    return shared / (first[2] * first[3] + second[2] * second[3] - shared)
