from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasface.faces.landmarks import bounding_box
from nasface.metrics.nme import nme_68


def _landmarks(seed: int, count: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 120, (count, 68, 3))


def test_a_hand_computed_value() -> None:
    target = np.zeros((1, 68, 3))
    target[0, 0, :2] = (-10.0, -20.0)
    target[0, 1, :2] = (30.0, 5.0)
    prediction = target.copy()
    prediction[0, 2] = (3.0, 4.0, 100.0)  # 5 px in the plane; z must not count
    prediction[0, 5] = (0.0, -12.0, 0.0)
    box = bounding_box(target)
    assert box.tolist() == [[40.0, 25.0]]
    # sqrt(40 * 25) = 31.6228; (5 + 12) / 68 = 0.25
    assert nme_68(prediction, target, box)[0] == pytest.approx(0.25 / 31.6227766 * 100)


def test_two_coordinates_are_enough_and_give_the_same() -> None:
    target, prediction = _landmarks(0), _landmarks(1)
    box = bounding_box(target)
    np.testing.assert_array_equal(nme_68(prediction[..., :2], target, box), nme_68(prediction, target, box))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 20), st.floats(-500, 500))
def test_the_unit_and_the_origin_do_not_matter(seed: int, scale: float, shift: float) -> None:
    target, prediction = _landmarks(seed), _landmarks(seed + 1)
    here = nme_68(prediction, target, bounding_box(target))
    moved = target * scale + shift
    there = nme_68(prediction * scale + shift, moved, bounding_box(moved))
    np.testing.assert_allclose(there, here, rtol=1e-9)


def test_a_broken_prediction_is_not_a_good_one() -> None:
    target = _landmarks(3)
    prediction = target.copy()
    prediction[1, 4, 0] = np.nan
    result = nme_68(prediction, target, bounding_box(target))
    assert result[0] == 0.0
    assert np.isnan(result[1])


@pytest.mark.parametrize(
    ("prediction", "target", "box"),
    [
        (np.zeros((2, 68, 2)), np.zeros((3, 68, 2)), np.ones((2, 2))),
        (np.zeros((2, 21, 2)), np.zeros((2, 21, 2)), np.ones((2, 2))),
        (np.zeros((2, 68, 2)), np.zeros((2, 68, 2)), np.ones((1, 2))),
        (np.zeros((2, 68, 2)), np.zeros((2, 68, 2)), np.zeros((2, 2))),
        (np.zeros((2, 68, 1)), np.zeros((2, 68, 1)), np.ones((2, 2))),
    ],
)
def test_shapes_that_do_not_fit_are_refused(prediction: np.ndarray, target: np.ndarray, box: np.ndarray) -> None:
    with pytest.raises(ValueError):
        nme_68(prediction, target, box)
