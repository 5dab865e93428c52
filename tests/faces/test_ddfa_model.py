from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from nasface.faces.ddfa_model import (
    KEYPOINT_FILES,
    PAF_FILE,
    WHITENING_FILE_V1,
    WHITENING_FILE_V2,
    Whitening,
    join_parameters,
    load_ddfa_model,
    load_keypoint_model,
    load_whitening,
    split_parameters,
)
from nasface.faces.landmarks import FLIP_68
from nasface.faces.uv import bilinear_matrix, grid_triangles, position_map, sample_map, uv_basis
from nasface.utils.errors import UserError
from tests.faces.ddfa_files import LOWER, UPPER, write_assets

MM = 1000.0


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assets")
    write_assets(folder)
    return folder


def _coefficients(count: int, std: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 50)) * std


def test_the_map_reads_the_landmarks_of_the_68_point_model(assets: Path) -> None:
    model, keypoints = load_ddfa_model(assets), load_keypoint_model(assets)
    coefficients = _coefficients(5, model.coefficient_std)
    basis = uv_basis(model, 64)
    pose = np.tile(np.eye(3, 4, dtype=np.float32), (5, 1, 1))
    read = sample_map(position_map(basis, coefficients, pose), model.landmark_uv)
    np.testing.assert_allclose(read, keypoints.landmarks(coefficients), atol=0.001 * MM)


def test_the_published_surface_is_left_alone_on_request_and_its_landmarks_are_found(tmp_path: Path) -> None:
    parts = write_assets(tmp_path, own_expressions=True)
    model = load_ddfa_model(tmp_path, exact_landmarks=False)
    np.testing.assert_allclose(model.mean, parts["grid"][..., 0].reshape(-1, 3), atol=0.1)
    np.testing.assert_allclose(model.basis, parts["grid"][..., 1:].reshape(-1, 3, 50), rtol=1e-5)
    # The landmarks were planted on the grid: each must be found again, to a hundredth of a cell.
    assert np.abs(model.landmark_uv - parts["uv"]).max() * 63 < 0.01


def test_expression_modes_of_the_68_points_carry_over_to_the_grid_that_has_none(assets: Path) -> None:
    model, keypoints = load_ddfa_model(assets), load_keypoint_model(assets)
    expressions = model.basis[..., 40:]
    assert not np.allclose(expressions, model.basis[..., :10])
    read = (bilinear_matrix(model.landmark_uv, 64) @ expressions.reshape(4096, -1)).reshape(68, 3, 10)
    np.testing.assert_allclose(read, keypoints.basis[..., 40:], atol=1.0)
    # Smoothness: between random landmark motions of 1.5 mm, no vertex runs away.
    assert np.abs(expressions).max() < 2.5 * np.abs(keypoints.basis[..., 40:]).max()


def test_landmark_places_are_mirror_symmetric_and_the_lips_do_not_share_cells(assets: Path) -> None:
    uv = load_ddfa_model(assets).landmark_uv
    np.testing.assert_allclose(uv[FLIP_68], uv * [-1, 1] + [1, 0], atol=1e-6)
    rows = uv[:, 1] * 63
    np.testing.assert_allclose(rows[LOWER] - rows[UPPER], 2.0, atol=1e-4)
    np.testing.assert_allclose(rows[UPPER], np.round(rows[UPPER]), atol=1e-4)


def test_triangles_face_the_viewer() -> None:
    column, row = np.meshgrid(np.arange(5.0), np.arange(5.0))
    flat = np.stack([column, -row, np.zeros_like(row)], axis=-1).reshape(-1, 3)
    corners = flat[grid_triangles(np.ones((5, 5), dtype=bool))]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert len(corners) == 32
    assert (normal[:, 2] == 1.0).all()  # toward the camera, and together twice the area of 16 cells


def test_reading_by_matrix_is_reading_the_map() -> None:
    rng = np.random.default_rng(0)
    maps, uv = rng.normal(size=(2, 9, 9)), rng.uniform(size=(20, 2))
    uv[:3] = [[0, 0], [1, 1], [0.5, 1]]
    np.testing.assert_allclose(bilinear_matrix(uv, 9) @ maps.reshape(2, -1).T, sample_map(maps, uv), atol=1e-9)


def test_a_parameter_row_becomes_a_pose_in_pixels_from_zero() -> None:
    row = np.zeros(62)
    row[:12] = [2, 0, 0, 10, 0, 2, 0, 20, 0, 0, 2, 30]
    row[12:] = np.arange(50)
    pose, coefficients = split_parameters(row)
    # 3DDFA's own picture of the point (1, 2, 3): x = 12, y = 24, up; in pixels from zero, down: 11, 96.
    np.testing.assert_array_equal(pose[:, :3] @ [1, 2, 3] + pose[:, 3], [11, 96, 36])
    np.testing.assert_array_equal(coefficients, np.arange(50))
    np.testing.assert_array_equal(join_parameters(pose, coefficients), row)


def test_splitting_refuses_another_width() -> None:
    with pytest.raises(ValueError, match="62"):
        split_parameters(np.zeros((3, 72)))


def test_whitening_of_either_release(tmp_path: Path) -> None:
    mean, std = np.arange(62.0), np.linspace(1, 2, 62)
    for name, content in (
        (WHITENING_FILE_V1, {"param_mean": mean, "param_std": std}),
        (WHITENING_FILE_V2, {"mean": mean, "std": std}),
    ):
        (tmp_path / name).write_bytes(pickle.dumps(content))
        whitening = load_whitening(tmp_path / name)
        np.testing.assert_array_equal(whitening.undo(np.ones(62)), mean + std)
        np.testing.assert_allclose(whitening.apply(whitening.undo(std)), std)
    assert isinstance(whitening, Whitening)


@pytest.mark.parametrize("name", [PAF_FILE, *KEYPOINT_FILES, WHITENING_FILE_V2])
def test_an_absent_or_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    write_assets(tmp_path)
    path = tmp_path / name
    whole = path.read_bytes()
    for content in (None, whole[: len(whole) // 2], b"", b"nothing of use \xff\n"):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UserError, match=name) as caught:
            load_ddfa_model(tmp_path)
        assert "\n" not in str(caught.value)
        path.write_bytes(whole)
    load_ddfa_model(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        np.zeros(62),
        {"mean": np.zeros(62)},
        {"mean": np.zeros(62), "std": np.zeros(62)},
        {"mean": np.zeros(12), "std": np.ones(12)},
        {"mean": "no", "std": np.ones(62)},
    ],
)
def test_a_whitening_that_is_none_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "whitening.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match="whitening.pkl"):
        load_whitening(path)


def test_a_grid_of_another_size_is_refused(assets: Path, tmp_path: Path) -> None:
    write_assets(tmp_path)
    content = pickle.loads((tmp_path / PAF_FILE).read_bytes())
    content["w_filter"] = content["w_filter"][:, :39]
    (tmp_path / PAF_FILE).write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match="w_filter"):
        load_ddfa_model(tmp_path)


def test_the_published_grid(shared_data: Path) -> None:
    folder = shared_data / "3ddfa"
    keypoints = load_keypoint_model(folder)
    published = load_ddfa_model(folder, exact_landmarks=False)
    model = load_ddfa_model(folder)
    mean = published.mean.reshape(64, 64, 3)
    # Columns run to the right, rows downwards, and the nose is in the middle.
    assert (np.diff(mean[10:50, 8:-8, 0], axis=1) > 0).all()
    assert (np.diff(mean[..., 1], axis=0) < 0).all()
    assert abs(mean[..., 2].max(axis=0).argmax() - 31.5) < 2
    # The published surface misses the landmarks by 0.35 mm (1.9 mm at the nearest vertices), the adjusted one does not.
    gap = bilinear_matrix(published.landmark_uv, 64) @ published.mean - keypoints.mean
    assert 0.2 * MM < np.linalg.norm(gap, axis=1).mean() < 0.45 * MM
    gap = bilinear_matrix(model.landmark_uv, 64) @ model.mean - keypoints.mean
    assert np.abs(gap).max() < 0.001 * MM
    assert np.linalg.norm(model.mean - published.mean, axis=1).max() < 3 * MM
    # Its chart is mirror symmetric to about a millimetre (the mean of real scans).
    inner = mean[4:-4, 6:-6]
    assert np.linalg.norm(inner[:, ::-1] * [-1, 1, 1] - inner, axis=-1).mean() < 1.0 * MM
