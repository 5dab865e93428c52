"""LS3D-W: photographs with 68 landmarks in Torch7 files (Bulat and Tzimiropoulos 2017, "How far are we from solving the
2D & 3D face alignment problem?").

    LS3D-W/<SUBSET>/.../<NAME>.jpg or .png and <NAME>.t7

with subsets such as 300VW-3D, 300W-Testset-3D, AFLW2000-3D-Reannotated and Menpo-3D (names from
1adrianb/face-alignment-training issues 7 and 17). A .t7 holds one tensor (68, 2), the projected 3D landmarks; pixels
count from 0 (measured on AFLW2000-3D's re-annotation; FAN's training adds 1 for Lua). No depth, no pose.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.data.photographs import Photograph, crop_photographs, find_photographs
from nasface.data.registry import Labels, Request, register_data_set
from nasface.faces.landmarks import NUM_LANDMARKS
from nasface.utils.errors import UserError
from nasface.utils.torch7 import load_t7

DATASET_URL = "https://www.adrianbulat.com/face-alignment"


def load_ls3d_w(folder: str | Path, crops: CropSettings) -> FaceSet:
    """The faces below a subset's folder (or below all), in the order of their paths; yaw is NaN and depth 0. Errors as
    of `find_photographs` and `read_points`."""
    found = find_photographs(folder, ".t7", f"LS3D-W is published at {DATASET_URL}")
    return crop_photographs(
        f"ls3d-w-{Path(folder).name}",
        lambda: [Photograph(image, read_points(path)) for image, path in found],
        [path for pair in found for path in pair],
        crops,
    )


def read_points(path: str | Path) -> np.ndarray:
    """The landmarks (68, 2 or 3) float64 of a .t7 file in pixels counted from 0; a UserError where it is damaged."""
    points = load_t7(path)
    if isinstance(points, dict) and len(points) == 1:
        (points,) = points.values()
    if (
        not isinstance(points, np.ndarray)
        or points.shape not in ((NUM_LANDMARKS, 2), (NUM_LANDMARKS, 3))
        or not np.isfinite(points).all()
    ):
        raise UserError(f"{path} is not one tensor of {NUM_LANDMARKS} x 2 numbers: restore it from {DATASET_URL}")
    return points.astype(np.float64)


def groups_of(folder: str | Path) -> np.ndarray:
    """What must not be divided (N,): the frames of a video of 300VW, and any other photograph for itself."""
    names = []
    for image, _ in find_photographs(folder, ".t7", f"LS3D-W is published at {DATASET_URL}"):
        of_video = any(part.lower().startswith("300vw") for part in image.resolve().parts)
        names.append((image.parent if of_video else image).as_posix())
    return np.array(names)


@register_data_set(
    "ls3d_w",
    splits=("all",),
    labels=Labels(yaw=False),
    published=DATASET_URL,
    groups=lambda request: groups_of(request.folder),
)
def ls3d_w(request: Request) -> FaceSet:
    """A subset of LS3D-W, or all, in `data.folders`."""
    return load_ls3d_w(request.folder, request.crops)
