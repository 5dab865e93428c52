"""The 68 iBUG landmarks: names of their groups and their order under a mirror.

The order is that of the 300-W annotation (https://ibug.doc.ic.ac.uk/resources/300-W): left and right below are the
image's, on a frontal face.
"""

from __future__ import annotations

import numpy as np

NUM_LANDMARKS = 68

GROUPS: dict[str, tuple[int, ...]] = {
    "jaw": tuple(range(0, 17)),
    "left_brow": tuple(range(17, 22)),
    "right_brow": tuple(range(22, 27)),
    "nose_bridge": tuple(range(27, 31)),
    "nose_base": tuple(range(31, 36)),
    "left_eye": tuple(range(36, 42)),
    "right_eye": tuple(range(42, 48)),
    "outer_lip": tuple(range(48, 60)),
    "inner_lip": tuple(range(60, 68)),
}
"""Indices of each part, in the order in which its outline is drawn."""

CLOSED_GROUPS = ("left_eye", "right_eye", "outer_lip", "inner_lip")
"""Groups whose outline returns to its first point."""

FLIP_68 = np.array(
    [
        *(*range(16, -1, -1), *range(26, 16, -1)),  # jaw and brows
        *(*range(27, 31), *range(35, 30, -1)),  # nose
        *(*range(45, 41, -1), 47, 46, *range(39, 35, -1), 41, 40),  # eyes
        *(*range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1)),  # lips
    ]
)
"""(68,) int: `mirrored_points = points[..., FLIP_68, :]` after x -> (S - 1) - x; its own inverse."""


FLIP_68.setflags(write=False)


def bounding_box(points: np.ndarray) -> np.ndarray:
    """Width and height (..., 2) of the box around landmarks (..., M, >=2): the normaliser of the benchmarks (max -
    min, no margin)."""
    xy = points[..., :2]
    return xy.max(axis=-2) - xy.min(axis=-2)


def complete_landmarks(landmarks: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Landmarks (N, M, 3) with those that are NaN filled in, float32.

    The mean shape (M, 3), in model coordinates, is laid on the known points of each face by least squares. Where no
    depth is known, the third row of that map is at right angles to the other two and of their length.

    Args:
        landmarks: x and y of at least four points of each face are known.
    """
    found = np.array(landmarks, dtype=np.float32)
    shape = np.column_stack(((mean - mean.mean(axis=0)) / mean.std(), np.ones(len(mean))))
    for face in np.flatnonzero(np.isnan(found).any(axis=(1, 2))):
        points = found[face]
        known = np.isfinite(points)
        rows = [
            np.linalg.lstsq(shape[known[:, axis]], points[known[:, axis], axis], rcond=1e-3)[0]
            for axis in range(3 if known[:, 2].any() else 2)
        ]
        if len(rows) == 2:
            across = -np.cross(rows[0][:3], rows[1][:3])
            rows.append(np.append(across / np.sqrt(max(float(np.linalg.norm(across)), 1e-9)), 0.0))
        points[~known] = (shape @ np.stack(rows).T)[~known]
    return found
