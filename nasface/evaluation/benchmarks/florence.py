"""Florence: predicted surfaces against scans, by the yaw of the renderings (VRN, PRNet, MONAS).

A scan has a frame of its own (x right, y up, z toward the viewer on a frontal face; any unit). The predicted surface
starts where a similarity takes its 68 landmarks to a mean face and its outer eye corners to the scan's; ICP with scale
does the rest, and distances are divided by the scan's outer eye distance (`nasface.metrics.florence`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nasface.data.plain import LABELS_FILE, read_labels
from nasface.data.sets.florence import Scan, load_florence, load_scan, rendering_subjects
from nasface.evaluation.benchmark import (
    BenchmarkFaces,
    Errors,
    Prediction,
    Request,
    labelled_groups,
    register_benchmark,
)
from nasface.faces.morphable import MorphableModel, load_embedded_head
from nasface.faces.uv import uv_basis
from nasface.metrics.florence import face_region, surface_nme
from nasface.metrics.similarity import fit_similarity

SUBJECTS = 53
_EYES = [36, 45]
_REACH = 1.1
"""Radius of the face region about the middle of the eyes, in outer eye distances: about 100 mm."""


@register_benchmark(
    "florence",
    set="Florence (MICC)",
    points="dense, the common face region",
    protocol=f"distance after ICP over the outer eye corners' distance, by yaw; {SUBJECTS} subjects",
    source="Bagdanov et al., 2011; Jackson et al., ICCV 2017; Feng et al., ECCV 2018",
    holds=f"images/<SUBJECT>/*.jpg, {LABELS_FILE} and scans/<SUBJECT>.npz (nasface.data.sets.florence)",
    needs="dense",
)
def florence(request: Request) -> BenchmarkFaces:
    faces, subjects = load_florence(request.folder, request.crops), rendering_subjects(request.folder)
    scan_of = lru_cache(maxsize=SUBJECTS)(lambda subject: load_scan(request.folder, subject))
    groups = labelled_groups([f"{round(float(yaw)):+d}°" for yaw in faces.yaw])
    groups = {name: groups[name] for name in sorted(groups, key=lambda name: float(name[:-1]))}

    def dense(
        index: np.ndarray, landmarks: np.ndarray, maps: np.ndarray, chart: MorphableModel | None
    ) -> dict[str, np.ndarray]:
        size = maps.shape[-1]
        inside = np.ones((size, size), dtype=bool) if chart is None else uv_basis(chart, size).inside
        scans = [scan_of(subjects[face]) for face in index]
        pairs = zip(landmarks, maps[:, :, inside].swapaxes(1, 2), scans, strict=True)
        return {"surface": np.array([surface_error(*pair) for pair in pairs])}

    def measure(found: Prediction) -> list[Errors]:
        return [Errors("surface after ICP", found.dense["surface"], groups)]

    return BenchmarkFaces(faces, read_labels(request.folder, "florence")["names"].tolist(), measure, dense)


def surface_error(landmarks: np.ndarray, surface: np.ndarray, scan: Scan) -> float:
    """Percent of the scan's outer eye distance, of a surface (P, 3) in crop pixels with landmarks (68, 3); only what
    lies in the face region counts, of both. NaN where the prediction is not finite, or no face."""
    head, up = load_embedded_head(), np.array([1.0, -1.0, 1.0])
    if not (np.isfinite(landmarks).all() and np.isfinite(surface).all() and np.ptp(landmarks[_EYES], axis=0).any()):
        return float("nan")
    assert head.landmark_vertices is not None
    frontal = fit_similarity(landmarks * up, head.mean[head.landmark_vertices]).rotation
    points, eyes = (surface * up) @ frontal.T, (landmarks[_EYES] * up) @ frontal.T
    distance, middle = float(np.linalg.norm(np.diff(scan.eyes, axis=0))), scan.eyes.mean(axis=0)
    points = (points - eyes.mean(axis=0)) * distance / np.linalg.norm(np.diff(eyes, axis=0)) + middle
    truth, mine = (cloud[face_region(cloud, middle, _REACH * distance)] for cloud in (scan.points, points))
    return surface_nme(mine, truth, distance, scale=True).nme if len(mine) > 2 else float("nan")
