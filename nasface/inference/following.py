"""Faces of a video from frame to frame: found by the detector now and then, followed by their landmarks in between."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median

import cv2
import numpy as np

from nasface.inference.aligner import Boxes, FaceAligner
from nasface.inference.detection import Box
from nasface.inference.face import Face
from nasface.inference.smoothing import SAME, Smoother, overlap

_LOOK_EVERY = 10  # frames between two looks of the detector
_MISSED = 2  # looks that do not see a followed face, after which it is gone


@dataclass
class SceneCuts:
    """Tells whether a frame begins another scene: it differs from the frame before by much, and by much more than the
    frames before it did from one another, as they do where the camera moves. Brightness alone does not count.

    Attributes:
        least: mean difference of 32 x 18 pixels, in grey levels, below which there is no cut.
        more: how many times the usual difference it has to be.
    """

    least: float = 15.0
    more: float = 3.0
    _before: np.ndarray | None = None
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=8))

    def __call__(self, image: np.ndarray) -> bool:
        """Whether (H, W, 3) uint8, the next frame, is the first one of another scene; the first of all is not."""
        small = cv2.resize(image, (32, 18), interpolation=cv2.INTER_AREA).astype(np.float32)
        small -= small.mean((0, 1))
        before, self._before = self._before, small
        if before is None:
            return False
        difference = float(np.abs(small - before).mean())
        cut = difference > self.least and difference > self.more * median(self._recent or [0.0])
        if cut:
            self._recent.clear()
        else:
            self._recent.append(difference)
        return cut


class FaceFollower:
    """The faces of frame after frame. The network sees each around the landmarks of the frame before; the detector
    looks at every tenth frame, where no face is followed, and where a scene begins, when smoothing starts anew, too.

        >>> follow = FaceFollower(nasface.load("nasface-s"), share=0.6)
        >>> faces = [follow(frame) for frame in frames]

    `scene` counts the cuts so far.

    Args:
        aligner: finds and aligns.
        boxes: around the faces of every frame, instead of looking for them; see `FaceAligner.predict`.
        share: of the frame before in each shape, see `Smoother`.
    """

    def __init__(self, aligner: FaceAligner, boxes: Boxes = None, share: float = 0.0) -> None:
        self.aligner, self.boxes, self.smoother = aligner, boxes, Smoother(aligner, share)
        self.cuts = SceneCuts()
        self.scene = 0
        self._faces: list[Face] = []
        self._missed: list[int] = []
        self._wait = 0

    def __call__(self, image: np.ndarray) -> list[Face]:
        """The faces of the next frame (H, W, 3) uint8 RGB, the largest first where the detector has just looked."""
        if self.cuts(image):
            self._faces, self._missed = [], []
            self.smoother.restart()
            self.scene += 1
        if self.boxes is not None or self.aligner.detector is None:
            return self.smoother(self.aligner.predict(image, self.boxes))
        followed = self.aligner.follow(image, self._faces)
        kept = [k for k, face in enumerate(followed) if face is not None and not _known(face.box, followed[:k])]
        self._missed = [self._missed[k] for k in kept]
        self._faces = [face for k in kept if (face := followed[k]) is not None]
        self._wait -= 1
        if self._wait <= 0 or not self._faces:
            self._look(image)
        return self.smoother(self._faces)

    def _look(self, image: np.ndarray) -> None:
        assert self.aligner.detector is not None
        self._wait = _LOOK_EVERY
        found = [detection.box for detection in self.aligner.detector(image)]
        seen = [any(overlap(face.box, box) >= SAME for box in found) for face in self._faces]
        missed = [0 if one else count + 1 for one, count in zip(seen, self._missed, strict=True)]
        stay = [k for k, count in enumerate(missed) if count < _MISSED]
        self._faces, self._missed = [self._faces[k] for k in stay], [missed[k] for k in stay]
        boxes = [box for box in found if not _known(box, self._faces)]
        new = (
            [face for face in self.aligner.predict(image, boxes) if not _known(face.box, self._faces)] if boxes else []
        )
        self._faces, self._missed = self._faces + new, self._missed + [0] * len(new)


def _known(box: Box, faces: list[Face | None] | list[Face]) -> bool:
    return any(face is not None and overlap(face.box, box) >= SAME for face in faces)
