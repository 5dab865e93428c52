"""Sets of fewer points than the 68."""

from __future__ import annotations

import numpy as np
import pytest

from nasface.faces.landmark_subsets import POINT_COUNTS, point_matrix
from nasface.faces.landmarks import FLIP_68


@pytest.mark.parametrize("count", POINT_COUNTS)
def test_points_are_means_of_landmarks(count: int) -> None:
    matrix = point_matrix(count)
    assert matrix.shape == (count, 68) and matrix.dtype == np.float32
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
    assert len({row.tobytes() for row in matrix}) == count


@pytest.mark.parametrize("count", POINT_COUNTS)
def test_a_set_is_its_own_mirror_image(count: int) -> None:
    matrix = point_matrix(count)
    mirrored = {tuple(np.round(row, 4)) for row in matrix[:, FLIP_68]}
    assert mirrored == {tuple(np.round(row, 4)) for row in matrix}


def test_the_sets_by_hand() -> None:
    landmarks = np.arange(68.0)
    np.testing.assert_allclose(point_matrix(5) @ landmarks, [38.5, 44.5, 30, 48, 54])
    np.testing.assert_allclose(point_matrix(51) @ landmarks, np.arange(17, 68))
    np.testing.assert_allclose(point_matrix(68) @ landmarks, landmarks)
    found = point_matrix(21) @ landmarks
    np.testing.assert_allclose(
        found,
        [17, 19, 21, 22, 24, 26, 36, 38.5, 39, 42, 44.5, 45, 2, 31, 30, 35, 14, 48, 63.5, 54, 8],
        rtol=1e-6,
    )
