"""LS3D-W: 68 projected points, with FAN's area up to 7 % (Bulat and Tzimiropoulos, ICCV 2017)."""

from __future__ import annotations

from nasface.data.photographs import find_photographs
from nasface.data.sets.ls3d_w import DATASET_URL, load_ls3d_w
from nasface.evaluation.benchmark import (
    BenchmarkFaces,
    Errors,
    Prediction,
    Request,
    labelled_groups,
    register_benchmark,
)
from nasface.metrics.aflw2000 import nme_2d


@register_benchmark(
    "ls3d_w",
    set="LS3D-W",
    points="68 in 2D",
    protocol="NME over sqrt(w h) of the points' box, area up to 7 %",
    source=f"Bulat and Tzimiropoulos, ICCV 2017; {DATASET_URL}",
    holds="any folders of <NAME>.jpg or .png and <NAME>.t7; the first level are the subsets of the table",
    threshold=7.0,
)
def ls3d_w(request: Request) -> BenchmarkFaces:
    faces = load_ls3d_w(request.folder, request.crops)
    paths = [image.relative_to(request.folder) for image, _ in find_photographs(request.folder, ".t7", DATASET_URL)]
    groups = labelled_groups([path.parts[0] if len(path.parts) > 1 else "" for path in paths])
    shown = groups if len(groups) > 1 else {}

    def measure(found: Prediction) -> list[Errors]:
        return [Errors("2D", nme_2d(found.landmarks, faces.landmarks), shown)]

    return BenchmarkFaces(faces, [path.as_posix() for path in paths], measure)
