"""Fewer points than the 68: each is a mean of some of them."""

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
_MEANS = {
    5: (*_EYES, (_NOSE_TIP,), *((corner,) for corner in _MOUTH_CORNERS)),
    21: AFLW_21,
    51: tuple((index,) for index in range(len(GROUPS["jaw"]), NUM_LANDMARKS)),
    68: tuple((index,) for index in range(NUM_LANDMARKS)),
}
POINT_COUNTS = tuple(_MEANS)
"""Known numbers of points: 5 (eye centres, nose tip, mouth corners), 21 (AFLW's), 51 (without the jaw), 68 (all)."""


def point_matrix(count: int) -> np.ndarray:
    """(count, 68) float32, `count` one of `POINT_COUNTS`: `points = point_matrix(count) @ landmarks`; rows sum to 1.

    Source: Zhang et al., "Adversarial Learning Semantic Volume", TIP 2019, section IV-G, names the sets.
    """
    matrix = np.zeros((count, NUM_LANDMARKS), dtype=np.float32)
    for row, indices in zip(matrix, _MEANS[count], strict=True):
        row[list(indices)] = 1 / len(indices)
    return matrix
