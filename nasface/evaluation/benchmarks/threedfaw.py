"""3DFAW: 66 points in space (Jeni et al., ECCV workshops 2016)."""

from __future__ import annotations

import numpy as np

from nasface.data.plain import LABELS_FILE, read_labels
from nasface.data.sets.threedfaw import load_3dfaw
from nasface.evaluation.benchmark import (
    BenchmarkFaces,
    Errors,
    Prediction,
    Request,
    register_benchmark,
    require_all_points,
)
from nasface.faces.correspondences import point_matrix
from nasface.metrics.nme import align_depth
from nasface.metrics.threedfaw import cvgtce, gte


@register_benchmark(
    "3dfaw",
    set="3DFAW",
    points="66 in 3D",
    protocol="GTE (mean depth aligned) and CVGTCE over the outer eye corners' distance",
    source="Jeni et al., ECCV-W 2016; Zhang et al., TIP 2019, eq. 15-17",
    holds=f"test/images/ and test/{LABELS_FILE} (nasface.data.plain) with 66 landmarks of three coordinates",
    needs="depth",
)
def threedfaw(request: Request) -> BenchmarkFaces:
    faces = load_3dfaw(request.folder, "test", request.crops)
    names = read_labels(request.folder / "test", "3DFAW")["names"].tolist()
    require_all_points(faces, names)

    def measure(found: Prediction) -> list[Errors]:
        points = np.asarray(point_matrix(66) @ found.landmarks)
        errors = {"GTE": gte(align_depth(points, faces.landmarks), faces.landmarks)}
        errors["CVGTCE"] = cvgtce(points, faces.landmarks)
        return [Errors(name, values) for name, values in errors.items()]

    return BenchmarkFaces(faces, names, measure)
