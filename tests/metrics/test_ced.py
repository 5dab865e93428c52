from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasface.metrics.ced import area_under_ced, area_under_ced_fan, ced_curve, failure_rate

ERRORS = [2.0, 4.0, 4.0, 10.0]


def test_the_curve_counts_what_is_at_most_the_threshold() -> None:
    assert ced_curve(ERRORS, [0, 2, 3.9, 4, 9, 10, 50]).tolist() == [0, 0.25, 0.25, 0.75, 0.75, 1, 1]


def test_a_hand_computed_area() -> None:
    # Below 8: a quarter of the images from 2 on, half of them from 4 on: (6 / 4 + 2 * 4 / 4) / 8.
    assert area_under_ced(ERRORS, 8) == pytest.approx(3.5 / 8)
    assert area_under_ced([0.0, 0.0], 8) == 1
    assert area_under_ced([9.0], 8) == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 20), min_size=1, max_size=30), st.floats(0.5, 15))
def test_the_area_is_the_integral_of_the_curve(errors: list[float], threshold: float) -> None:
    grid = (np.arange(20_000) + 0.5) / 20_000 * threshold
    assert area_under_ced(errors, threshold) == pytest.approx(ced_curve(errors, grid).mean(), abs=1e-4)


def test_fans_sum() -> None:
    # Thresholds are 100 i / 999, i = 0..69: 4.0 is passed from i = 40 (4.004) on, 2.0 from i = 20 (2.002) on.
    assert area_under_ced_fan(ERRORS) == pytest.approx((0.25 * 50 + 0.5 * 30) / 70)
    assert area_under_ced_fan([0.0]) == pytest.approx(69 / 70)  # strictly below, so not at the threshold 0
    many = np.random.default_rng(0).gamma(6, 0.6, 2000)
    assert 0 < area_under_ced(many, 7) - area_under_ced_fan(many) < 0.01


def test_failures() -> None:
    assert failure_rate(ERRORS, 4) == 0.25
    assert failure_rate(ERRORS, 3.99) == 0.75
    assert failure_rate(ERRORS, 10) == 0


def test_what_is_not_a_number_is_a_failure() -> None:
    errors = [1.0, math.nan, math.inf, 1.0]
    assert failure_rate(errors, 100) == 0.5
    assert area_under_ced(errors, 2) == 0.25
    assert ced_curve(errors, [1e9]).tolist() == [0.5]


def test_nothing_to_count() -> None:
    for function in (lambda: ced_curve([], [1]), lambda: area_under_ced([], 8), lambda: failure_rate([], 8)):
        with pytest.raises(ValueError, match="no error"):
            function()
    with pytest.raises(ValueError, match="threshold"):
        area_under_ced([1.0], 0)
