"""The points of other sets and networks in terms of the 68: each is a mean of some of them, or has no counterpart.

AFLW-LFPA's 34 are not here: their order has not been published, so that a copy of the set says itself which of the 68
each is (`nasface.evaluation.benchmarks.aflw_lfpa`).
"""

from __future__ import annotations

import numpy as np

from nasface.faces.landmarks import GROUPS, NUM_LANDMARKS

_EYES = (GROUPS["left_eye"], GROUPS["right_eye"])
_NOSE_TIP, _MOUTH_CORNERS = 30, (48, 54)

AFLW_21: tuple[tuple[int, ...], ...] = (
    *((17,), (19,), (21,)),  # the left brow in the image: outer end, middle, inner end
    *((22,), (24,), (26,)),  # the right brow: inner end, middle, outer end
    *((36,), _EYES[0], (39,)),  # the left eye: outer corner, centre, inner corner
    *((42,), _EYES[1], (45,)),  # the right eye: inner corner, centre, outer corner
    *((2,), (31,), (30,), (35,), (14,)),  # ear lobe, nose, tip, nose, ear lobe
    *((48,), GROUPS["inner_lip"], (54,)),  # mouth: corner, centre, corner
    (8,),  # chin
)
"""Which of the 68 landmarks (0-based) are averaged to each of AFLW's 21 points, as 3DDFA compares them
(cleardusk/3DDFA, benchmark_aflw.py)."""
_COFW_29: tuple[tuple[int, ...], ...] = (
    *((17,), (26,), (21,), (22,)),  # brows: outer ends, inner ends; the left one in the image first, as below
    *((19,), (), (24,), ()),  # brows: upper and lower middle; the 68 lie on the upper edge
    *((36,), (45,), (39,), (42,)),  # eyes: outer corners, inner corners
    *((37, 38), (40, 41), (43, 44), (46, 47)),  # eyes: upper and lower lid of each
    *_EYES,  # pupils
    *((31,), (35,), (30,), (33,)),  # nose: wings, tip, base
    *((48,), (54,)),  # mouth: corners
    *((51,), (62,), (66,), (57,)),  # mouth: upper lip's upper and lower edge, lower lip's
    (8,),  # chin
)
_MENPO_84: tuple[tuple[int, ...], ...] = (
    *(() if point % 2 else (point // 2,) for point in range(33)),  # every other point of the jaw
    *((index,) for index in range(17, NUM_LANDMARKS)),
)
_MEANS = {
    5: (*_EYES, (_NOSE_TIP,), *((corner,) for corner in _MOUTH_CORNERS)),
    21: AFLW_21,
    29: _COFW_29,
    51: tuple((index,) for index in range(len(GROUPS["jaw"]), NUM_LANDMARKS)),
    66: tuple((index,) for index in range(NUM_LANDMARKS) if index not in (60, 64)),
    68: tuple((index,) for index in range(NUM_LANDMARKS)),
    84: _MENPO_84,
}
"""Indices of the 68 (from 0) whose mean is each point: 5 (eye centres, nose tip, mouth corners), 21 (AFLW's), 29
(COFW's, whose order is that of the mirrored pairs in HRNet's lib/datasets/cofw.py), 51 (without the jaw), 66 (3DFAW's,
without the inner lip's corners), 68 (all), 84 (Menpo 3D's: a jaw of 33 points, then the 51)."""
POINT_COUNTS = tuple(count for count, means in _MEANS.items() if all(means))
"""Numbers of points that 68 landmarks determine altogether."""


def point_matrix(count: int) -> np.ndarray:
    """(count, 68) float32: `points = point_matrix(count) @ landmarks`; rows sum to 1, or are 0 without a counterpart.

    Source: Zhang et al., "Adversarial Learning Semantic Volume", TIP 2019, section IV-G, names 5, 21 and 51.
    """
    matrix = np.zeros((count, NUM_LANDMARKS), dtype=np.float32)
    for row, indices in zip(matrix, _MEANS[count], strict=True):
        row[list(indices)] = 1 / max(1, len(indices))
    return matrix


def as_68(points: np.ndarray) -> np.ndarray:
    """Points (N, M, 3) of another set as the 68 landmarks (N, 68, 3) float32; NaN where none of them is a landmark."""
    found = np.full((len(points), NUM_LANDMARKS, points.shape[2]), np.nan, dtype=np.float32)
    for number, indices in enumerate(_MEANS[points.shape[1]]):
        if len(indices) == 1:
            found[:, indices[0]] = points[:, number]
    return found


def known_points(count: int) -> np.ndarray:
    """(count,) bool: which of the points have a counterpart among the 68."""
    return np.array([bool(indices) for indices in _MEANS[count]])
