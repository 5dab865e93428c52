"""Points of other sets in terms of the 68."""

from __future__ import annotations

import numpy as np
import pytest

from nasface.faces.correspondences import POINT_COUNTS, known_points, point_matrix
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
    np.testing.assert_allclose(point_matrix(66) @ landmarks, [*range(60), 61, 62, 63, 65, 66, 67])


def test_sets_with_points_of_their_own() -> None:
    """COFW's lower brows and every other point of Menpo 3D's jaw have no counterpart; the others mirror as their sets
    do (COFW's pairs from HRNet's lib/datasets/cofw.py, counted from 1)."""
    assert POINT_COUNTS == (5, 21, 51, 66, 68)
    assert np.flatnonzero(~known_points(29)).tolist() == [5, 7]
    assert known_points(84).sum() == 68 and not known_points(84)[1:33:2].any()
    np.testing.assert_allclose((point_matrix(84) @ np.arange(68.0))[known_points(84)], np.arange(68))
    pairs = [(1, 2), (5, 7), (3, 4), (6, 8), (9, 10), (11, 12), (13, 15), (17, 18), (14, 16), (19, 20), (23, 24)]
    order = np.arange(29)
    for first, second in np.array(pairs) - 1:
        order[[first, second]] = second, first
    matrix = point_matrix(29)
    np.testing.assert_allclose(matrix[order], matrix[:, FLIP_68])
