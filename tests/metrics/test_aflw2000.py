from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasface.metrics.aflw2000 import binned_nme, yaw_bin


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
