"""AFLW2000-3D: 68 points in the image plane and in space, and the dense shape (X. Zhu et al., CVPR 2016).

Beside the protocol that papers print, the table has every reading of it that is in use: both files of yaw angles, the
re-annotation, depth aligned by its mean or its least value, and three lengths that dense errors are divided by
(`nasface.metrics.aflw2000`, `nasface.metrics.dense_aflw2000`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from nasface.data.crops import crop_window
from nasface.data.sets.aflw2000 import find_pairs, load_aflw2000, read_annotation, with_other_points
from nasface.data.sets.w300lp import Parameters, model_coefficients, read_parameters
from nasface.evaluation.benchmark import BenchmarkFaces, Errors, Prediction, Request, register_benchmark, yaw_groups
from nasface.faces.camera import pose_from_300wlp, resize_similarity, transform_points, transform_pose
from nasface.faces.morphable import MorphableModel
from nasface.faces.uv import UVBasis, position_map, sample_map, uv_basis
from nasface.metrics.aflw2000 import DATASET_URL, nme_2d, nme_3d
from nasface.metrics.dense_aflw2000 import ANNOTATION_BOX, DENSE_CONVENTIONS, LANDMARKS_BOX, dense_nme
from nasface.utils.errors import UserError
from nasface.utils.reading import beside
from nasface.utils.npy import read_npy

NEW_YAW = "AFLW2000-3D-new.pose.npy"
REANNOTATED = ("AFLW2000-3D-Reannotated.pts68.npy", "AFLW2000-3D-Reannotated")
_DIMENSIONS: tuple[Literal[2, 3], ...] = (2, 3)


@register_benchmark(
    "aflw2000",
    set="AFLW2000-3D",
    points="68 in 2D and 3D, dense",
    protocol="NME over sqrt(w h) of the 68 points' box, mean of three yaw bins",
    source=f"Zhu et al., CVPR 2016; {DATASET_URL}",
    holds=f"image00002.jpg and .mat, ...; beside it or in --files, where wanted: {NEW_YAW}, {REANNOTATED[0]}",
)
def aflw2000(request: Request) -> BenchmarkFaces:
    images = find_pairs(request.folder)
    faces = load_aflw2000(request.folder, request.crops)
    crops = crop_matrices(images, request.image_size)
    groups, left_out = yaw_groups(faces.yaw), []
    planes = {"2D": (faces.landmarks, groups)}
    if new := request.optional(NEW_YAW):
        mend = f"{new.name} belongs to the whole set, one row an image; take it away to leave its row out"
        planes[f"2D, bins of {NEW_YAW}"] = faces.landmarks, yaw_groups(read_npy(new, (len(images),), mend))
    else:
        left_out.append(f"2D by AFLW's own yaw angles: {NEW_YAW} is not at hand")
    if other := next((path for name in REANNOTATED if (path := request.optional(name))), None):
        fitted = np.stack([read_annotation(beside(path, ".mat")).landmarks for path in images])
        points = transform_points(with_other_points(fitted, other, images), crops)
        planes["2D, re-annotated (LS3D-W)"] = points, groups
    else:
        left_out.append(f"2D, re-annotated: {REANNOTATED[0]} is not at hand")

    def measure(found: Prediction) -> list[Errors]:
        plane = {name: (nme_2d(found.landmarks, truth), bins) for name, (truth, bins) in planes.items()}
        space = {
            "3D, mean depth aligned": (nme_3d(found.landmarks, faces.landmarks), groups),
            "3D, least depth aligned": (nme_3d(found.landmarks, faces.landmarks, "min"), groups),
        }
        rows = plane | (space if found.has_depth else {})
        rows |= {name: (values, groups) for name, values in found.dense.items()}
        return [Errors(name, values, bins, balanced=True) for name, (values, bins) in rows.items()]

    return BenchmarkFaces(
        faces, [image.name for image in images], measure, DenseTruth(images, crops, faces.landmarks), {}, left_out
    )


def crop_matrices(images: Sequence[Path], size: int) -> np.ndarray:
    """(N, 2, 3): from pixels of the photographs to those of the crops that `load_aflw2000` makes of them."""
    result = []
    for image in images:
        corner, side = crop_window(read_annotation(beside(image, ".mat")).landmarks)
        matrix = resize_similarity(side, size)
        matrix[:, 2] -= matrix[:, :2] @ corner
        result.append(matrix)
    return np.stack(result)


def crop_poses(images: Sequence[Path], parameters: Sequence[Parameters], crops: np.ndarray) -> np.ndarray:
    """(N, 3, 4) model to crop pixels of the files' Pose_Para."""
    poses = [pose_from_300wlp(entry.pose, image_height(path)) for entry, path in zip(parameters, images, strict=True)]
    return transform_pose(np.stack(poses), crops)


class DenseTruth:
    """Dense errors against the shape of the files' Shape_Para, Exp_Para and Pose_Para, for maps on a Basel model's
    chart; the parameters are read when first asked for.

    Args:
        images: files, each with its .mat beside it.
        crops: (N, 2, 3) of `crop_matrices`.
        annotation: (N, 68, 3) pt3d_68 in crop pixels.
    """

    def __init__(self, images: Sequence[Path], crops: np.ndarray, annotation: np.ndarray) -> None:
        self.images, self.crops, self.annotation = images, crops, annotation
        self._kept: tuple[MorphableModel, UVBasis] | None = None  # of the last chart

    @cached_property
    def _truth(self) -> tuple[list[Parameters], np.ndarray]:
        parameters = [read_parameters(beside(path, ".mat")) for path in self.images]
        return parameters, crop_poses(self.images, parameters, self.crops)

    def _basis(self, chart: MorphableModel, size: int) -> UVBasis:
        if self._kept is None or self._kept[0] is not chart or self._kept[1].inside.shape[-1] != size:
            self._kept = chart, uv_basis(chart, size)
        return self._kept[1]

    def __call__(
        self, index: np.ndarray, _landmarks: np.ndarray, maps: np.ndarray, chart: MorphableModel | None
    ) -> dict[str, np.ndarray]:
        if chart is None or chart.name in ("embedded_head", "ict"):
            return {}
        basis = self._basis(chart, maps.shape[-1])
        parameters, poses = self._truth
        coefficients = np.stack([model_coefficients(parameters[face], chart) for face in index])
        true = position_map(basis, coefficients, poses[index])
        boxes = {LANDMARKS_BOX: sample_map(true, chart.landmark_uv), ANNOTATION_BOX: self.annotation[index]}
        predicted, wanted = (array[:, :, basis.inside].swapaxes(1, 2) for array in (maps, true))
        return {
            f"dense {dimensions}D, {rule.name}": dense_nme(predicted, wanted, rule, boxes.get(rule), dimensions)
            for rule in DENSE_CONVENTIONS
            for dimensions in _DIMENSIONS
        }


def image_height(path: Path) -> int:
    """Height of an image file in pixels, without decoding it."""
    try:
        with Image.open(path) as image:
            return image.height
    except (OSError, SyntaxError, ValueError):
        raise UserError(f"image {path} does not decode: restore it from its source") from None
