from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from nasface.metrics.florence import face_region, surface_nme
from nasface.metrics.similarity import Similarity
from tests.metrics.test_icp import TURN, surface


def test_a_moved_surface_has_no_error_in_shape_but_one_in_place() -> None:
    scan = surface(1200, 0)
    prediction = TURN.apply(scan)
    moved = surface_nme(prediction, scan, 50.0)
    assert moved.nme == pytest.approx(0, abs=1e-3)
    in_place = surface_nme(prediction, scan, 50.0, comparison="in place")
    aligned = prediction + [0, 0, scan[:, 2].mean() - prediction[:, 2].mean()]
    wanted = np.linalg.norm(aligned - scan, axis=1).mean() / 50 * 100
    assert in_place.nme == pytest.approx(wanted, rel=1e-3)


def test_the_error_is_that_of_each_scanned_point_over_the_eyes() -> None:
    prediction, scan = surface(500, 1), surface(400, 2) + [0, 0, 1]
    found = surface_nme(prediction, scan, 20.0)
    apart = cdist(scan, found.registration.transform.apply(prediction)).min(1)
    np.testing.assert_allclose(found.distances, apart)
    assert found.nme == pytest.approx(100 * apart.mean() / 20)
    assert surface_nme(prediction, scan, 40.0).nme == pytest.approx(found.nme / 2)


def test_the_size_is_forgiven_only_on_request() -> None:
    scan = surface(900, 3)
    larger = Similarity(1.08, TURN.rotation, TURN.shift).apply(scan)
    assert surface_nme(larger, scan, 50, scale=True).nme < 0.3 * surface_nme(larger, scan, 50).nme


def test_the_region_is_a_ball_around_the_nose() -> None:
    points = np.array([[1, 2, 3], [1, 2, 98], [1, 2, 99], [80, 60, 3.0]])
    assert face_region(points, [1, 2, 3], 95.0).tolist() == [True, True, False, False]


def test_eyes_in_one_place_normalise_nothing() -> None:
    with pytest.raises(ValueError, match="eye distance"):
        surface_nme(surface(10, 4), surface(10, 5), 0.0)
