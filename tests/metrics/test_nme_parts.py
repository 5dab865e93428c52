from __future__ import annotations

import numpy as np
import pytest

from nasface.metrics.nme import align_depth, box_diagonal, box_sides, box_size, normalised_mean, point_errors

SQUARE = np.array([[[0, 0, 1], [3, 0, 2], [3, 12, 3], [1, 5, 6.0]]])


def test_distances_in_the_plane_and_in_space() -> None:
    moved = SQUARE + [3, 4, 12]
    assert point_errors(moved, SQUARE).tolist() == [[5, 5, 5, 5]]
    assert point_errors(moved, SQUARE, 3).tolist() == [[13, 13, 13, 13]]
    with pytest.raises(ValueError, match="3D"):
        point_errors(moved[..., :2], SQUARE, 3)


def test_depth_is_aligned_by_the_mean_or_by_the_least() -> None:
    other = SQUARE * [1, 1, 2] + [0, 0, 7]  # z of 9, 11, 13, 19: mean 13, least 9
    mean, least = align_depth(other, SQUARE), align_depth(other, SQUARE, "min")
    assert mean[0, :, 2].tolist() == [-1, 1, 3, 9]  # mean 3, that of 1, 2, 3, 6
    assert least[0, :, 2].tolist() == [1, 3, 5, 11]
    np.testing.assert_array_equal(mean[..., :2], SQUARE[..., :2])
    assert other[0, 0, 2] == 9  # the argument stays as it was
    with pytest.raises(ValueError, match="depth"):
        align_depth(other[..., :2], SQUARE)


def test_lengths_of_a_box() -> None:
    assert box_sides(SQUARE).tolist() == [[3, 12]]
    assert box_size(SQUARE).tolist() == [6]
    assert box_diagonal(SQUARE)[0] == pytest.approx(153**0.5)


def test_only_valid_points_count() -> None:
    errors = np.array([[1.0, 2, np.nan], [4, 6, 8], [5, 5, 5]])
    valid = np.array([[True, True, False], [True, True, True], [False, False, False]])
    np.testing.assert_allclose(normalised_mean(errors, [10, 20, 1], valid), [15, 30, np.nan])
    np.testing.assert_allclose(normalised_mean(errors, [10, 20, 1]), [np.nan, 30, 500])


@pytest.mark.parametrize(
    ("errors", "length", "valid"),
    [
        (np.ones((2, 3)), np.ones(3), None),
        (np.ones((2, 3)), np.array([1.0, 0.0]), None),
        (np.ones((2, 3)), np.array([1.0, np.nan]), None),
        (np.ones((2, 3)), np.ones(2), np.ones((2, 2), bool)),
        (np.ones(3), np.ones(()), None),
    ],
)
def test_what_does_not_fit_is_refused(errors: np.ndarray, length: np.ndarray, valid: np.ndarray | None) -> None:
    with pytest.raises(ValueError):
        normalised_mean(errors, length, valid)
