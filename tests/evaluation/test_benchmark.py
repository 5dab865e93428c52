"""What all benchmarks share: summaries of errors, the registry, and mirrored predictions."""

from __future__ import annotations

import numpy as np
import pytest

from nasface.evaluation.benchmark import BENCHMARKS, Errors, register_benchmark, yaw_groups
from nasface.evaluation.flip import with_mirrored
from nasface.faces.landmarks import FLIP_68
from nasface.metrics.aflw2000 import binned_nme
from nasface.utils.errors import UserError


def test_the_summary_by_hand() -> None:
    values = np.array([1.0, 3.0, 6.0, np.nan])
    errors = Errors("2D", values, yaw_groups(np.array([0, 10, 50, 80])), True, ~np.isnan(values))
    summary = errors.summary(4.0)
    assert summary.groups == pytest.approx({"[0,30]": 2, "[30,60]": 6, "[60,90]": np.nan}, nan_ok=True)
    assert summary.counts == {"[0,30]": 2, "[30,60]": 1, "[60,90]": 0} and summary.images == 3
    assert (summary.mean, summary.std, summary.all) == pytest.approx((4, 2, 10 / 3))
    assert (summary.auc, summary.failures) == pytest.approx(((3 + 1 + 0) / 12, 1 / 3))
    ungrouped = Errors("all", values[:3]).summary(4.0)
    assert ungrouped.mean is None and ungrouped.all == pytest.approx(10 / 3)


def test_balanced_summaries_are_aflw2000s() -> None:
    rng = np.random.default_rng(0)
    values, yaw = rng.uniform(1, 9, 50), rng.uniform(-90, 90, 50)
    expected, found = binned_nme(values, yaw), Errors("", values, yaw_groups(yaw), True).summary(8.0)
    assert tuple(found.groups.values()) == pytest.approx(expected.bins)
    assert (found.mean, found.std, found.all) == pytest.approx((expected.mean, expected.std, expected.all))


def test_a_prediction_that_is_no_number_leaves_no_mean() -> None:
    summary = Errors("", np.array([1.0, np.nan])).summary(8.0)
    assert np.isnan(summary.all) and summary.failures == 0.5
    with pytest.raises(UserError, match="no face of the set has this error"):
        Errors("21", np.array([np.nan]), counted=np.array([False])).summary(8.0)


def test_names_that_are_taken_raise() -> None:
    details = {key: "" for key in ("set", "points", "protocol", "source", "holds")}
    with BENCHMARKS.scope():
        register_benchmark("mine", **details)(lambda request: None)
        with pytest.raises(ValueError, match="'mine' is taken"):
            register_benchmark("mine", **details)(lambda request: None)
    assert "mine" not in BENCHMARKS
    for name in BENCHMARKS.names():
        entry = BENCHMARKS.get(name)
        assert entry.set and entry.points and entry.protocol and entry.source and entry.holds


def test_mirroring_cancels_an_error_that_has_a_side() -> None:
    """A network that sees every face 2 pixels too far to the right is right on average, its map too."""
    rng = np.random.default_rng(0)
    points, size = rng.uniform(0, 31, (2, 68, 3)), 32
    maps = rng.uniform(0, 31, (2, 3, 4, 4))
    images = np.arange(2 * size * size * 3, dtype=np.uint64).astype(np.uint8).reshape(2, size, size, 3)

    def regress(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if np.array_equal(crops, images):
            return points + [2, 0, 0], maps + np.array([2, 0, 0]).reshape(3, 1, 1)
        assert np.array_equal(crops, images[:, :, ::-1])
        mirrored = maps[..., ::-1].copy()
        mirrored[:, 0] = size - 1 - mirrored[:, 0]
        turned = points[:, FLIP_68] * [-1, 1, 1] + [size - 1, 0, 0]
        return turned + [2, 0, 0], mirrored + np.array([2, 0, 0]).reshape(3, 1, 1)

    landmarks, dense = with_mirrored(regress)(images)
    np.testing.assert_allclose(landmarks, points)
    np.testing.assert_allclose(dense, maps)
    assert with_mirrored(lambda crops: (points, None))(images)[1] is None
