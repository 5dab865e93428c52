"""300-W, iBUG, Menpo: photographs with a .pts file of landmarks beside each.

    <any folders>/<NAME>.jpg or .png
    <any folders>/<NAME>.pts            version: 1
                                        n_points: 68
                                        {
                                        341.2 210.7          pixels counted from 1 (https://ibug.doc.ic.ac.uk/resources/300-W)
                                        ...
                                        }

Rows of three numbers (JVCR's copies of AFLW2000-3D) are x, y, z. Menpo's profile faces have 39 points, the others 68.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.data.photographs import Photograph, crop_photographs, find_photographs
from nasface.data.registry import Labels, Request, register_data_set
from nasface.faces.camera import points_from_300wlp
from nasface.utils.errors import UserError
from nasface.utils.reading import reading

DATASET_URL = "https://ibug.doc.ic.ac.uk/resources/300-W"


def load_pts(folder: str | Path, crops: CropSettings, *, points: int = 68, name: str = "300w") -> FaceSet:
    """The faces below a folder with `points` landmarks (files with another number are passed over), in the order of
    their paths; yaw is unknown (NaN), and so is depth (0) where rows have two numbers. Errors as of `find_photographs`
    and `read_pts`."""
    found = find_photographs(folder, ".pts", "300-W's sets are published at https://ibug.doc.ic.ac.uk/resources")

    def read() -> list[Photograph]:
        faces = [Photograph(image, read_pts(path)) for image, path in found]
        return [face for face in faces if len(face.landmarks) == points]

    return crop_photographs(name, read, [path for pair in found for path in pair], crops, settings=(points,))


def read_pts(path: str | Path) -> np.ndarray:
    """The points (M, 2 or 3) float32 of a .pts file in pixels counted from 0; a UserError where it is damaged."""
    with reading(path, "is not a readable .pts file", "restore it from its source"):
        head, _, rest = Path(path).read_text(encoding="utf-8", errors="replace").partition("{")
        announced = re.search(r"n_points\s*:\s*(\d{1,9})", head, re.IGNORECASE)
        if announced is None:
            raise ValueError("no line n_points: 68")
        count = int(announced[1])
        rows = [[float(value) for value in line.split()] for line in rest.split("}")[0].splitlines() if line.strip()]
        points = np.array(rows, dtype=np.float64)
    if "}" not in rest or points.ndim != 2 or points.shape[1] not in (2, 3) or not np.isfinite(points).all():
        raise UserError(f"{path} does not hold rows of 2 or 3 numbers between braces: restore it from its source")
    if len(points) != count:
        raise UserError(f"{path} announces {count} points and holds {len(points)}: restore it from its source")
    return points_from_300wlp(points)


@register_data_set("300w", splits=("test",), labels=Labels(yaw=False), published=DATASET_URL)
def w300(request: Request) -> FaceSet:
    """300-W, or another set of .pts files with 68 points, in `data.folders`."""
    return load_pts(request.folder, request.crops)
