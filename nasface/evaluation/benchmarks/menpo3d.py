"""Menpo 3D: frames of videos, and the stability of the motion between them (3DDFA_V2, section 3.1).

Each frame is cropped around its own true landmarks, so motion is measured in pixels of the videos' frames.
"""

from __future__ import annotations

import numpy as np

from nasface.data.plain import LABELS_FILE, read_labels
from nasface.data.sets.menpo3d import frame_videos, load_menpo3d
from nasface.evaluation.benchmark import (
    BenchmarkFaces,
    Errors,
    Prediction,
    Request,
    register_benchmark,
    require_all_points,
)
from nasface.evaluation.video_stability import STILL, video_errors
from nasface.faces.correspondences import known_points


@register_benchmark(
    "menpo3d",
    set="Menpo 3D",
    points="68 in 2D, over videos",
    protocol="NME of frames over sqrt(w h) of the points' box; stability: the same of the motion from frame to frame",
    source="Zafeiriou et al., ICCV-W 2017; Guo et al., ECCV 2020, section 3.1",
    holds=f"images/<VIDEO>/<FRAME>.jpg and {LABELS_FILE} (nasface.data.plain) in the order of time, 68 or 84 landmarks",
)
def menpo3d(request: Request) -> BenchmarkFaces:
    faces, videos = load_menpo3d(request.folder, request.crops), frame_videos(request.folder)
    labels = read_labels(request.folder, "menpo3d")
    require_all_points(faces, labels["names"].tolist())
    chosen = known_points(faces.landmarks.shape[1])
    cropped, true = faces.landmarks[:, chosen, :2], labels["landmarks"][:, chosen, :2].astype(np.float64)
    scale = np.ptp(cropped, axis=1).mean(axis=1) / np.ptp(true, axis=1).mean(axis=1)
    shift = cropped.mean(axis=1) - scale[:, None] * true.mean(axis=1)

    def measure(found: Prediction) -> list[Errors]:
        points = (found.landmarks[..., :2] - shift[:, None]) / scale[:, None, None]
        return video_errors(points, true, videos)

    first = np.array([np.flatnonzero(videos == video)[0] for video in videos])
    still = np.zeros((len(faces), int(chosen.sum()), 3))
    still[..., :2] = scale[:, None, None] * true[first] + shift[:, None]
    return BenchmarkFaces(faces, labels["names"].tolist(), measure, constant={STILL: still})
