"""Rigid and similarity transforms between point sets, in closed form (Umeyama 1991, "Least-squares estimation of
transformation parameters between two point patterns")."""

from __future__ import annotations

import numpy as np

from nasface.faces.camera import matrix_to_euler, split_pose


def similarity_between(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation (D, D) and translation (D,) with the least squared error of scale * R @ source + t to target,
    both (P, D) corresponding points; no mirror is ever used. A ValueError where the source is one point."""
    a, b = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(f"point sets of shapes {a.shape} and {b.shape} do not correspond")
    centre_a, centre_b = a.mean(0), b.mean(0)
    a, b = a - centre_a, b - centre_b
    spread = (a**2).sum()
    if not spread > 0:
        raise ValueError("a similarity needs points that differ")
    left, singular, right = np.linalg.svd(b.T @ a)
    sign = np.ones(a.shape[1])
    sign[-1] = np.sign(np.linalg.det(left @ right)) or 1.0
    rotation = left @ np.diag(sign) @ right
    scale = float((singular * sign).sum() / spread)
    return scale, rotation, centre_b - scale * rotation @ centre_a


def head_angles(model_landmarks: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Pitch, yaw, roll (3,) in degrees (`nasface.faces.camera`) of landmarks (P, 3) in image pixels, y down, z toward
    the camera; where depth is NaN, they come from x and y alone. `model_landmarks` are the mean face's in model
    coordinates."""
    model = np.asarray(model_landmarks, dtype=np.float64)
    points = np.asarray(landmarks, dtype=np.float64)
    if np.isfinite(points[:, 2]).all():
        return matrix_to_euler(similarity_between(model, points * [1.0, -1.0, 1.0])[1])
    rows = np.linalg.lstsq(np.column_stack([model, np.ones(len(model))]), points[:, :2], rcond=None)[0].T
    return split_pose(np.concatenate([rows, rows[:1]]))[1]
