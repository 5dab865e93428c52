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

_MIRROR_PAIRS = (
    [(i, 16 - i) for i in range(8)]
    + [(17 + i, 26 - i) for i in range(5)]
    + [(31, 35), (32, 34)]
    + [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
    + [(48, 54), (49, 53), (50, 52), (55, 59), (56, 58)]
    + [(60, 64), (61, 63), (65, 67)]
)


def _flip_order() -> np.ndarray:
    order = np.arange(NUM_LANDMARKS)
    for a, b in _MIRROR_PAIRS:
        order[a], order[b] = b, a
    order.setflags(write=False)
    return order


FLIP_68: np.ndarray = _flip_order()
"""(68,) int: `mirrored_points = points[..., FLIP_68, :]` after x -> (S - 1) - x; its own inverse."""


def bounding_box(points: np.ndarray) -> np.ndarray:
    """Width and height (..., 2) of the box around landmarks (..., M, >=2): the normaliser of the benchmarks (max -
    min, no margin)."""
    xy = points[..., :2]
    return xy.max(axis=-2) - xy.min(axis=-2)
