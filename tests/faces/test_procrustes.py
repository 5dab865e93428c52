"""Similarities in closed form, and the head's angles from landmarks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasface.faces.camera import euler_to_matrix, make_pose, project
from nasface.faces.procrustes import head_angles, similarity_between

ANGLES = st.tuples(st.floats(-60, 60), st.floats(-80, 80), st.floats(-60, 60))


@given(ANGLES, st.floats(0.1, 50), st.integers(0, 99))
def test_a_similarity_is_found_again(angles: tuple[float, float, float], scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, rotation, shift = rng.normal(size=(9, 3)), euler_to_matrix(np.array(angles)), rng.normal(size=3)
    found = similarity_between(source, scale * source @ rotation.T + shift)
    assert found[0] == pytest.approx(scale)
    np.testing.assert_allclose(found[1], rotation, atol=1e-9)
    np.testing.assert_allclose(found[2], shift, atol=1e-7 * scale + 1e-9)


def test_a_mirror_is_never_used() -> None:
    source = np.random.default_rng(0).normal(size=(20, 3))
    _, rotation, _ = similarity_between(source, source * [-1, 1, 1])
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_points_that_do_not_correspond() -> None:
    with pytest.raises(ValueError, match="do not correspond"):
        similarity_between(np.zeros((4, 2)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="differ"):
        similarity_between(np.ones((4, 2)), np.zeros((4, 2)))


@given(ANGLES, st.booleans())
def test_angles_with_and_without_depth(angles: tuple[float, float, float], depth: bool) -> None:
    model = np.random.default_rng(3).normal(size=(68, 3))
    pose = make_pose(40.0, np.array(angles), np.array([100.0, 80.0, 0.0]))
    landmarks = project(pose.astype(np.float64), model)
    if not depth:
        landmarks[:, 2] = np.nan
    np.testing.assert_allclose(head_angles(model, landmarks), angles, atol=1e-2)
