"""Short videos of still sets: photographs with 3DDFA's model, and rendered faces."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from nasface.evaluation.benchmark import BENCHMARKS, BenchmarkFaces, Prediction, Request
from nasface.evaluation.benchmarks import synthetic_videos
from nasface.evaluation.video_stability import STILL
from nasface.faces.ddfa_model import load_ddfa_model
from nasface.utils.errors import UserError
from tests.data.aflw2000_files import write_aflw2000
from tests.faces.ddfa_files import write_assets


def check(entry: BenchmarkFaces, videos: int) -> None:
    """Exact landmarks have no error, an offset has no jitter, and the row that stands still misses the motion."""
    true = entry.faces.landmarks
    frames = true.reshape(videos, 8, 68, 3)[..., :2]
    length = np.sqrt(np.ptp(frames, axis=2).prod(2))
    rows = {row.name: row for row in entry.measure(Prediction(true + np.float32([3, 4, 0])))}
    assert list(rows) == ["stability", "2D"] and rows["stability"].counts.sum() == 7 * videos
    np.testing.assert_allclose(rows["stability"].values[rows["stability"].counts], 0, atol=1e-3)
    np.testing.assert_allclose(rows["2D"].values, (500 / length).ravel(), rtol=1e-3)
    motion = np.linalg.norm(np.diff(frames, axis=1), axis=3).mean(2) / length[:, 1:]
    still = {row.name: row for row in entry.measure(Prediction(entry.constant[STILL]))}["stability"]
    assert still.summary(8.0).all == pytest.approx(100 * motion.mean(), rel=1e-3) and motion.min() > 0


def test_photographs_with_3ddfas_model(tmp_path: Path) -> None:
    write_assets(tmp_path / "assets")
    write_aflw2000(tmp_path / "AFLW2000", tmp_path / "assets", (10, -45, 80))
    request = Request(
        "synthetic_videos", 64, tmp_path / "AFLW2000", model=partial(load_ddfa_model, tmp_path / "assets")
    )
    entry = BENCHMARKS.get("synthetic_videos").open(request)
    check(entry, 3)
    # The first frame is the photograph, whose annotation is the model's.
    annotated = BENCHMARKS.get("aflw2000").open(Request("aflw2000", 64, tmp_path / "AFLW2000")).faces
    np.testing.assert_array_equal(entry.faces.images[::8], annotated.images)
    np.testing.assert_allclose(entry.faces.landmarks[::8, :, :2], annotated.landmarks[..., :2], atol=0.2)
    with pytest.raises(UserError, match="--model"):
        BENCHMARKS.get("synthetic_videos").open(Request("synthetic_videos", 64, tmp_path / "AFLW2000"))


def test_rendered_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic_videos, "VIDEOS", 2)
    request = Request("synthetic_videos", 32, None, cache=str(tmp_path))
    check(BENCHMARKS.get("synthetic_videos").open(request), 2)
