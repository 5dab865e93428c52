from __future__ import annotations

import numpy as np
import pytest

from nasface.metrics.aflw_lfpa import nme_34


def test_only_visible_points_count_and_the_box_is_the_sets() -> None:
    target = np.random.default_rng(0).uniform(0, 100, (2, 34, 2))
    prediction = target + [3, 4]
    prediction[0, 10:] += 1000
    prediction[0, 9] += (3, 4)  # 10 off
    visible = np.ones((2, 34), bool)
    visible[0, 10:] = False
    target[0, 20] = np.nan
    found = nme_34(prediction, target, visible, [[20, 45], [50, 50]])
    assert found.tolist() == pytest.approx([100 * (9 * 5 + 10) / 10 / 30, 100 * 5 / 50])


@pytest.mark.parametrize(
    ("points", "box"), [((2, 33, 2), np.ones((2, 2))), ((2, 34, 2), np.ones(2)), ((2, 34, 2), -np.ones((2, 2)))]
)
def test_shapes_that_do_not_fit(points: tuple[int, ...], box: np.ndarray) -> None:
    with pytest.raises(ValueError):
        nme_34(np.zeros(points), np.zeros(points), np.ones(points[:2], bool), box)
