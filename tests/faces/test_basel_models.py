"""Models that users bring: BFM.mat, bfm_noneck_v3.pkl and ICT-FaceKit, from small files in their formats."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from nasface.faces.bfm import keypoints_of, load_bfm, load_uv
from nasface.faces.bfm_noneck import load_bfm_noneck
from nasface.faces.ict import LANDMARKS, load_ict
from nasface.faces.landmarks import FLIP_68
from nasface.faces.morphable import MorphableModel
from nasface.faces.uv import position_map, sample_map, uv_basis
from nasface.faces.uv_layout import above_jaw, outward, symmetric, upright_chart
from nasface.utils.errors import UserError
from tests.faces.basel_files import COUNT, modes, surface, write_bfm, write_ict, write_noneck


def _read_landmarks(model: MorphableModel, coefficients: np.ndarray, size: int = 64) -> np.ndarray:
    pose = np.eye(3, 4, dtype=np.float32)
    return sample_map(position_map(uv_basis(model, size), coefficients, pose), model.landmark_uv)


def _faces_the_viewer(model: MorphableModel) -> bool:
    a, b, c = model.mean[model.triangles].transpose(1, 0, 2)
    return bool((np.cross(b - a, c - a)[:, 2] > 0).all())


def test_bfm_is_what_the_file_says(tmp_path: Path) -> None:
    mean, uv, landmarks = surface()
    model = load_bfm(write_bfm(tmp_path))
    assert (model.coefficient_count, model.identity_count) == (228, 199)
    np.testing.assert_allclose(model.mean, mean, atol=0.01)
    coefficients = np.random.default_rng(0).normal(size=228) * model.coefficient_std
    expected = mean + (modes(199, 29) @ coefficients).reshape(-1, 3)
    np.testing.assert_allclose(model.vertices(coefficients), expected, atol=0.5)
    np.testing.assert_array_equal(model.landmark_vertices, landmarks)
    np.testing.assert_allclose(keypoints_of(model).landmarks(coefficients), expected[landmarks], atol=0.5)
    np.testing.assert_allclose(model.coefficient_std[[0, 198, 199, 227]], [8e5, 1e4, 2, 0.1], rtol=1e-6)
    assert _faces_the_viewer(model)


def test_the_chart_is_upright_and_ends_below_the_jaw(tmp_path: Path) -> None:
    model = load_bfm(write_bfm(tmp_path))
    _, uv, _ = surface()
    on_chart = np.isfinite(model.uv[:, 0])
    np.testing.assert_allclose(model.uv[on_chart], (uv * [1, -1] + [0, 1])[on_chart], atol=1e-6)
    rows = on_chart.reshape(25, 25)
    assert rows[:21].all() and not rows[21:].any()  # the jaw is row 20 of 24
    np.testing.assert_allclose(model.landmark_uv[FLIP_68], model.landmark_uv * [-1, 1] + [1, 0], atol=1e-6)


def test_maps_read_the_landmarks(tmp_path: Path) -> None:
    model = load_bfm(write_bfm(tmp_path, identity=6, expression=29))
    coefficients = 1e-2 * np.random.default_rng(0).normal(size=35) * model.coefficient_std
    expected = model.vertices(coefficients)[model.landmark_vertices]
    np.testing.assert_allclose(_read_landmarks(model, coefficients), expected, atol=60)  # micrometres


def test_noneck_is_a_part_of_the_whole(tmp_path: Path) -> None:
    whole, kept = load_bfm(write_bfm(tmp_path / "face3d")), write_noneck(tmp_path / "configs")
    model = load_bfm_noneck(tmp_path / "configs")
    assert (model.coefficient_count, model.identity_count) == (50, 40)
    np.testing.assert_allclose(model.mean, whole.mean[kept], atol=0.01)
    np.testing.assert_allclose(model.basis[..., :40], whole.basis[kept][..., :40], atol=1e-6)
    np.testing.assert_allclose(model.basis[..., 40:], whole.basis[kept][..., 199:209], atol=1e-6)
    np.testing.assert_allclose(model.uv, whole.uv[kept], atol=1e-6)
    np.testing.assert_array_equal(model.landmark_vertices, whole.landmark_vertices)
    assert abs(model.coefficient_std[0] - 5e5) < 1 and _faces_the_viewer(model)


def test_ict_is_what_the_files_say(tmp_path: Path) -> None:
    shifts, landmarks = write_ict(tmp_path)
    mean, uv, _ = surface()
    seen: list[tuple[int, int]] = []
    model = load_ict(tmp_path, landmarks=landmarks, face_vertices=COUNT, progress=lambda *state: seen.append(state))
    assert seen == [(k, 5) for k in range(1, 6)]
    assert (model.coefficient_count, model.identity_count, len(model.mean)) == (5, 3, COUNT)
    np.testing.assert_allclose(model.mean, mean / 1e4, atol=1e-5)
    np.testing.assert_allclose(model.basis, shifts, atol=1e-5)
    np.testing.assert_allclose(model.uv, uv * [1, -1] + [0, 1], atol=1e-5)
    np.testing.assert_array_equal(model.coefficient_std, [1, 1, 1, 0.5, 0.5])
    assert len(model.triangles) == 2 * 24 * 24 and _faces_the_viewer(model)
    coefficients = np.array([1, -1, 0.5, 0, 1])
    expected = model.vertices(coefficients)[landmarks]
    np.testing.assert_allclose(_read_landmarks(model, coefficients), expected, atol=0.02)


def test_icts_landmarks_are_68_different_vertices() -> None:
    assert len(set(LANDMARKS.tolist())) == 68 and LANDMARKS.max() < 9409


def test_charts_in_any_position_come_out_upright() -> None:
    _, uv, landmarks = surface()
    expected = uv * [1, -1] + [0, 1]
    for turn in ([1, -1], [1, 1], [-1, 1], [-1, -1]):
        np.testing.assert_allclose(upright_chart(0.3 * uv * turn + [0.2, 0.6], landmarks), expected, atol=1e-9)


def test_jaw_and_symmetry_by_hand() -> None:
    uv = np.full((68, 2), 0.5)
    uv[:17] = np.stack([np.linspace(0.1, 0.9, 17), 0.8 - np.abs(np.linspace(-0.4, 0.4, 17))], axis=1)
    points = np.array([[0.5, 0.81], [0.5, 0.83], [0.3, 0.61], [0.3, 0.63], [0.0, 0.41], [1.0, 0.43]])
    assert above_jaw(points, uv).tolist() == [True, False, True, False, True, False]
    uv[0] += [0.02, 0.04]
    fixed = symmetric(uv)
    np.testing.assert_allclose(fixed[[0, 16]], [[0.11, 0.42], [0.89, 0.42]], atol=1e-6)
    triangle = np.array([[0, 1, 2]])
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert outward(triangle, corners).tolist() == [[0, 1, 2]]
    assert outward(triangle[:, ::-1], corners).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shapePC": None}, "shapePC is not 1875 rows"),
        ({"shapePC": np.zeros((9, 199))}, "shapePC is not 1875 rows"),
        ({"expMU": np.zeros((4, 1))}, "expMU holds no vertices"),
        ({"shapeEV": np.zeros((3, 1))}, "shapeEV is not 199 finite numbers"),
        ({"tri": np.array([[0], [1], [2]])}, "tri does not index"),
        ({"kpt_ind": np.array([[COUNT + 1] * 68])}, "kpt_ind does not index"),
        ({"kpt_ind": np.array([[1] * 60])}, "kpt_ind holds 60 landmarks"),
    ],
)
def test_a_bad_bfm_is_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_bfm(write_bfm(tmp_path, **changes))
    assert "\n" not in str(caught.value) and "BFM.mat" in str(caught.value)


def _uv_of_another(folder: Path) -> None:
    savemat(folder / "BFM_UV.mat", {"UV": np.zeros((5, 2))})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "BFM.mat").unlink(), "BFM.mat does not exist"),
        (lambda folder: (folder / "BFM.mat").write_bytes(b"no"), "BFM.mat is not a readable mat file"),
        (lambda folder: savemat(folder / "BFM.mat", {"tri": np.zeros(3)}), "holds no struct 'model'"),
        (lambda folder: (folder / "BFM_UV.mat").unlink(), "BFM_UV.mat does not exist"),
        (_uv_of_another, "BFM_UV.mat: UV is not 1250 finite numbers"),
    ],
)
def test_a_bad_bfm_file_is_named(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    path = write_bfm(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=message):
        load_bfm(path)


def _change(folder: Path, **changes: object) -> None:
    path = folder / "bfm_noneck_v3.pkl"
    path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()) | changes))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "bfm_noneck_v3.pkl").unlink(), "bfm_noneck_v3.pkl does not exist"),
        (lambda folder: (folder / "bfm_noneck_v3.pkl").write_bytes(b"no"), "bfm_noneck_v3.pkl"),
        (lambda folder: (folder / "tri.pkl").unlink(), "tri.pkl does not exist"),
        (
            lambda folder: (folder / "tri.pkl").write_bytes(pickle.dumps(np.full((3, 4), 9999))),
            "tri.pkl does not index",
        ),
        (lambda folder: (folder / "indices.npy").write_bytes(b""), "indices.npy is not a readable"),
        (lambda folder: np.save(folder / "indices.npy", np.arange(7)), "indices.npy does not place"),
        (lambda folder: _change(folder, w_exp=np.zeros((3, 10))), "w_exp is not 1725 rows"),
        (lambda folder: _change(folder, keypoints=np.arange(203)), "keypoints are not the 204 rows"),
        (lambda folder: _change(folder, u="words"), "u is not an array"),
    ],
)
def test_a_bad_noneck_file_is_named(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    write_noneck(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=message):
        load_bfm_noneck(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "generic_neutral_mesh.obj").unlink(), "generic_neutral_mesh.obj does not exist"),
        (lambda folder: (folder / "identity001.obj").write_text("v 1 2 x\n"), "identity001.obj holds no vertices"),
        (lambda folder: (folder / "jawOpen.obj").write_text("v 1 2 3\n"), "jawOpen.obj has 1 vertices"),
        (lambda folder: (folder / "jawOpen.obj").unlink(), "jawOpen.obj does not exist"),
        (lambda folder: (folder / "vertex_indices.json").write_text("{"), "vertex_indices.json cannot be read"),
        (lambda folder: [path.unlink() for path in folder.glob("identity*")], "holds no identity000.obj"),
    ],
)
def test_a_bad_ict_file_is_named(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    _, landmarks = write_ict(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        load_ict(tmp_path, landmarks=landmarks, face_vertices=COUNT)
    assert "\n" not in str(caught.value)


def test_the_published_chart_and_mean(shared_data: Path, tmp_path: Path) -> None:
    """BFM.mat with the real mean, triangles and landmarks; the modes, which are not published, are the landmarks' own
    in name only."""
    folder = shared_data / "3ddfa"
    keypoints = np.load(folder / "keypoints_sim.npy").reshape(-1, 3)[:, 0] // 3
    shape, expression = np.load(folder / "u_shp.npy"), np.load(folder / "u_exp.npy")
    content = {
        "shapeMU": shape,
        "expMU": expression,
        "shapePC": np.zeros((159645, 1), np.float32),
        "expPC": np.zeros((159645, 29), np.float32),
        "shapeEV": np.ones((1, 1)),
        "expEV": np.ones((29, 1)),
        "tri": loadmat(folder / "tri.mat")["tri"],
        "kpt_ind": keypoints[None] + 1,
    }
    savemat(tmp_path / "BFM.mat", {"model": content})
    model = load_bfm(tmp_path / "BFM.mat", folder / "BFM_UV.mat")
    read = _read_landmarks(model, np.zeros(30), 128)
    np.testing.assert_allclose(read, model.mean[keypoints], atol=100)
    # PRNet's map is this chart: its landmarks' cells (256 x 256) are ours.
    cells = np.loadtxt(shared_data / "prnet_uv" / "uv_kpt_ind.txt").T
    np.testing.assert_allclose(model.landmark_uv * 255, cells, atol=0.8)
    assert load_uv(folder / "BFM_UV.mat", 53215).shape == (53215, 2)
