"""Crops for face recognition: five points go to fixed places by a similarity."""

from __future__ import annotations

import cv2
import numpy as np

from nasface.faces.camera import resize_similarity, transform_points
from nasface.faces.landmarks import GROUPS
from nasface.faces.procrustes import similarity_between

TEMPLATE_SIZE = 112
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Eyes, nose tip and mouth corners in a crop of 112 x 112 pixels: where ArcFace's training crops have them (Deng et al.
2019; github.com/deepinsight/insightface)."""

_NOSE_TIP, _MOUTH_CORNERS = 30, (48, 54)


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """The five points (5, 2) of 68 landmarks (68, >=2): each eye's middle, the nose's tip, the mouth's corners."""
    points = np.asarray(landmarks)[:, :2]
    eyes = [points[list(GROUPS[name])].mean(0) for name in ("left_eye", "right_eye")]
    return np.stack([*eyes, points[_NOSE_TIP], *points[list(_MOUTH_CORNERS)]])


def aligned_crop(image: np.ndarray, landmarks: np.ndarray, size: int = TEMPLATE_SIZE) -> np.ndarray:
    """The face in (H, W, 3) uint8, upright, (size, size, 3); black beyond the photograph.

    Args:
        landmarks: (68, >=2) pixels of the image.
    """
    target = transform_points(TEMPLATE, resize_similarity(TEMPLATE_SIZE, size))
    scale, rotation, shift = similarity_between(five_points(landmarks), target)
    matrix = np.column_stack([scale * rotation, shift])
    if scale < 0.5:
        # Bilinear reading skips pixels when it shrinks this much: the photograph is averaged down first.
        step = int(1 / scale)
        small = cv2.resize(image, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
        ratio = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
        matrix[:, 2] += matrix[:, :2] @ (0.5 * ratio - 0.5)
        matrix[:, :2] *= ratio
        image = small
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)
