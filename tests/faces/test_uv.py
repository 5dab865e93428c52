from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import Delaunay

from nasface.faces.camera import make_pose, project
from nasface.faces.morphable import MorphableModel
from nasface.faces.uv import position_map, region_weights, sample_map, uv_basis


def surface(uv: np.ndarray) -> np.ndarray:
    """A curved sheet over the chart: x right, y up, z toward the camera."""
    u, v = uv[:, 0] - 0.5, uv[:, 1] - 0.5
    return np.stack([u, -v, 0.5 - u**2 - 0.5 * v**2], axis=1)


def landmarks_uv() -> np.ndarray:
    return np.random.default_rng(8).uniform(0.2, 0.8, (68, 2)).astype(np.float32)


def grid_model(size: int) -> MorphableModel:
    """A model whose vertices lie on a regular size x size UV grid, row by row."""
    axis = np.arange(size) / (size - 1)
    uv = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2).astype(np.float32)
    cell = np.arange(size * size).reshape(size, size)
    a, b, c, d = (x.ravel() for x in (cell[:-1, :-1], cell[:-1, 1:], cell[1:, :-1], cell[1:, 1:]))
    triangles = np.concatenate([np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)])
    rng = np.random.default_rng(1)
    return MorphableModel(
        name="grid",
        mean=(surface(uv) + rng.normal(scale=0.01, size=(len(uv), 3))).astype(np.float32),
        basis=rng.normal(scale=0.01, size=(len(uv), 3, 5)).astype(np.float32),
        coefficient_std=np.ones(5, dtype=np.float32),
        identity_count=3,
        triangles=triangles.astype(np.int32),
        uv=uv,
        landmark_uv=landmarks_uv(),
    )


def mesh_model(with_vertex_landmarks: bool) -> MorphableModel:
    """An irregular chart: a disc with a hole, and two vertices off the chart."""
    rng = np.random.default_rng(2)
    points = rng.uniform(0, 1, (3000, 2))
    radius = np.linalg.norm(points - 0.5, axis=1)
    points = points[(radius < 0.45) & (radius > 0.1)]
    triangles = Delaunay(points).simplices
    centre = np.linalg.norm(points[triangles].mean(axis=1) - 0.5, axis=1)
    triangles = triangles[centre > 0.1]
    uv = np.vstack([points, np.full((2, 2), np.nan)]).astype(np.float32)
    mean = np.vstack([surface(points), np.full((2, 3), 99.0)])
    linear = np.stack([mean[:, [0]] * [1, 0, 0], mean[:, [1]] * [0, 0, 1]], axis=2)
    chosen = rng.permutation(len(points))[:68]
    return MorphableModel(
        name="mesh",
        mean=mean.astype(np.float32),
        basis=linear.astype(np.float32),
        coefficient_std=np.ones(2, dtype=np.float32),
        identity_count=1,
        triangles=np.vstack([triangles, [[0, len(uv) - 1, len(uv) - 2]]]).astype(np.int32),
        uv=uv,
        landmark_uv=uv[chosen],
        landmark_vertices=chosen if with_vertex_landmarks else None,
    )


@pytest.mark.parametrize("size", [16, 33, 64])
def test_a_grid_model_at_its_own_size_is_its_vertices(size: int) -> None:
    model = grid_model(size)
    basis = uv_basis(model, size)
    np.testing.assert_array_equal(basis.mean.reshape(3, -1).T, model.mean)
    np.testing.assert_array_equal(basis.basis.reshape(3, -1, 5).transpose(1, 0, 2), model.basis)
    assert basis.inside.all() and (basis.weight > 0).all()


def test_a_grid_model_at_another_size_interpolates() -> None:
    model = grid_model(64)
    basis = uv_basis(model, 127)
    np.testing.assert_allclose(basis.mean[:, ::2, ::2].reshape(3, -1).T, model.mean, atol=1e-5)
    between = (basis.mean[:, ::2, :-2:2] + basis.mean[:, ::2, 2::2]) / 2
    np.testing.assert_allclose(basis.mean[:, ::2, 1::2], between, atol=1e-5)


def test_position_map_is_the_projected_model() -> None:
    model = grid_model(16)
    basis = uv_basis(model, 16)
    rng = np.random.default_rng(3)
    coefficients = rng.normal(size=(4, 5))
    poses = make_pose(np.full(4, 30.0), rng.uniform(-80, 80, (4, 3)), rng.uniform(20, 40, (4, 3)))
    maps = position_map(basis, coefficients, poses)
    assert maps.shape == (4, 3, 16, 16) and maps.dtype == np.float32
    expected = project(poses, model.vertices(coefficients))
    np.testing.assert_allclose(maps.reshape(4, 3, -1).transpose(0, 2, 1), expected, atol=1e-4)
    np.testing.assert_allclose(position_map(basis, coefficients[1], poses[1]), maps[1], atol=1e-5)


def test_cells_on_and_off_the_chart_of_an_irregular_mesh() -> None:
    basis = uv_basis(mesh_model(False), 48)
    axis = np.arange(48) / 47
    uv = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    truth = surface(uv).T.reshape(3, 48, 48)
    radius = np.linalg.norm(uv - 0.5, axis=1).reshape(48, 48)
    assert basis.inside[(radius > 0.16) & (radius < 0.4)].all()
    assert not basis.inside[radius > 0.46].any() and not basis.inside[radius < 0.07].any()
    np.testing.assert_allclose(basis.mean[:, basis.inside], truth[:, basis.inside], atol=0.01)
    # Off the chart the positions continue it: in the hole, closely; in the far corners, without running away.
    assert np.abs(basis.mean - truth)[:, radius < 0.1].max() < 0.02
    assert np.abs(basis.mean - truth).max() < 0.25
    assert np.isfinite(basis.basis).all()
    touched = sample_map((basis.weight == 0).astype(np.float32)[None], basis.landmark_uv)
    np.testing.assert_array_equal(touched, 0.0)


@pytest.mark.parametrize("size", [32, 64])
def test_landmarks_that_are_vertices_are_read_exactly(size: int) -> None:
    model = mesh_model(True)
    basis = uv_basis(model, size)
    plain = uv_basis(mesh_model(False), size)
    coefficients, pose = np.array([0.7, -0.4]), make_pose(50.0, np.array([5, 40, 3]), np.array([30, 30, 0]))
    maps = position_map(basis, coefficients, pose)
    truth = project(pose, model.vertices(coefficients))[model.landmark_vertices]
    # At 32 cells a few of the 68 random landmarks share all their cells: those cannot all be exact.
    error = np.linalg.norm(sample_map(maps, model.landmark_uv) - truth, axis=1)
    before = np.linalg.norm(sample_map(position_map(plain, coefficients, pose), model.landmark_uv) - truth, axis=1)
    assert error.mean() < 0.1 * before.mean()
    assert np.median(error) < 1e-3
    assert np.abs(basis.mean - plain.mean).max() < 0.02


def test_sample_map_is_bilinear_with_rows_down() -> None:
    maps = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    uv = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.25], [1 / 3, 0.5], [-0.1, 2.0]])
    np.testing.assert_allclose(sample_map(maps, uv)[:, 0], [0, 3, 8, 11, 1.5 + 2, 1 + 4, 8], rtol=1e-6)
    stacked = np.stack([np.stack([maps[0], -maps[0]])] * 5)
    read = sample_map(stacked, uv)
    assert read.shape == (5, 7, 2)
    np.testing.assert_allclose(read[3, :, 1], -sample_map(maps, uv)[:, 0])


def test_region_weights_hold_prnets_ratios() -> None:
    uv = landmarks_uv()
    inside = np.zeros((64, 64), dtype=bool)
    inside[4:60, 4:60] = True
    weight = region_weights(inside, uv)
    cells = np.round(uv * 63).astype(int)
    assert (weight[cells[:, 1], cells[:, 0]] == 16).all()
    assert (weight == 16).sum() == len(np.unique(cells, axis=0))
    assert set(np.unique(weight)) == {0, 3, 4, 16}
    assert (weight[:4] == 0).all() and (weight[4, 4:60] == 3).all()
    nose = np.round(uv[27:36].mean(axis=0) * 63).astype(int)
    assert weight[nose[1], nose[0]] >= 4
