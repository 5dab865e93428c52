"""UV position maps of 300W-LP: they lie on the picture, in PRNet's layout, and survive interruptions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat, savemat
from scipy.spatial import cKDTree

from nasface.data.position_maps import MAP_SIZE, Moves, uv_cells, write_position_maps
from nasface.faces.bfm import keypoints_of, load_bfm, load_bfm_mesh
from nasface.faces.landmarks import bounding_box
from nasface.faces.uv import sample_map
from nasface.utils.errors import UserError
from nasface.utils.images import decode_image
from tests.data.w300lp_files import BRIGHT, write_w300lp
from tests.faces.basel_files import COUNT, SIDE, surface, write_bfm
from tests.helpers.tiny import Command

FACES = 6


@pytest.fixture(scope="module")
def bfm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With smooth modes, so that a map between vertices is nearly what it is on them."""
    mean, uv, _ = surface()
    rng = np.random.default_rng(1)
    waves = np.cos(uv @ rng.uniform(-2, 2, (2, 199)) + rng.uniform(0, 6, 199))
    modes = (waves[:, None] * rng.normal(size=(3, 199))).reshape(mean.size, 199)
    return write_bfm(tmp_path_factory.mktemp("bfm"), shapePC=modes / np.linalg.norm(modes, axis=0))


@pytest.fixture
def root(tmp_path: Path, bfm: Path) -> Path:
    keypoints = keypoints_of(load_bfm(bfm))
    modes = np.concatenate([keypoints.mean[..., None], keypoints.basis], axis=-1)
    write_w300lp(tmp_path / "300W_LP", modes, photographs=FACES // 2)
    return tmp_path / "300W_LP"


def _landmark_uv() -> np.ndarray:
    _, uv, landmarks = surface()
    return uv[landmarks] * [1, -1] + [0, 1]


def _maps(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.load(path) for path in sorted(folder.glob("*/*.npy"))}


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_maps_lie_on_the_picture(root: Path, bfm: Path, tmp_path: Path) -> None:
    files = write_position_maps(root, load_bfm_mesh(bfm), tmp_path / "out", workers=1)
    assert files == (FACES, FACES)
    gaps = []
    for name, positions in _maps(tmp_path / "out").items():
        assert positions.shape == (MAP_SIZE, MAP_SIZE, 3) and positions.dtype == np.float32
        assert abs(positions[..., 2].min()) < 1
        light = np.clip(decode_image(tmp_path / "out" / "AFW" / f"{name}.jpg")[..., 0].astype(float) - 12, 0, None)
        column, row = np.meshgrid(np.arange(MAP_SIZE), np.arange(MAP_SIZE))
        found = np.array([(light * column).sum(), (light * row).sum()]) / light.sum()
        points = sample_map(positions.transpose(2, 0, 1), _landmark_uv())
        gaps.append(points[BRIGHT, :2] - found)
    np.testing.assert_allclose(gaps, 0, atol=0.25)


def test_a_map_is_the_posed_mesh_in_the_layouts_orientation(root: Path, bfm: Path, tmp_path: Path) -> None:
    """Corners of the map are corners of the sheet: written out from the parameters, up to the crop."""
    write_position_maps(root, load_bfm_mesh(bfm), tmp_path / "out", Moves(jitter=0.0), workers=1)
    mean, _, landmarks = surface()
    corners = np.array([0, SIDE - 1, COUNT - SIDE, COUNT - 1])  # as they lie: top left, top right, bottom left, right
    model = load_bfm(bfm)
    for name, positions in _maps(tmp_path / "out").items():
        content = loadmat(root / "AFW" / f"{name}.mat")
        pitch, yaw, roll, tx, ty, tz, scale = content["Pose_Para"][0].astype(np.float64)
        (cx, cy, cz), (sx, sy, sz) = np.cos([pitch, yaw, roll]), np.sin([pitch, yaw, roll])
        turn = (
            np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
            @ np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
            @ np.array([[cz, sz, 0], [-sz, cz, 0], [0, 0, 1]])
        )
        modes = np.concatenate([content["Shape_Para"], content["Exp_Para"]]).ravel()
        raw = scale * (mean + model.basis @ modes) @ turn.T + [tx, ty, tz]
        pixels = np.stack([raw[:, 0] - 1, 450 - raw[:, 1], raw[:, 2]], axis=1)
        width, height = bounding_box(pixels[landmarks])
        ratio = MAP_SIZE / round(1.5 * (width + height) / 2)
        expected = ratio * (pixels - pixels[landmarks].mean(axis=0))
        read = positions[[0, 0, -1, -1], [0, -1, 0, -1]]
        np.testing.assert_allclose(np.diff(read, axis=0), np.diff(expected[corners], axis=0), atol=0.02)
        # z counts from the farthest vertex, and the landmarks' box lies in the middle.
        np.testing.assert_allclose(read[:, 2], ratio * (pixels[corners, 2] - pixels[:, 2].min()), atol=0.02)
        points = sample_map(positions.transpose(2, 0, 1), _landmark_uv())[:, :2]
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        np.testing.assert_allclose(middle, (MAP_SIZE - 1) / 2, atol=ratio)


def test_files_do_not_depend_on_the_number_of_workers(root: Path, bfm: Path, tmp_path: Path) -> None:
    write_position_maps(root, load_bfm_mesh(bfm), tmp_path / "1", workers=1)
    write_position_maps(root, load_bfm_mesh(bfm), tmp_path / "2", workers=2)
    assert _content(tmp_path / "1") == _content(tmp_path / "2") and len(_content(tmp_path / "1")) == 2 * FACES + 1
    write_position_maps(root, load_bfm_mesh(bfm), tmp_path / "3", Moves(seed=1), workers=1)
    one, other = _maps(tmp_path / "1"), _maps(tmp_path / "3")
    assert all(np.abs(one[name] - other[name]).max() > 1 for name in one)


def test_an_interrupted_run_goes_on(root: Path, bfm: Path, tmp_path: Path) -> None:
    out, seen = tmp_path / "out", []

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_position_maps(root, load_bfm_mesh(bfm), out, workers=1, progress=interrupt)
    first = {path: path.stat().st_mtime_ns for path in out.rglob("*.npy")}
    assert 0 < len(first) < FACES
    # Killed between a picture and its map, a face is made again.
    kept, lost = sorted(first)
    lost.unlink()
    files = write_position_maps(root, load_bfm_mesh(bfm), out, workers=1, progress=lambda *state: seen.append(state))
    assert files == (FACES, FACES - 1) and kept.stat().st_mtime_ns == first[kept]
    assert seen[0] == (1, FACES) and seen[-1] == (FACES, FACES)
    write_position_maps(root, load_bfm_mesh(bfm), tmp_path / "whole", workers=1)
    assert _content(out) == _content(tmp_path / "whole")
    assert write_position_maps(root, load_bfm_mesh(bfm), out, workers=1) == (FACES, 0)
    with pytest.raises(UserError, match="out holds maps of another model or of other settings"):
        write_position_maps(root, load_bfm_mesh(bfm), out, Moves(jitter=0.2), workers=1)


def test_the_mouth_is_closed_where_the_file_says_how(tmp_path: Path) -> None:
    middle = SIDE * (SIDE // 2) + SIDE // 2
    triangles = loadmat(write_bfm(tmp_path / "open"))["model"]["tri"].item()
    mouth = (triangles == middle + 1).any(axis=0)
    opened = uv_cells(load_bfm_mesh(write_bfm(tmp_path / "open", tri=triangles[:, ~mouth])))
    closed = uv_cells(
        load_bfm_mesh(write_bfm(tmp_path / "closed", tri=triangles[:, ~mouth], tri_mouth=triangles[:, mouth]))
    )
    assert len(closed.cells) == MAP_SIZE**2 and 0 < MAP_SIZE**2 - len(opened.cells) < 1000
    np.testing.assert_allclose(closed.weights.sum(axis=1), 1, atol=1e-5)


def _equal_poses(root: Path) -> None:
    one, other, *_ = sorted((root / "AFW").glob("*.mat"))
    other.write_bytes(one.read_bytes())


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_equal_poses, "wrong copy of 300W-LP"),
        (lambda root: sorted((root / "AFW").glob("*.jpg"))[2].write_bytes(b"no"), "does not decode"),
    ],
)
def test_what_is_wrong_is_named(
    root: Path, bfm: Path, tmp_path: Path, damage: Callable[[Path], None], message: str, workers: int
) -> None:
    damage(root)
    with pytest.raises(UserError, match=message):
        write_position_maps(root, load_bfm_mesh(bfm), tmp_path / "out", workers=workers)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_command(
    root: Path, bfm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = Command(tmp_path, tmp_path, capsys)
    out = tmp_path / "maps"
    arguments = ("data", "prepare", "300w-lp", "--root", str(root), "--output", str(out), "--workers", "1")
    result = command(*arguments, "--bfm", str(bfm))
    assert result.code == 0 and result.output == f"{FACES} faces  {out}, {FACES} of them new\n"
    assert command(*arguments).line == (
        "nasface: where is the set, and where the model? give --root 300W_LP --bfm BFM.mat"
    )
    assert "BFM.mat does not exist" in command(*arguments, "--bfm", str(tmp_path / "BFM.mat")).line
    assert "from 0 to below 1" in command(*arguments, "--bfm", str(bfm), "--jitter", "1").line
    assert command("data", "prepare", "lfw").code == 2
    monkeypatch.setattr("nasface.faces.bfm.load_bfm_mesh", _interrupt)
    result = command(*arguments, "--bfm", str(bfm))
    # No --resume is spoken of: there is none.
    assert (result.code, result.line) == (130, "nasface: interrupted; the same command goes on from here")


@pytest.fixture(scope="module")
def real_bfm(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BFM.mat as far as it is published: mean, triangles and layout are real, modes those of the nearest landmark."""
    folder, source = tmp_path_factory.mktemp("real"), shared_data / "3ddfa"
    landmarks = np.load(source / "keypoints_sim.npy")[::3] // 3
    means = [np.load(source / f"{name}.npy").reshape(-1, 1) for name in ("u_shp", "u_exp")]
    vertices = sum(means).reshape(-1, 3)
    nearest = cKDTree(vertices[landmarks]).query(vertices)[1]
    rows = (3 * nearest[:, None] + [0, 1, 2]).ravel()
    shape = np.loadtxt(source / "w_shp_base.txt", dtype=np.float32)[rows]
    expression = np.pad(np.loadtxt(source / "w_exp_base.txt", dtype=np.float32), ((0, 0), (0, 19)))[rows]
    content = {
        "shapeMU": means[0],
        "shapePC": shape,
        "shapeEV": np.ones((40, 1)),
        "expMU": means[1],
        "expPC": expression,
        "expEV": np.ones((29, 1)),
        "tri": loadmat(source / "tri.mat")["tri"],
        "kpt_ind": landmarks[None] + 1,
    }
    savemat(folder / "BFM.mat", {"model": content})
    (folder / "BFM_UV.mat").write_bytes((source / "BFM_UV.mat").read_bytes())
    return folder / "BFM.mat"


def test_the_layout_is_prnets(shared_data: Path, real_bfm: Path) -> None:
    mesh = load_bfm_mesh(real_bfm)
    column, row = np.loadtxt(shared_data / "prnet_uv" / "uv_kpt_ind.txt")
    cells = mesh.uv[mesh.model.landmark_vertices] * (MAP_SIZE - 1)
    np.testing.assert_allclose(cells, np.stack([column, row], axis=1), atol=0.5 + 1e-9)
    face = np.loadtxt(shared_data / "prnet_uv" / "face_ind.txt").astype(int)
    missing = np.setdiff1d(face, uv_cells(mesh).cells)
    # All of PRNet's face but the mouth, whose triangles the published part does not have.
    assert len(missing) < 150 and (np.abs(missing // MAP_SIZE - 140) < 6).all()


def test_the_real_pair(shared_data: Path, real_bfm: Path, tmp_path: Path) -> None:
    write_position_maps(shared_data / "300w_lp_sample", load_bfm_mesh(real_bfm), tmp_path, workers=1)
    [(name, positions)] = _maps(tmp_path).items()
    source = shared_data / "3ddfa"
    content = loadmat(shared_data / "300w_lp_sample" / "IBUG" / f"{name}.mat")
    # The official convention, from the published 68-point model: f R v + t, y = 451 - y, counted from 1.
    weights = np.concatenate([content["Shape_Para"][:40], content["Exp_Para"][:10]]).ravel()
    modes = np.concatenate([np.loadtxt(source / "w_shp_base.txt"), np.loadtxt(source / "w_exp_base.txt")], axis=1)
    points = (np.loadtxt(source / "u_base.txt").ravel() + modes @ weights).reshape(68, 3)
    pitch, yaw, roll, tx, ty, tz, scale = content["Pose_Para"][0].astype(np.float64)
    (cx, cy, cz), (sx, sy, sz) = np.cos([pitch, yaw, roll]), np.sin([pitch, yaw, roll])
    turn = (
        np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
        @ np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
        @ np.array([[cz, sz, 0], [-sz, cz, 0], [0, 0, 1]])
    )
    raw = scale * points @ turn.T + [tx, ty, tz]
    truth = np.stack([raw[:, 0] - 1, 451 - raw[:, 1] - 1, raw[:, 2]], axis=1)

    column, row = np.loadtxt(shared_data / "prnet_uv" / "uv_kpt_ind.txt").astype(int)
    read = positions[row, column]
    ratio = np.sqrt(bounding_box(read) / bounding_box(truth)).mean() ** 2
    gap = read - ratio * truth
    assert np.linalg.norm(gap - gap.mean(axis=0), axis=1).mean() < 1.5  # cells are up to half a cell off the landmarks
    # With that scale and place, the crop is that part of the photograph.
    image = decode_image(shared_data / "300w_lp_sample" / "IBUG" / f"{name}.jpg").astype(np.float32)
    crop = decode_image(tmp_path / "IBUG" / f"{name}.jpg").astype(np.float32)

    def difference(shift: tuple[float, float]) -> float:
        matrix = np.concatenate([ratio * np.eye(2), (gap.mean(axis=0)[:2] + shift)[:, None]], axis=1)
        return float(np.abs(cv2.warpAffine(image, matrix, (MAP_SIZE, MAP_SIZE)) - crop)[32:-32, 32:-32].mean())

    assert difference((0, 0)) < 4
    assert all(difference(shift) > 1.3 * difference((0, 0)) for shift in ((2, 0), (-2, 0), (0, 2), (0, -2)))
