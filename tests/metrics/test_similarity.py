from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from nasface.metrics.similarity import Similarity, fit_similarity


def _random(seed: int) -> Similarity:
    rng = np.random.default_rng(seed)
    return Similarity(rng.uniform(0.1, 9), Rotation.random(rng=rng).as_matrix(), rng.normal(0, 50, 3))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 40))
def test_a_known_similarity_is_found(seed: int, count: int) -> None:
    wanted = _random(seed)
    points = np.random.default_rng(seed + 1).normal(0, 10, (count, 3))
    found = fit_similarity(points, wanted.apply(points))
    assert found.scale == pytest.approx(wanted.scale, rel=1e-6)
    np.testing.assert_allclose(found.apply(points), wanted.apply(points), atol=1e-5)
    assert np.linalg.det(found.rotation) == pytest.approx(1)


def test_no_other_similarity_is_better() -> None:
    rng = np.random.default_rng(4)
    source = rng.normal(size=(12, 3))
    target = _random(2).apply(source) + rng.normal(0, 3, (12, 3))
    found = fit_similarity(source, target)

    def cost(x: np.ndarray) -> float:
        other = Similarity(x[0], Rotation.from_rotvec(x[1:4]).as_matrix(), x[4:])
        return float(((other.apply(source) - target) ** 2).sum())

    start = np.concatenate([[found.scale], Rotation.from_matrix(found.rotation).as_rotvec(), found.shift])
    searched = minimize(cost, start + rng.normal(0, 0.3, 7), method="BFGS")
    assert cost(start) <= searched.fun + 1e-9
    assert cost(start) == pytest.approx(searched.fun, rel=1e-6)


def test_it_agrees_with_scipys_procrustes() -> None:
    rng = np.random.default_rng(5)
    source = rng.normal(size=(20, 3))
    target = source + rng.normal(0, 0.2, (20, 3))  # near enough that the best map is no reflection
    _, _, disparity = procrustes(target, source)
    residual = ((fit_similarity(source, target).apply(source) - target) ** 2).sum()
    assert residual / ((target - target.mean(0)) ** 2).sum() == pytest.approx(disparity)


def test_a_mirror_image_is_not_made_equal() -> None:
    points = np.random.default_rng(6).normal(size=(10, 3))
    mirrored = points * [-1, 1, 1]
    found = fit_similarity(points, mirrored)
    assert np.linalg.det(found.rotation) == pytest.approx(1)
    assert np.abs(found.apply(points) - mirrored).max() > 0.3


def test_a_rigid_motion_keeps_lengths() -> None:
    points = np.random.default_rng(7).normal(size=(10, 3))
    found = fit_similarity(points, points * 3 + 1, scale=False)
    assert found.scale == 1
    np.testing.assert_allclose(found.rotation, np.eye(3), atol=1e-12)


def test_one_after_another() -> None:
    first, second = _random(8), _random(9)
    points = np.random.default_rng(10).normal(size=(5, 3))
    np.testing.assert_allclose(second.after(first).apply(points), second.apply(first.apply(points)))


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (np.zeros((2, 3)), np.zeros((2, 3))),
        (np.ones((5, 3)), np.zeros((5, 3))),
        (np.ones((5, 2)), np.ones((5, 2))),
        (np.arange(15.0).reshape(5, 3), np.zeros((4, 3))),
        (np.full((5, 3), np.nan), np.zeros((5, 3))),
    ],
)
def test_what_determines_no_similarity_is_refused(source: np.ndarray, target: np.ndarray) -> None:
    with pytest.raises(ValueError, match="similarity"):
        fit_similarity(source, target)
