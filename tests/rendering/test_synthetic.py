from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasface.data.face_set import FaceSet
from nasface.faces.camera import project, split_pose
from nasface.faces.landmarks import bounding_box
from nasface.faces.morphable import MATERIALS, load_embedded_head, load_head_surface
from nasface.faces.rasterize import rasterize
from nasface.faces.uv import position_map, sample_map, uv_basis
from nasface.rendering import painter, synthetic
from nasface.rendering.painting.dress import Garment
from nasface.rendering.synthetic import DOMAINS, SyntheticFaces, build_synthetic, draw_face, face_yaw
from nasface.utils.errors import UserError
from tests.faces.exact_visibility import vertex_visibility

head = load_embedded_head()


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> FaceSet:
    return build_synthetic(SyntheticFaces("test", 60, 64, seed=4), tmp_path_factory.mktemp("cache"))


def test_labels_are_those_of_the_model(faces: FaceSet) -> None:
    projected = project(faces.pose, head.vertices(faces.coefficients))
    np.testing.assert_allclose(projected[:, head.landmark_vertices], faces.landmarks, atol=1e-3)
    np.testing.assert_allclose(bounding_box(faces.landmarks), faces.box, rtol=1e-6)
    np.testing.assert_allclose(split_pose(faces.pose)[1][:, 1], faces.yaw, atol=0.05)
    chart = np.isfinite(head.uv).all(axis=1)
    np.testing.assert_allclose(projected[:, chart, 2].mean(axis=1), 0, atol=1e-2)


@pytest.mark.parametrize("size", [32, 64])
def test_position_map_holds_the_landmarks_and_the_surface(faces: FaceSet, size: int) -> None:
    resized = faces.resized(size)
    basis = uv_basis(head, size)
    maps = position_map(basis, resized.coefficients, resized.pose)
    read = sample_map(maps, head.landmark_uv)
    assert np.linalg.norm(read - resized.landmarks, axis=2).max() < 0.01
    chart = np.flatnonzero(np.isfinite(head.uv).all(axis=1))
    vertices = project(resized.pose, head.vertices(resized.coefficients))[:, chart]
    error = np.linalg.norm((sample_map(maps, head.uv[chart]) - vertices)[..., :2], axis=2)
    assert np.median(error) < 0.15 and np.quantile(error, 0.95) < 0.8


def test_crop_holds_the_face_as_the_evaluation_would_cut_it(faces: FaceSet) -> None:
    assert faces.images.shape == (60, 64, 64, 3) and faces.images.dtype == np.uint8
    centre = (faces.landmarks[..., :2].max(axis=1) + faces.landmarks[..., :2].min(axis=1)) / 2
    assert np.abs(centre - 31.5).max() < 0.1 * 64
    ratio = 64 / faces.box.max(axis=1)
    assert abs(ratio.mean() - 1.45) < 0.03 and np.abs(ratio - 1.45).max() < 0.2
    assert (faces.landmarks[..., :2] > -0.5).all() and (faces.landmarks[..., :2] < 63.5).all()


def test_yaw_covers_the_profiles_and_follows_the_benchmarks_bins() -> None:
    bins = np.array([1306, 462, 232]) / 2000
    for count in (50, 400):
        yaw = np.abs([face_yaw(0, "test", i) for i in range(count)])
        shares = np.histogram(yaw, [0, 30, 60, 90])[0] / count
        np.testing.assert_allclose(shares, bins, atol=2.0 / count + 0.005)
    signed = np.array([face_yaw(0, "train", i) for i in range(3000)])
    assert abs((signed > 0).mean() - 0.5) < 0.05 and np.abs(signed).max() <= 90
    shares = np.histogram(np.abs(signed), [0, 30, 60, 90])[0] / 3000
    assert (shares > 0.2).all() and shares[0] == shares.max()


def test_visible_landmarks_turn_with_the_head(faces: FaceSet) -> None:
    frontal = np.abs(faces.yaw) < 10
    assert faces.visible[frontal][:, 27:68].mean() > 0.95
    left_outer, right_outer = faces.visible[:, [0, 1, 2, 36]], faces.visible[:, [16, 15, 14, 45]]
    to_left, to_right = faces.yaw > 45, faces.yaw < -45
    assert to_left.sum() >= 3 and to_right.sum() >= 3
    assert left_outer[to_left].mean() < 0.2 and right_outer[to_left].mean() > 0.9
    assert left_outer[to_right].mean() > 0.9 and right_outer[to_right].mean() < 0.2


def test_vertices_seen_by_z_buffer_are_those_seen_exactly(faces: FaceSet) -> None:
    triangles = head.triangles[load_head_surface().materials <= MATERIALS.index("plain")]
    skin, agreement = np.unique(triangles), []
    for i in range(3):
        vertices = project(faces.pose[i], head.vertices(faces.coefficients[i]))
        exact = vertex_visibility(vertices, triangles, skin)
        seen = np.unpackbits(faces.visible_vertices[i], count=len(head.mean)).astype(bool)[skin]
        agreement.append((seen == exact).mean())
        assert (seen | ~exact).mean() > 0.99  # hardly any that is visible is lost
    assert np.mean(agreement) > 0.95


@pytest.mark.parametrize("index", range(4))
def test_the_drawn_head_lies_where_its_vertices_do(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    far = np.full((3, 3), -1e4, np.float32)
    naked = Garment(far, np.array([[0, 1, 2]], np.int32), np.zeros((3, 2), np.float32))
    monkeypatch.setattr(painter, "grow_hair", lambda *_, **__: None)
    monkeypatch.setattr(painter, "draw_garment", lambda *_: naked)
    face = draw_face(1, "train", index, 64, clean=True)
    vertices = project(face.pose, head.vertices(face.coefficients))

    def draw(pose: np.ndarray) -> np.ndarray:
        model = head.vertices(face.coefficients)
        rng = np.random.default_rng(5)
        return painter.paint(rng, model, pose, 64, rough=False).astype(np.float64)

    away = face.pose + np.float32([[0, 0, 0, 500], [0, 0, 0, 0], [0, 0, 0, 0]])
    changed = np.abs(draw(face.pose) - draw(away)).max(axis=2) > 3
    covered = rasterize(vertices, head.triangles, 64)[0] >= 0
    assert (changed & covered).sum() / (changed | covered).sum() > 0.95
    # Half a pixel of shift between picture and labels would show in the middles of the rows and columns.
    for axis in (0, 1):
        middles = [
            np.array([np.flatnonzero(line).mean() for line in mask.swapaxes(0, axis)[20:45]])
            for mask in (changed, covered)
        ]
        assert abs((middles[0] - middles[1]).mean()) < 0.25


def test_faces_are_a_function_of_seed_split_and_index(tmp_path: Path, faces: FaceSet) -> None:
    again = build_synthetic(SyntheticFaces("test", 12, 64, seed=4), tmp_path, workers=1)
    for key in ("images", "landmarks", "pose", "coefficients", "visible", "visible_vertices", "yaw"):
        np.testing.assert_array_equal(getattr(again, key), getattr(faces, key)[:12])
    coefficients = np.concatenate(
        [
            again.coefficients[:4],
            build_synthetic(SyntheticFaces("val", 4, 64, seed=4), tmp_path).coefficients,
            build_synthetic(SyntheticFaces("train", 4, 64, seed=4), tmp_path).coefficients,
            build_synthetic(SyntheticFaces("test", 4, 64, seed=5), tmp_path).coefficients,
            [draw_face(4, "test", i, 64, domain="wild").coefficients for i in range(4)],
        ]
    )
    assert len(np.unique(coefficients[:, :50], axis=0)) == 20


def test_wild_faces_have_two_dimensional_labels_only(tmp_path: Path) -> None:
    wild = build_synthetic(SyntheticFaces("test", 5, 32, seed=4, domain="wild"), tmp_path)
    assert wild.pose is None and wild.coefficients is None and wild.visible_vertices is None
    assert np.isfinite(wild.landmarks[..., :2]).all() and np.isnan(wild.landmarks[..., 2]).all()
    face = draw_face(4, "test", 2, 32, domain="wild")
    np.testing.assert_array_equal(wild.images[2], face.image)
    np.testing.assert_array_equal(wild.landmarks[2, :, :2], face.landmarks[:, :2])
    np.testing.assert_allclose(wild.box, bounding_box(wild.landmarks))


def test_yaw_is_known_without_drawing() -> None:
    for domain in DOMAINS:
        assert face_yaw(3, "train", 9, domain) == draw_face(3, "train", 9, 32, domain=domain).yaw


def test_second_call_only_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    first = build_synthetic(
        SyntheticFaces("val", 5, 32, seed=0), tmp_path, progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(5, 5)]
    monkeypatch.setattr(synthetic, "draw_face", lambda *_, **__: pytest.fail("drawn again"))
    second = build_synthetic(SyntheticFaces("val", 5, 32, seed=0), tmp_path)
    np.testing.assert_array_equal(first.images, second.images)
    assert isinstance(second.images, np.memmap)


def test_truncated_cache_is_named(tmp_path: Path) -> None:
    build_synthetic(SyntheticFaces("train", 3, 32, seed=0), tmp_path)
    images = next(tmp_path.glob("*/images.npy"))
    images.write_bytes(images.read_bytes()[:-10])
    with pytest.raises(UserError, match="images.npy"):
        build_synthetic(SyntheticFaces("train", 3, 32, seed=0), tmp_path)


@pytest.mark.parametrize(
    "settings,named",
    [
        (("night", 3, 32, 0), "night"),
        (("train", 0, 32, 0), "0 faces"),
        (("train", 3, 4, 0), "4 pixels"),
        (("train", 3, 32, -1), "seed -1"),
        (("train", 3, 32, 0, "moon"), "unknown domain 'moon': choose one of studio, wild"),
    ],
)
def test_bad_settings_are_named(settings: tuple, named: str) -> None:
    with pytest.raises(UserError, match=named):
        SyntheticFaces(*settings)
