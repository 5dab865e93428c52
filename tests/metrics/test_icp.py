from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from nasface.metrics.icp import iterative_closest_points
from nasface.metrics.similarity import Similarity

TURN = Similarity(1.0, Rotation.from_euler("xyz", [4, -6, 3], degrees=True).as_matrix(), np.array([2.0, -1.0, 3.0]))


def surface(count: int, seed: int) -> np.ndarray:
    """Points of an uneven bowl, about 100 wide: no turn takes it to itself."""
    x, y = np.random.default_rng(seed).uniform(-50, 50, (2, count))
    return np.stack([x, y, -0.01 * x**2 - 0.004 * y**2 + 5 * np.sin(0.1 * x) + 0.02 * x * y], axis=1)


def test_a_moved_cloud_comes_back_exactly() -> None:
    fixed = surface(1500, 0)
    order = np.random.default_rng(1).permutation(1500)[:600]
    found = iterative_closest_points(TURN.apply(fixed[order]), fixed, tolerance=1e-12)
    assert found.converged
    np.testing.assert_array_equal(found.closest, order)
    np.testing.assert_allclose(found.distances, 0, atol=1e-6)
    np.testing.assert_allclose(found.transform.after(TURN).apply(fixed), fixed, atol=1e-6)


def test_the_size_is_found_where_it_may_change() -> None:
    fixed = surface(1500, 2)
    larger = 1.1 * fixed[:700]
    free = iterative_closest_points(larger, fixed, scale=True, iterations=300, tolerance=1e-12)
    rigid = iterative_closest_points(larger, fixed, iterations=300)
    assert free.transform.scale == pytest.approx(1 / 1.1, rel=1e-4)
    assert rigid.transform.scale == 1
    assert free.distances.mean() < 0.01 * rigid.distances.mean()


def test_what_it_reports_is_what_brute_force_finds() -> None:
    fixed, moving = surface(300, 3), TURN.apply(surface(200, 4))
    found = iterative_closest_points(moving, fixed, iterations=2)
    apart = cdist(found.transform.apply(moving), fixed)
    np.testing.assert_array_equal(found.closest, apart.argmin(1))
    np.testing.assert_allclose(found.distances, apart.min(1))
    assert found.iterations == 2 and not found.converged


def test_the_error_never_grows() -> None:
    fixed, moving = surface(400, 5), TURN.apply(surface(300, 6))
    errors = [
        (iterative_closest_points(moving, fixed, iterations=k, tolerance=-1).distances ** 2).mean()
        for k in (1, 2, 4, 8, 16)
    ]
    assert (np.diff(errors) <= 1e-12).all() and errors[-1] < errors[0]


@pytest.mark.parametrize(
    ("moving", "fixed"),
    [
        (np.zeros((5, 3)), np.zeros((0, 3))),
        (np.zeros((5, 2)), np.zeros((5, 2))),
        (np.full((5, 3), np.inf), np.zeros((5, 3))),
    ],
)
def test_clouds_that_cannot_be_registered(moving: np.ndarray, fixed: np.ndarray) -> None:
    with pytest.raises(ValueError):
        iterative_closest_points(moving, fixed)
