"""AFLW2000-3D's rows by hand, on a small folder in its format."""

from __future__ import annotations

import gc
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasface.data.sets.aflw2000 import find_pairs, read_annotation
from nasface.data.sets.w300lp import model_coefficients, read_parameters
from nasface.evaluation.benchmark import BENCHMARKS, BenchmarkFaces, Prediction, Request
from nasface.evaluation.benchmarks.aflw2000 import NEW_YAW, REANNOTATED, DenseTruth, crop_matrices, crop_poses
from nasface.faces.ddfa_model import load_ddfa_model
from nasface.faces.morphable import MorphableModel, load_embedded_head
from nasface.faces.uv import position_map, uv_basis
from nasface.utils.errors import UserError
from tests.data.aflw2000_files import write_aflw2000
from tests.faces.ddfa_files import write_assets

SIZE = 96


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aflw2000")
    write_assets(folder / "assets")
    write_aflw2000(folder / "AFLW2000", folder / "assets", (10, -45, 80))
    points = [read_annotation(path.with_suffix(".mat")).landmarks for path in find_pairs(folder / "AFLW2000")]
    np.save(folder / REANNOTATED[0], np.stack(points)[..., :2].swapaxes(1, 2) + 5)
    np.save(folder / NEW_YAW, [5.0, 20.0, -70.0])
    return folder


def opened(place: Path) -> BenchmarkFaces:
    return BENCHMARKS.get("aflw2000").open(Request("aflw2000", SIZE, place / "AFLW2000"))


def test_an_offset_costs_its_length_over_the_box(place: Path) -> None:
    entry = opened(place)
    faces = entry.faces
    length = np.sqrt(faces.box.prod(1))
    shift = np.array([3.0, 4.0, 7.0])
    rows = {row.name: row for row in entry.measure(Prediction(faces.landmarks + shift))}
    np.testing.assert_allclose(rows["2D"].values, 500 / length, rtol=1e-4)
    for name in ("3D, mean depth aligned", "3D, least depth aligned"):
        np.testing.assert_allclose(rows[name].values, 500 / length, rtol=1e-4)
    summary = rows["2D"].summary(8.0)
    assert summary.counts == {"[0,30]": 1, "[30,60]": 1, "[60,90]": 1}
    assert summary.mean == pytest.approx((500 / length).mean(), rel=1e-4)
    other = rows[f"2D, bins of {NEW_YAW}"]
    np.testing.assert_allclose(other.values, rows["2D"].values)
    assert other.summary(8.0).counts == {"[0,30]": 2, "[30,60]": 0, "[60,90]": 1}
    assert list(rows)[0] == "2D" and not entry.left_out


def test_the_re_annotation_is_the_photographs_moved_to_the_crops(place: Path) -> None:
    """Its points are 5 pixels of the photograph to the right and below: 5 sqrt(2) over the photographs' box."""
    entry = opened(place)
    annotations = [read_annotation(path.with_suffix(".mat")).landmarks for path in find_pairs(place / "AFLW2000")]
    sides = np.ptp(np.stack(annotations)[..., :2], axis=1)
    rows = {row.name: row.values for row in entry.measure(Prediction(entry.faces.landmarks))}
    np.testing.assert_allclose(rows["2D, re-annotated (LS3D-W)"], 500 * np.sqrt(2) / np.sqrt(sides.prod(1)), rtol=1e-4)


def test_a_network_without_depth_has_no_row_in_space(place: Path) -> None:
    entry = opened(place)
    flat = entry.faces.landmarks.copy()
    flat[..., 2] = np.nan
    assert not [row.name for row in entry.measure(Prediction(flat)) if row.name.startswith("3D")]


def test_dense_errors_by_hand(place: Path) -> None:
    images = find_pairs(place / "AFLW2000")
    crops, chart = crop_matrices(images, SIZE), load_ddfa_model(place / "assets")
    parameters = [read_parameters(path.with_suffix(".mat")) for path in images]
    basis = uv_basis(chart, 64)
    coefficients = np.stack([model_coefficients(entry, chart) for entry in parameters])
    true = position_map(basis, coefficients, crop_poses(images, parameters, crops))
    entry = opened(place)
    # The model's landmarks are the annotation, so its shape lies where the crops are.
    exact = DenseTruth(images, crops, entry.faces.landmarks)(np.arange(3), None, true, chart)
    np.testing.assert_allclose(exact["dense 3D, box of pt3d_68 (2DASL)"], 0, atol=1e-3)
    assert entry.dense is not None
    shift = np.array([3.0, 4.0, 9.0]).reshape(3, 1, 1)
    found = entry.dense(np.array([2, 0]), None, (true + shift)[[2, 0]], chart)
    assert len(found) == 6
    points = true[:, :2, basis.inside][[2, 0]]
    own = np.sqrt(np.ptp(points, axis=2).prod(1))
    annotated = np.sqrt(entry.faces.box.prod(1))[[2, 0]]
    np.testing.assert_allclose(found["dense 2D, box of the points (SADRNet)"], 500 / own, rtol=1e-3)
    np.testing.assert_allclose(found["dense 3D, box of pt3d_68 (2DASL)"], 500 / annotated, rtol=1e-3)
    np.testing.assert_allclose(found["dense 2D, box of the dense shape's 68 points"], 500 / annotated, rtol=2e-2)
    for other in (load_embedded_head(), None):
        assert entry.dense(np.array([0]), None, true[:1], other) == {}


def test_each_chart_has_its_own_truth(place: Path) -> None:
    """Models that are let go of: a later one may lie where an earlier one lay."""
    entry, found = opened(place), []
    for size in (1.0, 1.1, 1.2, 1.3):
        chart = load_ddfa_model(place / "assets")
        found.append(_dense_error(entry, replace(chart, mean=size * chart.mean)))
        del chart
        gc.collect()
    assert len(set(found)) == 4
    for size, error in zip((1.0, 1.1, 1.2, 1.3), found, strict=True):
        chart = load_ddfa_model(place / "assets")
        assert _dense_error(opened(place), replace(chart, mean=size * chart.mean)) == error


def _dense_error(entry: BenchmarkFaces, chart: MorphableModel) -> float:
    assert entry.dense is not None
    (error,) = entry.dense(np.array([0]), None, np.zeros((1, 3, 64, 64), np.float32), chart)[
        "dense 3D, box of pt3d_68 (2DASL)"
    ]
    return float(error)


def test_names_in_upper_case_are_the_same_set(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "AFLW2000", tmp_path / "AFLW2000")
    for path in sorted((tmp_path / "AFLW2000").iterdir()):
        path.rename(path.with_suffix(path.suffix.upper()))
    for name in (REANNOTATED[0], NEW_YAW):
        shutil.copy(place / name, tmp_path / name)
    one, other = opened(place), opened(tmp_path)
    prediction = Prediction(one.faces.landmarks + 1)
    for first, second in zip(one.measure(prediction), other.measure(prediction), strict=True):
        np.testing.assert_array_equal(first.values, second.values)


def test_what_is_missing_is_said(place: Path, tmp_path: Path) -> None:
    write_aflw2000(tmp_path / "deep" / "AFLW2000", place / "assets", (10, -45, 80))
    entry = BENCHMARKS.get("aflw2000").open(Request("aflw2000", SIZE, tmp_path / "deep" / "AFLW2000"))
    assert [NEW_YAW in entry.left_out[0], REANNOTATED[0] in entry.left_out[1]] == [True, True]
    np.save(tmp_path / NEW_YAW, np.zeros(5))
    request = Request("aflw2000", SIZE, tmp_path / "deep" / "AFLW2000", files=tmp_path)
    with pytest.raises(UserError, match=f"{NEW_YAW} .* take it away"):
        BENCHMARKS.get("aflw2000").open(request)
    with pytest.raises(UserError, match="give its folder by --root"):
        BENCHMARKS.get("aflw2000").open(Request("aflw2000", SIZE, None))
