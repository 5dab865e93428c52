"""Face verification with a stand-in for the recogniser and faces that are drawn here."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmarks import verification
from benchmarks.verification import FOLDS, SIZE, TEMPLATE, WAYS, Pair
from nasface.faces.morphable import load_embedded_head
from nasface.utils.errors import UserError

HEAD = load_embedded_head()
DOWN = HEAD.mean.reshape(-1, 3)[HEAD.landmark_vertices] * [1, -1, 1]  # the mean face's landmarks, y down
MEAN = verification.mean_in_template(DOWN)


def test_the_mean_face_lies_in_the_template() -> None:
    assert np.abs(verification.five_points(MEAN) - TEMPLATE).max() < 6
    assert MEAN.shape == (68, 2) and MEAN[8, 1] > MEAN[27, 1], "the chin is below the nose"


@pytest.mark.parametrize("way", WAYS[1:])
def test_aligned_crops_undo_what_was_done_to_a_picture(way: str) -> None:
    texture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8), (0, 0), 6)
    angle, scale = 0.7, 1.6
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.column_stack([turn, [120.0, 40.0]])
    image = cv2.warpAffine(texture, matrix, (400, 400))
    face = MEAN if way == "68 landmarks" else MEAN + (TEMPLATE - verification.five_points(MEAN)).mean(0)
    landmarks = face @ turn.T + [120.0, 40.0]
    found = verification.crop(image, way, landmarks, MEAN)
    assert found.shape == (3, SIZE, SIZE) and found.dtype == np.float32
    wanted = (texture.astype(np.float32) - 127.5) / 127.5
    inside = (slice(None), slice(30, 80), slice(30, 80))
    assert np.abs(found - wanted.transpose(2, 0, 1))[inside].mean() < (0.02 if way == "68 landmarks" else 0.06)


def test_the_accuracy_of_a_fold_uses_the_others_threshold() -> None:
    same = np.tile([True, False], 50)
    assert (verification.accuracies(np.where(same, 0.8, 0.2), same) == 1).all()
    assert (verification.accuracies(np.where(same, 0.2, 0.8), same) <= 0.5).all(), "cosines that say the opposite"
    # One fold whose pairs all lie above everybody else's threshold: its different ones are told wrong.
    cosines = np.where(same, 0.8, 0.2) + np.where(np.arange(100) < 10, 1.0, 0.0)
    found = verification.accuracies(cosines, same)
    assert found[0] == 0.5 and (found[1:] == 1).all()


def test_alignment_helps_a_recogniser_that_looks_at_pixels(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    people = [cv2.GaussianBlur(rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8), (0, 0), 8) for _ in range(12)]
    people = [cv2.normalize(one, None, 0, 255, cv2.NORM_MINMAX) for one in people]
    known: dict[bytes, np.ndarray] = {}

    def photograph(person: int, name: str) -> Path:
        angle, scale = rng.uniform(-1.2, 1.2), rng.uniform(1.0, 2.0)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shift = np.array([200.0, 200.0]) - turn @ [SIZE / 2, SIZE / 2]
        image = cv2.warpAffine(people[person], np.column_stack([turn, shift]), (400, 400))
        cv2.imwrite(str(tmp_path / name), image[..., ::-1])
        known[image.tobytes()] = MEAN @ turn.T + shift
        return tmp_path / name

    pairs = []
    for number in range(40):
        same = number % 2 == 0
        first = int(rng.integers(12))
        second = first if same else (first + 1 + int(rng.integers(11))) % 12
        files = [photograph(person, f"{number}_{side}.png") for side, person in enumerate((first, second))]
        pairs.append(Pair(*files, same))
    aligner = SimpleNamespace(predict=lambda image, boxes=None: [SimpleNamespace(landmarks=known[image.tobytes()])])

    def embed(crops: np.ndarray) -> np.ndarray:
        small = np.stack([cv2.resize(one.transpose(1, 2, 0), (12, 12), interpolation=cv2.INTER_AREA) for one in crops])
        return (small - small.mean((1, 2), keepdims=True)).reshape(len(crops), -1)

    found = {way: one.mean() for way, one in verification.verify(pairs, aligner, DOWN, embed).items()}
    assert found["68 landmarks"] > 0.95 and found["68 landmarks"] > found["no alignment"] + 0.2
    assert found["5 landmarks"] > 0.9


def test_pairs_that_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    with pytest.raises(UserError, match="cannot be read"):
        verification.read_pairs(path, tmp_path)
    path.write_text("a.png,b.png,1\na.png,b.png\n")
    with pytest.raises(UserError, match="line 2"):
        verification.read_pairs(path, tmp_path)
    path.write_text("a.png,b.png,1\n\n")
    with pytest.raises(UserError, match=f"1 pairs; {FOLDS} folds"):
        verification.read_pairs(path, tmp_path)
    path.write_text("\ufeffa.png, b.png ,0\n" * 1 + "a.png,b.png,1\n" * 9)
    pairs = verification.read_pairs(path, tmp_path)
    assert pairs[0] == Pair(tmp_path / "a.png", tmp_path / "b.png", False) and pairs[1].same
    with pytest.raises(UserError, match="--pairs"):
        verification.main([])
