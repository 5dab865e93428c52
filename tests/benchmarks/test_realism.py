from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import realism
from nasface.data.face_set import FaceSet
from nasface.faces.landmarks import bounding_box
from nasface.rendering.synthetic import draw_face, face_yaw


def test_verdicts_count_what_is_found_and_how_far_off() -> None:
    faces = [draw_face(5, "train", index, 32) for index in range(12)]
    waiting = iter(faces)

    def judge(image: np.ndarray) -> np.ndarray | None:
        face = next(waiting)
        np.testing.assert_array_equal(image, face.image)
        side = np.sqrt(bounding_box(face.landmarks).prod())
        return None if abs(face.yaw) > 60 else face.landmarks[17:, :2] + [0.03 * side, 0.04 * side]

    verdicts = realism.judge_faces(judge, 12, 32, "studio", 5)
    assert sum(v.faces for v in verdicts) == 12 and verdicts[2].faces > 0
    assert [v.found for v in verdicts] == [100, 100, 0]
    assert verdicts[0].nme == pytest.approx(5, abs=1e-3) and np.isnan(verdicts[2].nme)
    assert all(v.faces == sum(v.low <= abs(face_yaw(5, "train", i)) <= v.high for i in range(12)) for v in verdicts)


def test_without_mediapipe_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    monkeypatch.setattr(sys, "argv", ["realism"])
    assert realism.main() == 0
    assert "mediapipe is not installed" in capsys.readouterr().out


def test_photographs_are_judged_by_all_points_and_by_the_inner_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = np.random.default_rng(0).uniform(0, 32, (3, 68, 3)).astype(np.float32)
    faces = FaceSet(
        name="photographs",
        images=np.zeros((3, 32, 32, 3), np.uint8),
        landmarks=truth,
        yaw=np.array([5, -45, 80], np.float32),
        box=np.full((3, 2), 20, np.float32),
    )
    found = truth + np.where(np.arange(68) < 17, 4.0, 1.0)[:, None] * np.array([1, 0, 9])
    monkeypatch.setattr("nasface.inference.trained.load_task", lambda _: SimpleNamespace(task=None, input_size=32))
    monkeypatch.setattr("nasface.data.sets.aflw2000.load_aflw2000", lambda folder, crops: faces)
    monkeypatch.setattr("nasface.evaluation.inference.predict_faces", lambda *_: SimpleNamespace(landmarks=found))
    judged = realism.judge_photographs(Path("network.pt"), Path("AFLW2000"))
    assert judged["68 points"].bins == pytest.approx([100 * (17 * 4 + 51) / 68 / 20] * 3, rel=1e-5)
    assert judged["51 inner points"].mean == pytest.approx(5, rel=1e-5)
