from __future__ import annotations

import numpy as np

from nasface.faces.landmarks import FLIP_68, GROUPS, bounding_box
from tests.faces.mirror import mirror_landmarks


def test_flip_is_an_involution_with_the_midline_fixed() -> None:
    assert sorted(FLIP_68) == list(range(68))
    np.testing.assert_array_equal(FLIP_68[FLIP_68], np.arange(68))
    np.testing.assert_array_equal(
        np.flatnonzero(np.equal(FLIP_68, np.arange(68))), [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
    )


def test_groups_cover_every_landmark_once_and_swap_under_the_mirror() -> None:
    assert sorted(i for group in GROUPS.values() for i in group) == list(range(68))
    for left, right in (("left_brow", "right_brow"), ("left_eye", "right_eye")):
        assert {int(FLIP_68[i]) for i in GROUPS[left]} == set(GROUPS[right])
    for name in ("jaw", "nose_bridge", "nose_base", "outer_lip", "inner_lip"):
        assert {int(FLIP_68[i]) for i in GROUPS[name]} == set(GROUPS[name])


def test_flip_agrees_with_the_symmetric_face_of_the_basel_model(shared_data) -> None:
    mean = np.loadtxt(shared_data / "3ddfa" / "u_base.txt").reshape(68, 3)
    mirrored = mean[FLIP_68] * [-1, 1, 1]
    width = np.ptp(mean[:, 0])
    assert np.linalg.norm(mirrored - mean, axis=1).max() < 0.03 * width


def test_mirror_landmarks_keeps_pixels_at_pixels() -> None:
    points = np.random.default_rng(0).uniform(0, 63, (5, 68, 3)).astype(np.float32)
    mirrored = mirror_landmarks(points, 64)
    np.testing.assert_allclose(mirrored[:, 36, 0], 63 - points[:, 45, 0])
    np.testing.assert_array_equal(mirrored[:, 36, 1:], points[:, 45, 1:])
    np.testing.assert_allclose(mirror_landmarks(mirrored, 64), points, atol=1e-5)


def test_bounding_box_is_max_minus_min_of_x_and_y() -> None:
    points = np.array([[1.0, 2.0, 50.0], [4.0, 0.0, -50.0], [2.0, 7.0, 0.0]])
    np.testing.assert_array_equal(bounding_box(points), [3.0, 7.0])
