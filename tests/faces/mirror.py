"""Faces and images under a mirror and a turn, written out plainly: what mirrored and turned predictions are compared
with."""

from __future__ import annotations

import numpy as np

from nasface.faces.landmarks import FLIP_68


def mirror_landmarks(points: np.ndarray, size: int) -> np.ndarray:
    """Landmarks (..., 68, C) in pixels of a `size` wide image after the image is mirrored left to right."""
    mirrored = np.array(points[..., FLIP_68, :])
    mirrored[..., 0] = (size - 1) - mirrored[..., 0]
    return mirrored


def mirror_pose(pose: np.ndarray, size: int) -> np.ndarray:
    """The pose (..., 3, 4) of the mirrored model (model x -> -x) in the mirrored image (x -> (size - 1) - x): yaw and
    roll change sign."""
    mirrored = np.array(pose)
    mirrored[..., 0, :] *= -1
    mirrored[..., 0, 3] += size - 1
    mirrored[..., :, 0] *= -1
    return mirrored


def similarity(scale: float, degrees: float, centre: tuple[float, float], target: tuple[float, float]) -> np.ndarray:
    """The (2, 3) matrix of an image transform: turn clockwise (as seen) by `degrees` and scale about `centre`, which
    goes to `target`; all in pixels."""
    angle = np.deg2rad(degrees)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    return np.concatenate([linear, (np.asarray(target) - linear @ np.asarray(centre))[:, None]], axis=1)
