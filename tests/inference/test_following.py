"""Faces of a video: looked for now and then, followed in between, smoothed within a scene."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from nasface.inference.aligner import FaceAligner
from nasface.inference.detection import Detection
from nasface.inference.following import FaceFollower, SceneCuts
from nasface.inference.media import Wanted, predict_video

RING = np.stack([np.cos(np.arange(68)), np.sin(np.arange(68)), 0.3 * np.sin(3.0 * np.arange(68))], 1)
HEIGHT, WIDTH, RADIUS = 120, 160, 20


class DiscAligner(FaceAligner):
    """Takes a white disc for a face: a ring of landmarks around the middle of what is white."""

    def __init__(self) -> None:
        super().__init__(self._see, 64, RING, detector=self._detect)
        self.looks = 0

    def _detect(self, image: np.ndarray) -> list[Detection]:
        self.looks += 1
        count, _, boxes, _ = cv2.connectedComponentsWithStats((image.min(2) > 240).astype(np.uint8))
        return [Detection(tuple(map(float, boxes[k, :4])), 0.9) for k in range(1, count) if boxes[k, 4] > 200]

    def _see(self, crops: np.ndarray) -> tuple[np.ndarray, None]:
        found = []
        for crop in crops:
            rows, columns = np.nonzero(crop.min(2) > 200)
            spread = 2 * rows.std() if len(rows) else 0.0
            middle = [columns.mean(), rows.mean(), 0] if len(rows) else [0, 0, 0]
            found.append(RING * spread + middle)
        return np.array(found, np.float32), None


def frame(place: tuple[float, float] | None, scene: int = 0, pan: int = 0) -> np.ndarray:
    rng = np.random.default_rng(scene)
    ground = cv2.resize(rng.integers(0, 180, (8, 12, 3)).astype(np.uint8), (2 * WIDTH, HEIGHT))[:, pan : pan + WIDTH]
    ground = np.ascontiguousarray(ground)
    if place is not None:
        centre = tuple(round(16 * value) for value in place)
        cv2.circle(ground, centre, 16 * RADIUS, (255, 255, 255), -1, cv2.LINE_AA, 4)
    return ground


def test_a_cut_is_told_from_motion_and_light() -> None:
    cuts = SceneCuts()
    moving = [frame(None, 1, pan=4 * k) for k in range(20)]
    lights = [np.clip(moving[-1] * gain, 0, 255).astype(np.uint8) for gain in (1.0, 1.1, 1.25, 1.1, 1.0)]
    still = [moving[-1]] * 3
    other = [frame(None, 2)] * 3
    found = [cuts(image) for image in moving + lights + still + other]
    assert np.flatnonzero(found).tolist() == [len(moving + lights + still)]


def test_the_detector_looks_now_and_then() -> None:
    aligner = DiscAligner()
    follow = FaceFollower(aligner)
    for k in range(40):
        (face,) = follow(frame((60 + k, 60)))
        np.testing.assert_allclose(face.landmarks[:, :2].mean(0), RING[:, :2].mean(0) * RADIUS + [60 + k, 60], atol=1)
    assert 4 <= aligner.looks <= 6
    assert follow(frame(None)) == []  # gone at once where the network finds nothing
    looks = aligner.looks
    assert follow(frame(None)) == [] and aligner.looks == looks + 1  # nothing to follow
    assert len(follow(frame((50, 50)))) == 1


def test_a_second_face_is_found_and_a_false_one_is_dropped() -> None:
    aligner = DiscAligner()
    follow = FaceFollower(aligner)
    assert len(follow(frame((30, 60)))) == 1
    both = np.maximum(frame((30, 60)), frame((110, 60)))
    assert [len(follow(both)) for _ in range(12)][-1] == 2
    aligner.detector = lambda image: []  # what is followed is no face
    assert [len(follow(both)) for _ in range(25)][-1] == 0


@pytest.mark.parametrize("share", (0.0, 0.8))
def test_smoothing_starts_anew_at_a_cut(tmp_path: Path, share: float) -> None:
    """Two scenes whose faces lie nearly in one place, in a file; the first one trembles."""
    rng = np.random.default_rng(0)
    middles = [(60 + x, 60 + y) for x, y in rng.normal(0, 2, (20, 2))] + [(68.0, 66.0)] * 5
    writer = cv2.VideoWriter(str(tmp_path / "two.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (WIDTH, HEIGHT))
    for k, middle in enumerate(middles):
        writer.write(frame(middle, scene=1 + (k >= 20))[..., ::-1].copy())
    writer.release()
    predict_video(DiscAligner(), tmp_path / "two.avi", tmp_path / "out", Wanted(overlay=False, smooth=share), None)
    frames = json.loads((tmp_path / "out" / "two.avi.json").read_text())["frames"]
    assert [one["scene"] for one in frames] == [0] * 20 + [1] * 5
    found = np.array([np.mean(one["faces"][0]["landmarks"], 0)[:2] for one in frames])
    found -= RING[:, :2].mean(0) * RADIUS
    tremble = np.abs(np.diff(found[:20], axis=0)).mean() / np.abs(np.diff(middles[:20], axis=0)).mean()
    assert (tremble < 0.4) if share else (tremble > 0.8)
    np.testing.assert_allclose(found[20:], middles[20:], atol=0.7)
