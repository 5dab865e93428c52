"""The sets in .pts files with 68 points in the image: 300-W (common, challenging, full), iBUG, Menpo 2D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nasface.data.face_set import FaceSet
from nasface.data.photographs import find_photographs
from nasface.data.sets.pts import DATASET_URL, load_pts, read_pts
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
from nasface.utils.errors import UserError

COMMON, CHALLENGING = (("helen", "testset"), ("lfpw", "testset")), (("ibug",),)


@register_benchmark(
    "300w",
    set="300-W",
    points="68 in 2D",
    protocol="NME over the outer eye corners' distance (also eye centres, box diagonal); all = full",
    source=f"Sagonas et al., IVC 2016; {DATASET_URL}",
    holds="helen/testset, lfpw/testset (common, 554 faces), ibug (challenging, 135): <NAME>.jpg or .png and .pts",
)
def w300(request: Request) -> BenchmarkFaces:
    subsets = [*((path, "common") for path in COMMON), *((path, "challenging") for path in CHALLENGING)]
    parts, names, labels = [], [], []
    for path, label in subsets:
        found = _folder(request.folder, path)
        parts.append(load_pts(found, request.crops))
        names += _names(find_photographs(found, ".pts", DATASET_URL), request.folder)
        labels += [label] * len(parts[-1])
    images, landmarks, yaw, box = (
        np.concatenate([getattr(part, key) for part in parts]) for key in ("images", "landmarks", "yaw", "box")
    )
    return _measured(FaceSet("300w", images, landmarks, yaw, box), names, labelled_groups(labels))


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
    pairs = find_photographs(request.folder, ".pts", DATASET_URL)
    faces, names = load_pts(request.folder, request.crops), _names(pairs, request.folder)
    others = len(pairs) - len(names)
    left_out = [f"{others} faces with another number of points than {NUM_LANDMARKS}"] if others else []
    return _measured(faces, names, {}, first, left_out)


def _measured(
    faces: FaceSet,
    names: list[str],
    groups: Mapping[str, np.ndarray],
    first: str = "over outer eye corners",
    left_out: list[str] | None = None,
) -> BenchmarkFaces:
    rules = {
        "over outer eye corners": outer_corner_nme,
        "over eye centres": eye_centre_nme,
        "over box diagonal": diagonal_nme,
    }

    def measure(found: Prediction) -> list[Errors]:
        order = sorted(rules, key=lambda rule: rule != first)
        return [Errors(rule, rules[rule](found.landmarks, faces.landmarks), groups) for rule in order]

    return BenchmarkFaces(faces, names, measure, left_out=left_out or [])


def _names(pairs: Sequence[tuple[Path, Path]], root: Path) -> list[str]:
    """Of the photographs below `root` whose .pts files have 68 points, as `load_pts` takes them."""
    return [image.relative_to(root).as_posix() for image, path in pairs if len(read_pts(path)) == NUM_LANDMARKS]


def _folder(root: Path, names: tuple[str, ...]) -> Path:
    """The folder of a subset, however its name is written."""
    place = root
    for name in names:
        found = next((path for path in sorted(place.iterdir()) if path.is_dir() and path.name.lower() == name), None)
        if found is None:
            raise UserError(f"{root} has no folder {'/'.join(names)}: unpack 300-W there; {DATASET_URL}")
        place = found
    return place
