from __future__ import annotations

import numpy as np
import pytest

from nasface.metrics.w300 import diagonal_nme, eye_centre_nme, outer_corner_nme


def _face() -> np.ndarray:
    """Eyes whose corners, six points and outer corners have different centres; a box of 90 x 120."""
    face = np.full((1, 68, 2), 50.0)
    face[0, 0], face[0, 8] = (0, 0), (90, 120)
    face[0, 36:42] = [(10, 40), (14, 34), (18, 34), (22, 40), (18, 46), (14, 46)]
    face[0, 42:48] = [(50, 40), (56, 30), (60, 30), (70, 40), (60, 44), (56, 44)]
    return face


def test_lengths_of_one_face() -> None:
    target = _face()
    prediction = target + [3, 4]
    assert outer_corner_nme(prediction, target)[0] == pytest.approx(500 / 60)
    # Centres (16, 40) and (352 / 6, 38).
    assert eye_centre_nme(prediction, target)[0] == pytest.approx(500 / np.hypot(352 / 6 - 16, 2))
    assert eye_centre_nme(prediction, target, "two corners")[0] == pytest.approx(500 / 44)
    assert diagonal_nme(prediction, target)[0] == pytest.approx(500 / 150)


def test_depth_is_not_looked_at() -> None:
    flat = _face()
    deep = np.concatenate([flat, np.random.default_rng(0).normal(0, 50, (1, 68, 1))], axis=-1)
    for function in (outer_corner_nme, eye_centre_nme, diagonal_nme):
        np.testing.assert_array_equal(function(deep + 2, deep), function(flat + 2, flat))


@pytest.mark.parametrize("function", [outer_corner_nme, eye_centre_nme, diagonal_nme])
def test_68_points_are_needed(function: object) -> None:
    with pytest.raises(ValueError, match="68"):
        function(np.zeros((1, 66, 2)), np.zeros((1, 66, 2)))
