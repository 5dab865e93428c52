from __future__ import annotations

import numpy as np
import pytest

from nasface.metrics.ced import failure_rate
from nasface.metrics.cofw import FAILURE, nme_29


def test_points_8_and_9_normalise() -> None:
    target = np.random.default_rng(0).uniform(0, 100, (2, 29, 2))
    target[:, 8], target[:, 9] = (10, 10), (40, 50)
    prediction = target + np.array([[[3, 4]], [[6, 8]]])
    prediction[1, 20:] += 500
    visible = np.ones((2, 29), bool)
    visible[1, 20:] = False
    found = nme_29(prediction, target, visible)
    assert found.tolist() == pytest.approx([10, 20])
    assert nme_29(prediction, target)[1] > 100
    assert failure_rate(np.round(found, 9), FAILURE) == 0.5
    with pytest.raises(ValueError, match="29"):
        nme_29(target[:, :20], target[:, :20])
