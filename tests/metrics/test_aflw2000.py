from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasface.metrics.aflw2000 import YAW_FILES, balanced_nme, binned_nme, nme_2d, nme_3d, yaw_bin, yaw_file_of


def test_the_edges_belong_to_the_lower_bin() -> None:
    yaw = [0, -30, 30, np.nextafter(30, 31), -45, 60, -60, 60.001, 90, -95, 351, float("nan")]
    assert yaw_bin(yaw).tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, -1]


def test_mean_is_the_mean_of_the_bins_and_all_is_over_images() -> None:
    result = binned_nme([1, 2, 3, 10, 20, 60], [0, 10, -20, 40, -50, 80])
    assert result.bins == (2.0, 15.0, 60.0)
    assert result.counts == (3, 2, 1)
    assert result.mean == pytest.approx(77 / 3)
    assert result.all == pytest.approx(16.0)
    assert result.std == pytest.approx(np.std([2, 15, 60]))


def test_an_empty_bin_is_not_a_number_and_is_left_out_of_the_mean() -> None:
    result = binned_nme([2.0, 4.0], [0, 70])
    assert math.isnan(result.bins[1])
    assert result.counts == (1, 0, 1)
    assert result.mean == pytest.approx(3.0)
    assert "-" in str(result)


def test_no_images_at_all() -> None:
    result = binned_nme([], [])
    assert result.counts == (0, 0, 0)
    assert math.isnan(result.mean) and math.isnan(result.all) and math.isnan(result.std)


def test_an_image_without_yaw_counts_in_all_only() -> None:
    result = binned_nme([1.0, 9.0], [0.0, float("nan")])
    assert result.counts == (1, 0, 0)
    assert result.mean == 1.0
    assert result.all == 5.0


def test_a_nan_error_shows() -> None:
    result = binned_nme([1.0, float("nan"), 3.0], [0.0, 40.0, 70.0])
    assert math.isnan(result.mean) and math.isnan(result.all)
    assert result.counts == (1, 1, 1)


def test_the_lengths_must_agree() -> None:
    with pytest.raises(ValueError):
        binned_nme([1.0], [0.0, 1.0])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 50), st.floats(-180, 180)), min_size=1, max_size=40))
def test_order_and_sign_do_not_matter(rows: list[tuple[float, float]]) -> None:
    nme, yaw = np.array(rows).T
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    first, second = binned_nme(nme, yaw), binned_nme(nme[order], -yaw[order])
    np.testing.assert_allclose(first.bins, second.bins)
    assert first.counts == second.counts and sum(first.counts) == len(rows)
    assert first.all == pytest.approx(np.dot(np.nan_to_num(first.bins), first.counts) / len(rows))


def _faces(seed: int, count: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 200, (count, 68, 3))


def test_the_two_dimensional_error_is_over_the_true_box() -> None:
    target = np.zeros((1, 68, 3))
    target[0, 0, :2], target[0, 1, :2] = (-10, -20), (30, 5)  # 40 x 25
    prediction = target + [3, 4, 77]
    assert nme_2d(prediction, target)[0] == pytest.approx(100 * 5 / 1000**0.5)
    # The prediction's own box, here twice as wide, is not asked for.
    assert nme_2d(target * [2, 1, 1], target)[0] == pytest.approx(100 * (10 + 30) / 68 / 1000**0.5)


def test_the_three_dimensional_error_leaves_the_depth_of_the_whole_face_out() -> None:
    target = _faces(0)
    np.testing.assert_allclose(nme_3d(target + [0, 0, 500], target), 0, atol=1e-9)
    moved = target.copy()
    moved[:, 0, 2] += 68  # the mean rises by 1: one point is 67 off, 67 points are 1 off
    box = np.sqrt(np.prod(target[..., :2].max(1) - target[..., :2].min(1), axis=1))
    np.testing.assert_allclose(nme_3d(moved, target), 100 * (67 + 67) / 68 / box)
    other = np.argmax(target[..., 2] == target[..., 2].min(1, keepdims=True), axis=1)
    assert (other != 0).all()
    np.testing.assert_allclose(nme_3d(moved, target, "min"), 100 * 68 / 68 / box)


def test_the_published_counts_name_their_file() -> None:
    assert [sum(counts) for counts in YAW_FILES.values()] == [2000, 2000]
    assert yaw_file_of((1312, 383, 305)) == "AFLW2000-3D.pose.npy"
    assert yaw_file_of((1306, 462, 232)) == "AFLW2000-3D-new.pose.npy"
    assert yaw_file_of((36, 33, 32)) is None


def test_a_published_mean_over_images_is_the_bins_weighted_by_their_counts() -> None:
    # SADRNet's bins (2.66, 3.30, 4.42): its "NME" of 3.05 is over the images of the first file, not of the second.
    def over_all(counts: tuple[int, int, int]) -> float:
        nme = np.repeat([2.66, 3.30, 4.42], counts)
        return binned_nme(nme, np.repeat([0, 45, 80], counts)).all

    first, second = YAW_FILES.values()
    assert over_all(first) == pytest.approx(3.05, abs=0.005)
    assert over_all(second) == pytest.approx(3.01, abs=0.005)


def test_balanced_subsets_have_the_mean_of_the_bins_as_expectation() -> None:
    rng = np.random.default_rng(1)
    yaw = np.repeat([10, -50, 70], [200, 60, 30])
    nme = rng.gamma(4, 1, 290) + yaw / 30
    drawn, binned = balanced_nme(nme, yaw, draws=400), binned_nme(nme, yaw)
    assert drawn.count == 30 and drawn.draws == 400
    assert drawn.mean == pytest.approx(binned.mean, abs=3 * drawn.std / 20)
    assert 0.01 < drawn.std < 0.5
    assert balanced_nme(nme, yaw, draws=5, seed=3) == balanced_nme(nme, yaw, draws=5, seed=3)
    assert balanced_nme(nme, yaw, draws=5, seed=3) != balanced_nme(nme, yaw, draws=5, seed=4)


def test_all_of_every_bin_leaves_nothing_to_chance() -> None:
    drawn = balanced_nme([1.0, 3, 5, 7, 9, 20], [0, 0, 45, 45, 80, -80], draws=7)
    assert drawn.mean == pytest.approx((2 + 6 + 14.5) / 3) and drawn.std == pytest.approx(0)
    for count in (0, 3):
        with pytest.raises(ValueError, match="smallest has 2"):
            balanced_nme([1.0, 3, 5, 7, 9, 20], [0, 0, 45, 45, 80, -80], count)
