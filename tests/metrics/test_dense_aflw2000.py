from __future__ import annotations

import numpy as np
import pytest

from nasface.metrics.dense_aflw2000 import ANNOTATION_BOX, DENSE_CONVENTIONS, LANDMARKS_BOX, POINTS_BOX, dense_nme

# Box 8 x 18 (root of the area: 12); z of 0, 1, 2, 9: mean 3, least 0.
TARGET = np.array([[[0, 0, 0], [8, 0, 1], [8, 18, 2], [2, 3, 9.0]]])
# Box 4 x 9: 6.
LANDMARKS = np.array([[[1, 1], [5, 10], [2, 2]]])
# One point is 3, 4 off in the plane and 20 deeper, so the mean of z falls by 5 and the least by 20.
PREDICTION = TARGET + np.array([[[3, 4, -20], [0, 0, 0], [0, 0, 0], [0, 0, 0]]])


@pytest.mark.parametrize(("convention", "length"), [(POINTS_BOX, 12), (LANDMARKS_BOX, 6), (ANNOTATION_BOX, 6)])
def test_each_convention_has_its_own_length(convention: object, length: float) -> None:
    landmarks = None if convention is POINTS_BOX else LANDMARKS
    assert dense_nme(PREDICTION, TARGET, convention, landmarks, 2)[0] == pytest.approx(100 * 5 / 4 / length)


def test_depth_is_aligned_as_the_convention_says() -> None:
    mean = (np.sqrt(3**2 + 4**2 + 15**2) + 3 * 5) / 4
    least = (5 + 3 * 20) / 4
    assert dense_nme(PREDICTION, TARGET, POINTS_BOX)[0] == pytest.approx(100 * mean / 12)
    assert dense_nme(PREDICTION, TARGET, LANDMARKS_BOX, LANDMARKS)[0] == pytest.approx(100 * mean / 6)
    assert dense_nme(PREDICTION, TARGET, ANNOTATION_BOX, LANDMARKS)[0] == pytest.approx(100 * least / 6)


@pytest.mark.parametrize("convention", DENSE_CONVENTIONS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_depth_of_the_whole_face_is_free(convention: object, dimensions: int) -> None:
    moved = TARGET + [0, 0, 40]
    assert dense_nme(moved, TARGET, convention, LANDMARKS, dimensions)[0] == pytest.approx(0)


def test_the_landmarks_must_be_given_where_they_normalise() -> None:
    with pytest.raises(ValueError, match="2DASL.*needs landmarks"):
        dense_nme(PREDICTION, TARGET, ANNOTATION_BOX)
