"""What is made of a prediction: crops by five points, meshes, overlays, videos, smoothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from nasface.faces.surface import chart_surface
from nasface.inference.detection import Detection
from nasface.inference.face import Face
from nasface.inference.five_points import TEMPLATE, aligned_crop, five_points
from nasface.inference.media import Wanted, find_inputs, predict_image, predict_video
from nasface.inference.mesh import texture, write_mesh
from nasface.inference.overlay import draw_faces
from nasface.inference.smoothing import Smoother, overlap
from nasface.utils.errors import UserError
from tests.helpers.tiny import Command
from tests.inference.world import KnowingAligner, coordinate_image, marked_points


def landmarks_at(points: np.ndarray) -> np.ndarray:
    """68 landmarks whose five points are `points` (5, 2)."""
    landmarks = np.zeros((68, 3), np.float32)
    landmarks[36:42, :2], landmarks[42:48, :2] = points[0], points[1]
    landmarks[[30, 48, 54], :2] = points[2:]
    return landmarks


@pytest.mark.parametrize("scale", [0.7, 1.0, 6.0])
def test_five_points_go_to_the_template(scale: float) -> None:
    turn = np.deg2rad(20)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = TEMPLATE @ matrix.T + [300 * scale, 90 * scale]
    np.testing.assert_allclose(five_points(landmarks_at(points)), points, atol=1e-3)
    image = np.zeros((int(320 * scale), int(420 * scale), 3), np.uint8)
    for x, y in points:
        cv2.circle(image, (round(x), round(y)), max(2, round(2 * scale)), (255, 255, 255), -1)
    crop = aligned_crop(image, landmarks_at(points))
    assert crop.shape == (112, 112, 3)
    for x, y in TEMPLATE:
        rows, columns = np.nonzero(crop[round(y) - 5 : round(y) + 6, round(x) - 5 : round(x) + 6, 0] > 100)
        assert abs(rows.mean() - 5 + round(y) - y) < 1 and abs(columns.mean() - 5 + round(x) - x) < 1


def sheet(size: int = 4) -> np.ndarray:
    """A flat position map that covers columns 20..50 and rows 10..40."""
    y, x = np.mgrid[:size, :size] * 30 / (size - 1)
    return np.stack([x + 20, y + 10, np.zeros_like(x)]).astype(np.float32)


def test_mesh_faces_the_viewer_and_has_its_texture(tmp_path: Path) -> None:
    image = coordinate_image()
    inside = np.ones((4, 4), bool)
    inside[0, 0] = False
    Image.fromarray(image).save(tmp_path / "face.png")
    write_mesh(tmp_path / "face.obj", sheet(), chart_surface(inside), image, texture_size=8)
    assert Image.open(tmp_path / "face.png").size == (200, 160), "the photograph stays"
    lines = [line.split() for line in (tmp_path / "face.obj").read_text().splitlines()]
    vertices = np.array([line[1:] for line in lines if line[0] == "v"], dtype=float)
    uv = np.array([line[1:] for line in lines if line[0] == "vt"], dtype=float)
    faces = np.array([[part.split("/")[0] for part in line[1:]] for line in lines if line[0] == "f"], dtype=int) - 1
    assert len(vertices) == len(uv) == 13 and len(faces) == 14  # a square is gone, and the ear on either side of it
    a, b, c = vertices[faces].swapaxes(0, 1)
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()
    assert uv.min() == 0 and uv.max() == 1
    np.testing.assert_allclose(vertices[:, 1].max(), 159 - 10)
    assert "map_Kd face.texture.png" in (tmp_path / "face.mtl").read_text()
    # Texel (row, column) shows the photograph at its place on the chart; the picture holds x and y as colours.
    found = np.asarray(Image.open(tmp_path / "face.texture.png")).astype(float)
    expected = 20 + 30 * (np.arange(8) + 0.5) / 8
    np.testing.assert_allclose(found[:, :, 0], np.tile(expected, (8, 1)), atol=0.6)
    assert texture(sheet(), image, 16).shape == (16, 16, 3)


def a_face(shift: float = 0.0) -> Face:
    points = marked_points() + np.array([shift, 0, 0], np.float32)
    dense = points[:16].T.reshape(3, 4, 4)
    detection, surface = Detection((60, 50, 60, 60), 0.8), chart_surface(np.ones((4, 4), bool))
    return Face(points, dense, np.array([5.0, -20.0, 3.0]), (40, 30, 90), detection, surface, coordinate_image())


def test_a_ply_has_the_photographs_colours(tmp_path: Path) -> None:
    face = replace(a_face(), dense=sheet())
    face.save(tmp_path / "face.ply")
    header, body = (tmp_path / "face.ply").read_bytes().split(b"end_header\n")
    assert b"element vertex 16" in header and b"element face 18" in header
    points = np.frombuffer(body, np.dtype([("place", "<f4", 3), ("colour", "u1", 3)]), 16)
    np.testing.assert_allclose(points["place"][:, 1], 159 - face.vertices[:, 1], atol=1e-4)
    # The picture's red and green are its x and y.
    np.testing.assert_allclose(points["colour"][:, :2], face.vertices[:, :2], atol=0.6)
    faces = np.frombuffer(body, np.dtype([("count", "u1"), ("corners", "<i4", 3)]), 18, points.nbytes)
    assert (faces["count"] == 3).all() and np.array_equal(faces["corners"], face.triangles)
    with pytest.raises(UserError, match=r"as \.obj or \.ply, not as face\.stl"):
        face.save(tmp_path / "face.stl")


def test_what_a_face_says_of_itself() -> None:
    face = a_face()
    assert repr(face).startswith("Face(box=(") and repr(face).endswith("pitch=5, yaw=-20, roll=3, score=0.8)")
    assert face.vertices.shape == (16, 3) and face.triangles.max() == 15
    with pytest.raises(UserError, match="no dense shape"):
        _ = replace(face, dense=None).vertices
    drawn = face.draw()
    assert drawn.shape == coordinate_image().shape and (drawn != coordinate_image()).any()


def test_the_camera_sees_the_near_side() -> None:
    """Two sheets, one behind the other and both facing the camera: the nearer hides the farther where it covers it."""
    dense = np.concatenate([sheet(8), sheet(8)], 1)[:, ::1].copy()
    dense[2, :8] = 10.0
    inside = np.ones((16, 16), bool)
    dense = np.concatenate([dense, dense + [[[100.0]], [[0]], [[0]]]], 2)
    inside[:8, 7:9] = inside[7:9] = inside[:, 7:9] = False
    face = replace(a_face(), dense=dense.astype(np.float32), surface=chart_surface(inside))
    near = face.vertices[:, 2] > 5
    assert face.visible[near].all() and not face.visible[~near].all() and near.any() and (~near).any()


def test_overlay_draws_on_a_copy_and_survives_faces_outside() -> None:
    image = coordinate_image()
    drawn = draw_faces(image, [a_face(), a_face(shift=5000.0), replace(a_face(), dense=None)])
    assert np.array_equal(image, coordinate_image()) and not np.array_equal(drawn, image)
    changed = np.argwhere((drawn != image).any(-1))
    assert changed.min(0)[0] > 10 and changed.max(0)[0] < 155


def test_json_of_a_face() -> None:
    flat = replace(a_face(), landmarks=np.where(np.arange(3) == 2, np.nan, marked_points()))
    record = json.loads(json.dumps(flat.as_dict(dense=True), allow_nan=False))
    assert np.shape(record["landmarks"]) == (68, 2) and np.shape(record["dense"]) == (3, 4, 4)
    assert np.shape(a_face().as_dict()["landmarks"]) == (68, 3) and record["yaw"] == -20


def test_smoothing() -> None:
    aligner = KnowingAligner()
    assert Smoother(aligner, 0.0)([a_face()])[0] is not None
    smoother = Smoother(aligner, 0.75)
    smoother([a_face()])
    (moved,) = smoother([a_face(4.0)])
    np.testing.assert_allclose(moved.landmarks[:, 0], marked_points()[:, 0] + 1.0, atol=1e-4)
    np.testing.assert_allclose(moved.dense, a_face(1.0).dense, atol=1e-4)
    (other,) = smoother([a_face(500.0)])  # another face
    np.testing.assert_allclose(other.landmarks, a_face(500.0).landmarks)
    assert overlap((0, 0, 2, 2), (1, 0, 2, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 2, 2), (5, 5, 1, 1)) == 0


def test_image_and_video_end_to_end(tmp_path: Path) -> None:
    Image.fromarray(coordinate_image()).save(tmp_path / "photo.png")
    out = tmp_path / "out"
    aligner = KnowingAligner()
    assert predict_image(aligner, tmp_path / "photo.png", out, Wanted(aligned=64, dense=True), None) == (1, 0)
    names = {path.name for path in out.iterdir()}
    assert names == {
        "photo.png.json", "photo.png.overlay.png", "photo.png-0.obj", "photo.png-0.mtl",
        "photo.png-0.texture.png",
        "photo.png-0.aligned.png",
    }  # fmt: skip
    record = json.loads((out / "photo.png.json").read_text())
    assert (record["width"], record["height"]) == (200, 160) and len(record["faces"]) == 1

    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (200, 160))
    for _ in range(3):
        writer.write(coordinate_image()[..., ::-1].copy())
    writer.release()
    assert predict_video(aligner, tmp_path / "clip.avi", out, Wanted(beside=True), None) == (3, 3)
    record = json.loads((out / "clip.avi.json").read_text())
    assert [len(frame["faces"]) for frame in record["frames"]] == [1, 1, 1] and record["frames_per_second"] == 10
    assert [frame["frame"] for frame in record["frames"]] == [0, 1, 2] and record["video"] == "clip.avi"
    made = cv2.VideoCapture(str(out / "clip.avi.overlay.mp4"))
    assert made.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and made.get(cv2.CAP_PROP_FRAME_WIDTH) == 200
    made = cv2.VideoCapture(str(out / "clip.avi.beside.mp4"))
    assert made.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and made.get(cv2.CAP_PROP_FRAME_WIDTH) == 400
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_five_points_in_one_place_make_no_crop(tmp_path: Path) -> None:
    Image.fromarray(coordinate_image()).save(tmp_path / "photo.png")
    aligner = KnowingAligner()
    aligner.regress = lambda crops: (np.ones((len(crops), 68, 3), np.float32), None)
    with pytest.raises(UserError, match="aligned.png cannot be made .* needs more training"):
        predict_image(aligner, tmp_path / "photo.png", tmp_path / "out", Wanted(aligned=112), None)


def test_bad_inputs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        find_inputs(tmp_path / "absent.jpg")
    with pytest.raises(UserError, match="holds no image"):
        find_inputs(tmp_path)
    (tmp_path / "inner").mkdir()
    for name in ("a.jpg", "b.gif", "inner/a.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in find_inputs(tmp_path / "b.gif", tmp_path)] == ["b.gif", "a.jpg"]
    with pytest.raises(UserError, match="a.jpg and .*inner/a.jpg have one name: align them apart"):
        find_inputs(tmp_path / "a.jpg", tmp_path / "inner")
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match="broken.mp4 (does not open|holds no frame)"):
        predict_video(KnowingAligner(), tmp_path / "broken.mp4", tmp_path / "out", Wanted(), None)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("predict absent.jpg", "absent.jpg does not exist"),
        ("predict", "input"),
        ("report absent", "absent is no run"),
        ("export --weights absent.pt", "absent.pt does not exist"),
        ("export --format marble", "must be one of 'onnx', 'torchscript', 'safetensors', not marble"),
    ],
)
def test_wrong_arguments_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = Command(tmp_path, tmp_path, capsys)(*arguments.split())
    assert result.code == 2 and message in result.line
