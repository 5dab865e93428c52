"""COFW's 507 test faces, many occluded: its own 29 points, and 68 points of a later annotation.

Of the 29 two have no counterpart among 68 (`nasface.faces.correspondences`), so that a network of 68 points is measured
on 27; figures of networks that were trained on all 29 are not of the same points.
"""

from __future__ import annotations

import numpy as np

from nasface.data.sets.cofw import DATASET_URL, load_cofw, load_cofw68
from nasface.evaluation.benchmark import BenchmarkFaces, Errors, Prediction, Request, register_benchmark
from nasface.faces.correspondences import known_points, point_matrix
from nasface.metrics.cofw import COFW_POINTS, FAILURE, nme_29
from nasface.metrics.w300 import eye_centre_nme, outer_corner_nme


@register_benchmark(
    "cofw29",
    set="COFW",
    points="29, of which 68 points determine 27",
    protocol="NME over the outer eye corners' distance, failures above 10 %",
    source=f"Burgos-Artizzu et al., ICCV 2013; {DATASET_URL}",
    holds="COFW_test_color.mat (needs the extra hdf5)",
    threshold=FAILURE,
)
def cofw29(request: Request) -> BenchmarkFaces:
    faces = load_cofw(request.folder, "test", request.crops)
    known = np.tile(known_points(COFW_POINTS), (len(faces), 1))
    assert faces.visible is not None  # the file says which are occluded
    seen = known & faces.visible

    def measure(found: Prediction) -> list[Errors]:
        points = np.asarray(point_matrix(COFW_POINTS) @ found.landmarks)
        return [
            Errors("27 points", nme_29(points, faces.landmarks, known)),
            Errors("27 points, not occluded", nme_29(points, faces.landmarks, seen), counted=seen.any(axis=1)),
        ]

    return BenchmarkFaces(faces, _numbers(len(faces)), measure)


@register_benchmark(
    "cofw68",
    set="COFW-68",
    points="68 in 2D",
    protocol="NME over the eye centres' distance (also outer corners), failures above 10 %",
    source="Ghiasi and Fowlkes, arXiv 1506.08347; https://github.com/golnazghiasi/cofw68-benchmark",
    holds="COFW_test_color.mat (needs the extra hdf5) and test_annotations/1_points.mat, ...",
    threshold=FAILURE,
)
def cofw68(request: Request) -> BenchmarkFaces:
    faces = load_cofw68(request.folder, request.crops)

    def measure(found: Prediction) -> list[Errors]:
        rules = {"over eye centres": eye_centre_nme, "over outer eye corners": outer_corner_nme}
        return [Errors(name, rule(found.landmarks, faces.landmarks)) for name, rule in rules.items()]

    return BenchmarkFaces(faces, _numbers(len(faces)), measure)


def _numbers(count: int) -> list[str]:
    return [f"IsT {number}" for number in range(1, count + 1)]
