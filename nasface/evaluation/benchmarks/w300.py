"""The sets in .pts files with 68 points in the image: 300-W (common, challenging, full), iBUG, Menpo 2D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nasface.data.photographs import Photograph
from nasface.data.sets.pts import DATASET_URL, PARTS, crop_faces, find_faces, part_folder
from nasface.evaluation.benchmark import (
    BenchmarkFaces,
    Errors,
    Prediction,
    Request,
    labelled_groups,
    register_benchmark,
)
from nasface.faces.landmarks import NUM_LANDMARKS
from nasface.metrics.w300 import diagonal_nme, eye_centre_nme, outer_corner_nme


@register_benchmark(
    "300w",
    set="300-W",
    points="68 in 2D",
    protocol="NME over the outer eye corners' distance (also eye centres, box diagonal); all = full",
    source=f"Sagonas et al., IVC 2016; {DATASET_URL}",
    holds="helen/testset, lfpw/testset (common, 554 faces), ibug (challenging, 135): <NAME>.jpg or .png and .pts",
)
def w300(request: Request) -> BenchmarkFaces:
    parts = [find_faces(part_folder(request.folder, names))[0] for names in PARTS["test"]]
    labels = [
        "challenging" if names == ("ibug",) else "common"
        for names, part in zip(PARTS["test"], parts, strict=True)
        for _ in part
    ]
    return _measured(request, [face for part in parts for face in part], labelled_groups(labels))


@register_benchmark(
    "ibug",
    set="iBUG",
    points="68 in 2D",
    protocol="NME over the outer eye corners' distance (also eye centres, box diagonal)",
    source=f"Sagonas et al., IVC 2016; {DATASET_URL}",
    holds="<NAME>.jpg or .png and .pts with 68 points, in any folders; 135 faces",
)
def ibug(request: Request) -> BenchmarkFaces:
    return _all(request)


@register_benchmark(
    "menpo2d",
    set="Menpo 2D",
    points="68 in 2D, semi-frontal faces",
    protocol="NME over the box diagonal (also outer eye corners, eye centres)",
    source=f"Zafeiriou et al., CVPR-W 2017; {DATASET_URL}",
    holds="<NAME>.jpg or .png and .pts, in any folders; profile faces of 39 points are left out",
)
def menpo2d(request: Request) -> BenchmarkFaces:
    return _all(request, first="over box diagonal")


def _all(request: Request, first: str = "over outer eye corners") -> BenchmarkFaces:
    """Every face of 68 points below the folder; others are named as left out."""
    found, others = find_faces(request.folder)
    left_out = [f"{others} faces with another number of points than {NUM_LANDMARKS}"] if others else []
    return _measured(request, found, {}, first, left_out)


def _measured(
    request: Request,
    found: Sequence[Photograph],
    groups: Mapping[str, np.ndarray],
    first: str = "over outer eye corners",
    left_out: list[str] | None = None,
) -> BenchmarkFaces:
    faces = crop_faces(list(found), request.crops)
    names = [face.image.relative_to(request.folder).as_posix() for face in found]
    rules = {
        "over outer eye corners": outer_corner_nme,
        "over eye centres": eye_centre_nme,
        "over box diagonal": diagonal_nme,
    }

    def measure(found: Prediction) -> list[Errors]:
        order = sorted(rules, key=lambda rule: rule != first)
        return [Errors(rule, rules[rule](found.landmarks, faces.landmarks), groups) for rule in order]

    return BenchmarkFaces(faces, names, measure, left_out=left_out or [])
