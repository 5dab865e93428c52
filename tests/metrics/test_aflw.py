from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasface.data.crops import CropSettings
from nasface.faces.correspondences import AFLW_21
from nasface.metrics.aflw import COUNTS, annotated, nme_21, points_21

# 1-based, as benchmark_aflw.py lists it.
TABLE = (
    [[18], [20], [22], [23], [25], [27], [37], [*range(37, 43)], [40], [43], [*range(43, 49)], [46], [3]]
    + [[32], [31], [36], [15], [49], [*range(61, 69)], [55], [9]]
)  # fmt: skip


def test_the_table_is_the_benchmarks() -> None:
    assert [[index + 1 for index in indices] for indices in AFLW_21] == TABLE
    assert sum(COUNTS) == 21_080


def test_points_are_picked_and_averaged() -> None:
    landmarks = np.stack([np.arange(68.0), np.arange(68.0) ** 2], axis=1)
    points = points_21(landmarks)
    assert points[0].tolist() == [17, 289]
    assert points[7].tolist() == [38.5, np.mean(np.arange(36, 42) ** 2)]
    assert points[18, 0] == 63.5 and points[20, 0] == 8
    with pytest.raises(ValueError, match="68"):
        points_21(np.zeros((21, 2)))


def test_only_annotated_points_count() -> None:
    fitted = np.zeros((2, 68, 2))
    fitted[:, 3] = (20, 45)  # a box of 20 x 45: 30
    target = np.tile(points_21(fitted), 1) + [[[3, 4]]]
    target[0, 5:] = (-1, 452)
    target[0, 0] += (3, 4)  # 10 off; the four others 5
    target[1, 2] = (7, -1)
    target[1, 3] = np.nan
    valid = annotated(target)
    assert valid[0].tolist() == [True] * 5 + [False] * 16
    assert np.flatnonzero(~valid[1]).tolist() == [2, 3]
    assert nme_21(fitted, target, fitted).tolist() == pytest.approx([100 * 6 / 30, 100 * 5 / 30])


def test_a_face_without_points_has_no_error() -> None:
    landmarks = np.random.default_rng(0).uniform(0, 9, (1, 68, 2))
    assert np.isnan(nme_21(landmarks, np.full((1, 21, 2), -1.0), landmarks)).all()
    with pytest.raises(ValueError, match="21"):
        nme_21(landmarks, landmarks, landmarks)


def test_it_is_what_the_benchmarks_loop_computes() -> None:
    rng = np.random.default_rng(1)
    predicted, fitted = rng.uniform(0, 120, (2, 6, 68, 2))
    target = rng.uniform(0, 120, (6, 21, 2))
    target[rng.random((6, 21)) < 0.3] = -1
    for face, value in enumerate(nme_21(predicted, target, fitted)):
        sides = fitted[face].max(0) - fitted[face].min(0)
        apart = [
            np.linalg.norm(predicted[face, np.array(indices) - 1].mean(0) - target[face, point])
            for point, indices in enumerate(TABLE)
            if target[face, point, 0] != -1 and target[face, point, 1] != -1
        ]
        assert value == pytest.approx(100 * np.mean(apart) / np.sqrt(sides[0] * sides[1]))


def test_the_real_points_lie_where_the_table_says(shared_data: Path) -> None:
    """The labels of the AFLW crops were fitted to these points, so 68 fitted landmarks must meet them."""
    from nasface.data.sets.ddfa import load_ddfa

    folder = shared_data / "aflw_120x120"
    faces = load_ddfa(folder, shared_data / "3ddfa", "val", CropSettings(120))
    with np.load(folder / "aflw21_val.npz") as content:
        target = content["points"].swapaxes(1, 2)
    errors = nme_21(faces.landmarks, target, faces.landmarks)
    assert np.nanmedian(errors) < 4
    # No other assignment of a point to a neighbour would do: the two sides of the face swapped miss by far.
    assert np.nanmedian(nme_21(faces.landmarks, target[:, ::-1], faces.landmarks)) > 20
