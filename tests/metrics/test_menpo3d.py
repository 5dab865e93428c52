from __future__ import annotations

import math

import numpy as np
import pytest

from nasface.metrics.aflw2000 import nme_2d
from nasface.metrics.menpo3d import over_videos, stability


def _video(frames: int = 5) -> np.ndarray:
    """A face of 20 x 45 pixels (30) that wanders."""
    face = np.random.default_rng(0).uniform(0, [20, 45], (68, 2))
    face[0], face[1] = (0, 0), (20, 45)
    return face + np.random.default_rng(1).normal(0, 4, (frames, 1, 2))


def test_an_offset_costs_accuracy_and_not_stability() -> None:
    target = _video()
    prediction = target + [3, 4]
    np.testing.assert_allclose(nme_2d(prediction, target), 100 * 5 / 30)
    np.testing.assert_allclose(stability(prediction, target), 0, atol=1e-9)


def test_jitter_costs_stability_twice() -> None:
    target = _video()
    prediction = target.copy()
    prediction[2] += (3, 4)  # into the jump, and out of it
    np.testing.assert_allclose(stability(prediction, target), [0, 100 * 5 / 30, 100 * 5 / 30, 0], atol=1e-9)


def test_a_still_prediction_of_a_moving_face_is_not_stable() -> None:
    target = _video()
    still = np.repeat(target[:1], 5, axis=0)
    moved = np.linalg.norm(np.diff(target[:, 0], axis=0), axis=1)
    np.testing.assert_allclose(stability(still, target), 100 * moved / 30)


def test_the_box_is_that_of_the_later_frame() -> None:
    target = _video(2) * np.array([1.0, 2.0])[:, None, None]
    motion = np.linalg.norm(target[1] - target[0], axis=1).mean()
    assert stability(np.repeat(target[:1], 2, 0), target)[0] == pytest.approx(100 * motion / 60)


def test_videos_count_by_their_frames() -> None:
    assert over_videos([np.array([1.0, 2, 3]), np.array([10.0])]) == 4
    assert math.isnan(over_videos([]))


def test_a_single_frame_holds_no_motion() -> None:
    with pytest.raises(ValueError, match="no motion"):
        stability(_video(1), _video(1))
    with pytest.raises(ValueError):
        stability(_video(3), _video(4))
