from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nasface.metrics.similarity import Similarity
from nasface.metrics.threedfaw import cvgtce, gte


def _faces(seed: int) -> np.ndarray:
    faces = np.random.default_rng(seed).normal(0, 30, (3, 66, 3))
    faces[:, 36], faces[:, 45] = (0, 0, 0), (30, 40, 120)  # 130 apart in space, 50 in the image
    return faces


def test_distances_and_the_eyes_are_in_space() -> None:
    target = _faces(0)
    prediction = target.copy()
    prediction[0, 3] += (2, 3, 6)  # 7 off
    assert gte(prediction, target).tolist() == pytest.approx([100 * 7 / 66 / 130, 0, 0])
    assert gte(target + [0, 0, 13], target).tolist() == pytest.approx([10, 10, 10])


def test_a_similarity_costs_nothing_across_views() -> None:
    target = _faces(1)
    turn = Similarity(2.5, Rotation.from_euler("y", 60, degrees=True).as_matrix(), np.array([5, 6, 7]))
    assert cvgtce(turn.apply(target), target) == pytest.approx(0, abs=1e-9)
    assert (gte(turn.apply(target), target) > 10).all()


def test_the_prediction_is_moved_and_not_the_truth() -> None:
    target = _faces(2)
    noisy = target + np.random.default_rng(3).normal(0, 2, target.shape)
    small = cvgtce(noisy * 0.01, target)
    np.testing.assert_allclose(small, cvgtce(noisy, target))  # else the error would shrink with it
    # Two points of a figure that no similarity can mend: computed by hand. Three points on a line, middle one off.
    line = np.array([[[-1, 0, 0], [0, 0, 0], [1, 0, 0.0]]])
    bent = np.array([[[-1, 0, 0], [0, 3, 0], [1, 0, 0.0]]])
    # Centred, bent is (-1,-1), (0,2), (1,-1); its best scale onto the line is 2 / 8.
    wanted = (2 * np.hypot(0.75, 0.25) + 0.5) / 3 / 2 * 100
    assert cvgtce(bent, line, (0, 2))[0] == pytest.approx(wanted)


def test_a_broken_prediction_is_no_good_one() -> None:
    target = _faces(4)
    prediction = target.copy()
    prediction[1, 4, 2] = np.nan
    assert np.isnan(cvgtce(prediction, target)).tolist() == [False, True, False]
    assert np.isnan(gte(prediction, target)).tolist() == [False, True, False]
    with pytest.raises(ValueError, match="3D"):
        cvgtce(prediction[..., :2], target[..., :2])
