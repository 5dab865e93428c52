"""Scaled orthographic camera: the one place where signs, pixel origins and angle orders are written.

A pose is a (3, 4) matrix P that takes model coordinates (x right on a frontal face, y up, z toward the camera) to
crop pixels (x right, y DOWN, integer coordinate = pixel centre, first pixel = 0, z in pixels, growing toward the
camera): crop = P[:, :3] @ model + P[:, 3].

Angles are those of 300W-LP and AFLW2000-3D, in degrees, in the order pitch, yaw, roll, with R = Rx(pitch) Ry(yaw)
Rz(roll) and

    Rx = [1 0 0; 0 c s; 0 -s c]    Ry = [c 0 -s; 0 1 0; s 0 c]    Rz = [c s 0; -s c 0; 0 0 1]

(the sets' own RotationMatrix.m). Hence, in the image: positive yaw turns the nose to the LEFT of the image, positive
pitch turns it UP, positive roll turns the face CLOCKWISE. The sets' vertices are f R v + t in an image with y up
whose first pixel is 1; their own drawing code takes y = height + 1 - y, still 1-based, so that a 0-based image has x
- 1 and y = height - y.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_FLIP_Y = np.diag([1.0, -1.0, 1.0])


def euler_to_matrix(angles: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of angles (..., 3): pitch, yaw, roll in degrees, 300W-LP's order and signs."""
    radians = np.moveaxis(np.deg2rad(np.asarray(angles, dtype=np.float64)), -1, 0)
    rows = rotation_rows(np.cos(radians), np.sin(radians))
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def rotation_rows(cos: Any, sin: Any) -> tuple[tuple[Any, Any, Any], ...]:
    """The rows of the rotation matrix of pitch, yaw and roll with these cosines and sines, arrays or tensors."""
    (cx, cy, cz), (sx, sy, sz) = cos, sin
    return (
        (cy * cz, cy * sz, -sy),
        (sx * sy * cz - cx * sz, sx * sy * sz + cx * cz, sx * cy),
        (cx * sy * cz + sx * sz, cx * sy * sz - sx * cz, cx * cy),
    )


def matrix_to_euler(rotation: np.ndarray) -> np.ndarray:
    """Pitch, yaw, roll (..., 3) in degrees of rotation matrices (..., 3, 3); yaw in [-90, 90], at +-90 (where only
    one of the other two is defined) roll is 0."""
    r = np.asarray(rotation, dtype=np.float64)
    yaw = np.arcsin(np.clip(-r[..., 0, 2], -1.0, 1.0))
    locked = np.hypot(r[..., 1, 2], r[..., 2, 2]) < 1e-7
    pitch = np.where(
        locked, np.arctan2(np.sign(yaw) * r[..., 1, 0], r[..., 1, 1]), np.arctan2(r[..., 1, 2], r[..., 2, 2])
    )
    roll = np.where(locked, 0.0, np.arctan2(r[..., 0, 1], r[..., 0, 0]))
    return np.rad2deg(np.stack([pitch, yaw, roll], axis=-1))


def make_pose(scale: np.ndarray | float, angles: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Pose matrices (..., 3, 4), float32, of scales (...) in pixels per model unit, > 0, angles (..., 3): pitch, yaw,
    roll in degrees, and translations (..., 3): crop pixels where the model's origin comes to lie (x right, y down, z
    toward the camera)."""
    linear = np.asarray(scale, dtype=np.float64)[..., None, None] * (_FLIP_Y @ euler_to_matrix(angles))
    column = np.broadcast_to(np.asarray(translation, dtype=np.float64), (*linear.shape[:-2], 3))[..., None]
    return np.concatenate([linear, column], axis=-1).astype(np.float32)


def split_pose(pose: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The inverse of `make_pose`: scale (...), angles (..., 3) in degrees, translation (..., 3). The scale is the
    mean length of the first two rows."""
    pose = np.asarray(pose, dtype=np.float64)
    rows = _FLIP_Y @ pose[..., :3]
    first, second = np.linalg.norm(rows[..., 0, :], axis=-1), np.linalg.norm(rows[..., 1, :], axis=-1)
    x, y = rows[..., 0, :] / first[..., None], rows[..., 1, :] / second[..., None]
    return (first + second) / 2, matrix_to_euler(np.stack([x, y, np.cross(x, y)], axis=-2)), pose[..., 3]


def pose_from_300wlp(pose_para: np.ndarray, height: int) -> np.ndarray:
    """The pose matrix (3, 4) float32, in 0-based pixels of an image `height` pixels high (450 in both sets), of a
    `Pose_Para` of 300W-LP or AFLW2000-3D, 7 finite numbers: pitch, yaw, roll in radians, tx, ty, tz in 1-based pixels
    with y up, scale f."""
    values = np.asarray(pose_para, dtype=np.float64).ravel()
    if values.size != 7 or not np.isfinite(values).all():
        raise ValueError(f"a Pose_Para holds 7 finite numbers, this one is {values.tolist()}")
    tx, ty, tz = values[3:6]
    return make_pose(values[6], np.rad2deg(values[:3]), np.array([tx - 1.0, height - ty, tz]))


def matrix_to_pose(matrix: np.ndarray, height: float) -> np.ndarray:
    """The pose (..., 3, 4), float64, of a matrix of 300W-LP's or 3DDFA's, [f R | t] in an image of that height whose y
    points up and whose first pixel is 1."""
    pose = np.array(matrix, dtype=np.float64)
    pose[..., 0, 3] -= 1.0
    pose[..., 1, :] *= -1.0
    pose[..., 1, 3] += height
    return pose


def pose_to_matrix(pose: np.ndarray, height: float) -> np.ndarray:
    """The inverse of `matrix_to_pose`."""
    matrix = np.array(pose, dtype=np.float64)
    matrix[..., 0, 3] += 1.0
    matrix[..., 1, 3] -= height
    matrix[..., 1, :] *= -1.0
    return matrix


def points_from_300wlp(points: np.ndarray) -> np.ndarray:
    """0-based pixels of points (..., C) stored 1-based with y down (pt3d_68, pt2d): x - 1, y - 1; z, if any, is
    kept."""
    shifted = np.array(points, dtype=np.float32)
    shifted[..., :2] -= 1.0
    return shifted


def project(pose: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Crop pixels (..., V, 3) of model vertices (..., V, 3) under poses (..., 3, 4).

    >>> pose = make_pose(20.0, np.array([0.0, 30.0, 0.0]), np.array([31.5, 31.5, 0.0]))  # yaw 30 degrees
    >>> project(pose, np.zeros((1, 3)))  # the model's origin
    array([[31.5, 31.5,  0. ]])
    """
    return vertices @ np.swapaxes(pose[..., :3], -1, -2) + pose[..., None, :, 3]


def resize_similarity(old: float, new: float) -> np.ndarray:
    """The (2, 3) matrix of resizing an `old` pixels wide square to `new`: x' = (x + 0.5) new / old - 0.5."""
    ratio = new / old
    return np.array([[ratio, 0.0, 0.5 * ratio - 0.5], [0.0, ratio, 0.5 * ratio - 0.5]])


def crop_similarity(centre: tuple[float, float], side: float, size: int) -> np.ndarray:
    """The (2, 3) matrix that cuts the square of `side` pixels around `centre` (a coordinate, pixel centres at
    integers) and resizes it to `size`."""
    ratio = size / side
    corner = np.asarray(centre, dtype=np.float64) - side / 2
    return np.concatenate([np.eye(2) * ratio, (-ratio * corner - 0.5)[:, None]], axis=1)


def transform_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (..., 2 or 3) under an image similarity (..., 2, 3); a third column, depth, is scaled with the image."""
    matrix = np.asarray(matrix, dtype=np.float64)
    points = np.asarray(points)
    xy = np.einsum("...ij,...nj->...ni", matrix[..., :2], points[..., :2]) + matrix[..., None, :, 2]
    depth = points[..., 2:] * _ratio(matrix)[..., None, None]
    return np.concatenate([xy, depth], axis=-1).astype(np.float32)


def transform_pose(pose: np.ndarray, matrix: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    """The pose (..., 3, 4) of type `dtype` after the image goes through a similarity (..., 2, 3): projecting then
    equals projecting before and transforming."""
    matrix = np.asarray(matrix, dtype=np.float64)
    rows = matrix[..., :2] @ np.asarray(pose, dtype=np.float64)[..., :2, :]
    rows[..., 3] += matrix[..., 2]
    depth = pose[..., 2:, :] * _ratio(matrix)[..., None, None]
    return np.concatenate([rows, depth], axis=-2).astype(dtype)


def _ratio(matrix: np.ndarray) -> np.ndarray:
    return np.hypot(matrix[..., 0, 0], matrix[..., 1, 0])
