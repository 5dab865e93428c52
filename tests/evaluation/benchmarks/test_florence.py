"""Florence's surfaces: a scan, and predictions of it from other sides and at another size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from nasface.evaluation.benchmark import BENCHMARKS, Prediction, Request
from nasface.faces.camera import euler_to_matrix
from nasface.faces.morphable import load_embedded_head
from nasface.faces.uv import uv_basis

YAWS = (-0.2, -40.0, 80.0)


def test_a_surface_seen_from_any_side_is_the_scan(tmp_path: Path) -> None:
    head = load_embedded_head()
    basis = uv_basis(head, 32)
    surface = basis.mean[:, basis.inside].T
    corners = head.mean[head.landmark_vertices][[36, 45]]
    (tmp_path / "images" / "anna").mkdir(parents=True)
    (tmp_path / "scans").mkdir()
    np.savez(tmp_path / "scans" / "anna.npz", points=70 * surface + [5, 6, 7], eyes=70 * corners + [5, 6, 7])
    names = [f"anna/{number}.jpg" for number in range(3)]
    for name in names:
        cv2.imwrite(str(tmp_path / "images" / name), np.zeros((100, 100, 3), dtype=np.uint8))
    np.savez(
        tmp_path / "landmarks.npz",
        names=np.array(names),
        landmarks=np.tile([[40.0, 40], [60, 40]], (3, 1, 1)),
        yaw=np.array(YAWS),
        box=np.tile([30.0, 30, 70, 70], (3, 1)),
    )
    entry = BENCHMARKS.get("florence").open(Request("florence", 64, tmp_path))
    assert entry.dense is not None
    turned = [20 * np.diag([1, -1, 1]) @ euler_to_matrix(np.array([5, yaw, 3])) for yaw in YAWS]

    def seen(maps: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.einsum("nij,jhw->nihw", np.stack(turned), maps) + 32

    landmarks = np.stack([head.mean[head.landmark_vertices] @ turn.T + 32 for turn in turned])
    exact = entry.dense(np.arange(3), landmarks, seen(basis.mean, landmarks), head)
    np.testing.assert_allclose(exact["surface"], 0, atol=0.05)
    deeper = basis.mean * np.array([1, 1, 1.5]).reshape(3, 1, 1)
    wrong = entry.dense(np.arange(3), landmarks, seen(deeper, landmarks), head)["surface"]
    assert (wrong > 1).all()
    (row,) = entry.measure(Prediction(landmarks, {"surface": wrong}))
    summary = row.summary(8.0)
    # A frontal face by a hair to the left is no group of its own.
    assert list(summary.groups) == ["-40°", "+0°", "+80°"]
    assert summary.groups["-40°"] == pytest.approx(wrong[1]) and summary.all == pytest.approx(wrong.mean())
    at_one_place = np.full_like(landmarks[:1], 3.0)
    assert np.isnan(entry.dense(np.arange(1), at_one_place, seen(deeper, landmarks)[:1], head)["surface"]).all()
    far = seen(deeper, landmarks)[:1] + 1e4
    assert np.isnan(entry.dense(np.arange(1), landmarks[:1], far, head)["surface"]).all()
    landmarks[0] = np.nan
    assert np.isnan(entry.dense(np.arange(1), landmarks[:1], seen(deeper, landmarks)[:1], head)["surface"]).all()
