from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasface.faces import morphable
from nasface.faces.camera import make_pose, project
from nasface.faces.landmarks import FLIP_68, GROUPS
from nasface.faces.morphable import HEAD_ASSET, MATERIALS, load_embedded_head, load_head_surface
from nasface.faces.rasterize import rasterize
from nasface.faces.uv import position_map, sample_map, uv_basis
from nasface.utils.errors import UserError
from tests.faces.exact_visibility import vertex_visibility

head = load_embedded_head()
surface = load_head_surface()
on_chart = np.isfinite(head.uv).all(axis=1)
chart_triangles = head.triangles[on_chart[head.triangles].all(axis=1)]


def random_faces(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coefficients = np.zeros((count, head.coefficient_count))
    coefficients[:, : head.identity_count] = rng.normal(size=(count, head.identity_count))
    expression = rng.uniform(0, 1, (count, 52)) * (rng.random((count, 52)) < 0.1)
    coefficients[:, head.identity_count :] = expression
    return coefficients


def test_shapes_and_size_of_the_asset() -> None:
    vertices = len(head.mean)
    assert head.basis.shape == (vertices, 3, 102) and head.identity_count == 50
    assert len(head.coefficient_std) == 102 and len(surface.expression_names) == 52
    assert surface.texture_uv.shape == (vertices, 2) and len(surface.materials) == len(head.triangles)
    assert set(np.unique(surface.materials)) == set(range(len(MATERIALS)))
    assert all(a.dtype == np.float32 for a in (head.mean, head.basis, head.uv, head.landmark_uv))
    assert HEAD_ASSET.stat().st_size < 1.5e6
    assert {p.name for p in HEAD_ASSET.parent.iterdir()} >= {"ORIGIN.md", "LICENSE-CC0-1.0.md"}


def test_vertices_are_mean_plus_modes() -> None:
    coefficients = random_faces(2)
    expected = head.mean[7] + (head.basis[7].astype(np.float64) * coefficients[1]).sum(axis=1)
    np.testing.assert_allclose(head.vertices(coefficients)[1, 7], expected, rtol=1e-4)
    np.testing.assert_array_equal(head.vertices(np.zeros(102)), head.mean)


def test_head_is_mirror_symmetric() -> None:
    mirror = surface.mirror
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(mirror)))
    np.testing.assert_allclose(head.mean[mirror] * [-1, 1, 1], head.mean, atol=1e-6)
    np.testing.assert_allclose(head.uv[mirror][on_chart], (head.uv * [-1, 1] + [1, 0])[on_chart], atol=1e-6)
    np.testing.assert_array_equal(mirror[head.landmark_vertices], head.landmark_vertices[FLIP_68])
    # Every identity mode is symmetric or antisymmetric: the mirror image of a face is a face of the model.
    modes = head.basis[:, :, :50]
    mirrored = modes[mirror] * np.array([-1, 1, 1])[:, None]
    cosine = (mirrored * modes).sum(axis=(0, 1)) / (modes**2).sum(axis=(0, 1))
    np.testing.assert_allclose(np.abs(cosine), 1.0, atol=1e-3)


def test_chart_is_injective_and_holds_the_landmarks() -> None:
    a, b, c = (head.uv[chart_triangles[:, k]].astype(np.float64) for k in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (c - a)[:, 0] * (b - a)[:, 1]
    # v points down, so the chart's triangles, counter-clockwise from outside, have negative area here.
    assert (area < 0).all()
    assert 0.7 < -area.sum() / 2 < 1.0
    index, _, _ = rasterize(np.c_[head.uv * 511, np.zeros(len(head.uv))][:, :3], chart_triangles, 512)
    assert (index >= 0).mean() == pytest.approx(-area.sum() / 2, abs=0.01)  # no overlap
    assert on_chart[head.landmark_vertices].all()
    assert head.uv[on_chart].min() >= 0 and head.uv[on_chart].max() <= 1
    spacing = np.linalg.norm(head.landmark_uv[:, None] - head.landmark_uv[None], axis=2) + np.eye(68)
    assert spacing.min() * 63 > 1.0  # no two landmarks share their four cells on a 64 x 64 map


def test_eyes_teeth_and_tongue_are_off_the_chart() -> None:
    for part in ("eye", "teeth", "tongue"):
        vertices = np.unique(head.triangles[surface.materials == MATERIALS.index(part)])
        assert len(vertices) > 50 and not on_chart[vertices].any()


def test_triangles_face_outwards() -> None:
    corners = head.mean[head.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    nose = (head.triangles == head.landmark_vertices[30]).any(axis=1)
    assert (normals[nose, 2] > 0).all()
    frontal = project(make_pose(30.0, np.zeros(3), np.array([32, 32, 0])), head.mean)
    # The eyelids' landmarks lie a little under the lids and on the eyeballs, which therefore do not count.
    skin = head.triangles[surface.materials <= MATERIALS.index("plain")]
    assert vertex_visibility(frontal, skin, head.landmark_vertices[17:60], tolerance=4.0).all()
    profile = project(make_pose(30.0, np.array([0, 80, 0]), np.array([32, 32, 0])), head.mean)
    seen = vertex_visibility(profile, skin, head.landmark_vertices, tolerance=4.0)
    assert seen[[16, 15, 14, 13, 30, 45, 44, 46, 54]].all() and not seen[[0, 1, 2, 3, 36, 37, 40, 48]].any()


def test_landmarks_lie_as_on_a_face() -> None:
    points = head.mean[head.landmark_vertices]
    groups = {name: points[list(indices)] for name, indices in GROUPS.items()}
    height = {name: group[:, 1].mean() for name, group in groups.items()}
    assert height["left_brow"] > height["left_eye"] > height["nose_base"] > height["outer_lip"] > points[8, 1]
    assert (np.diff(groups["jaw"][:, 0]) > 0).all() and (np.diff(groups["left_brow"][:, 0]) > 0).all()
    assert points[30, 2] == points[:, 2].max()  # tip of the nose
    assert points[0, 2] < points[36, 2] < points[27, 2]


@pytest.mark.parametrize("size", [32, 64])
def test_landmarks_are_read_from_the_map_exactly(size: int) -> None:
    basis = uv_basis(head, size)
    coefficients = random_faces(8)
    angles = np.random.default_rng(1).uniform(-80, 80, (8, 3))
    pose = make_pose(np.full(8, 0.35 * size), angles, np.full((8, 3), size / 2))
    truth = project(pose, head.vertices(coefficients))[:, head.landmark_vertices]
    read = sample_map(position_map(basis, coefficients, pose), head.landmark_uv)
    np.testing.assert_allclose(read, truth, atol=1e-3)


def test_map_interpolates_the_surface() -> None:
    stiff = replace(head, basis=head.basis[..., :1])  # what is looked at is the mean: its modes would only take time
    basis, plain = uv_basis(stiff, 256), uv_basis(replace(stiff, landmark_vertices=None), 256)
    assert np.abs(basis.mean - plain.mean).max() < 0.05  # the landmarks' correction is local and small
    read = sample_map(plain.mean[None], head.uv[on_chart])[0]
    error = np.linalg.norm(read - head.mean[on_chart], axis=1)
    assert np.median(error) < 0.002 and np.quantile(error, 0.95) < 0.01  # of a face 1.3 wide
    np.testing.assert_allclose(basis.mean[:, :, ::-1] * np.array([-1, 1, 1])[:, None, None], basis.mean, atol=1e-3)
    assert basis.weight[128, 0] == 0 or basis.inside[128, 0]
    assert np.abs(basis.mean).max() < 1.5 * np.abs(head.mean[on_chart]).max()


def test_damaged_asset_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "head.npz"
    damaged.write_bytes(HEAD_ASSET.read_bytes()[:1000])
    monkeypatch.setattr(morphable, "HEAD_ASSET", damaged)
    with pytest.raises(UserError, match="head.npz"):
        morphable.load_embedded_head.__wrapped__()  # past its cache
