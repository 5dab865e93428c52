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
from nasface.utils.reading import beside, reading

DATASET_URL = "https://ibug.doc.ic.ac.uk/resources/300-W"


def find_faces(*folders: str | Path, points: int = 68) -> tuple[list[Photograph], int]:
    """The faces below folders with `points` landmarks, in the order of their paths, and how many others there are.
    Errors as of `find_photographs` and `read_pts`."""
    pairs = [
        pair
        for folder in folders
        for pair in find_photographs(
            folder, ".pts", "300-W's sets are published at https://ibug.doc.ic.ac.uk/resources"
        )
    ]
    faces = [Photograph(image, read_pts(path)) for image, path in pairs]
    kept = [face for face in faces if len(face.landmarks) == points]
    return kept, len(faces) - len(kept)


def crop_faces(faces: list[Photograph], crops: CropSettings, name: str = "300w") -> FaceSet:
    """Crops of what `find_faces` found; yaw is unknown (NaN), and so is depth (0) where rows have two numbers."""
    sources = [path for face in faces for path in (face.image, beside(face.image, ".pts"))]
    return crop_photographs(name, lambda: faces, sources, crops)


def load_pts(folder: str | Path, crops: CropSettings, *, points: int = 68, name: str = "300w") -> FaceSet:
    """The faces of a folder, see `find_faces` and `crop_faces`."""
    return crop_faces(find_faces(folder, points=points)[0], crops, name)


_FAR = 1e6  # pixels that no picture has


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
    if "}" not in rest or points.ndim != 2 or points.shape[1] not in (2, 3) or not (np.abs(points) < _FAR).all():
        raise UserError(f"{path} does not hold rows of 2 or 3 numbers between braces: restore it from its source")
    if len(points) != count:
        raise UserError(f"{path} announces {count} points and holds {len(points)}: restore it from its source")
    return points_from_300wlp(points)


PARTS = {
    "train": (("helen", "trainset"), ("lfpw", "trainset"), ("afw",)),
    "test": (("helen", "testset"), ("lfpw", "testset"), ("ibug",)),
}
"""300-W's folders: 3,148 faces for training, 689 for testing (common: HELEN and LFPW, 554; challenging: iBUG, 135)."""


def part_folder(root: str | Path, names: tuple[str, ...]) -> Path:
    """The folder of a part of 300-W, however its name is written; a UserError where it is absent."""
    place = Path(root)
    for name in names:
        inside = sorted(place.iterdir()) if place.is_dir() else []
        found = next((path for path in inside if path.is_dir() and path.name.lower() == name), None)
        if found is None:
            raise UserError(f"{root} has no folder {'/'.join(names)}: unpack 300-W there; {DATASET_URL}")
        place = found
    return place


@register_data_set("300w", splits=("train", "test"), labels=Labels(yaw=False), published=DATASET_URL)
def w300(request: Request) -> FaceSet:
    """300-W in `data.folders`: the training or the test parts; all of a folder without such parts is for a test."""
    folder = Path(request.folder)
    split = "test" if request.split == "test" else "train"
    divided = folder.is_dir() and any(path.name.lower() in ("helen", "lfpw") for path in folder.iterdir())
    folders = [part_folder(folder, names) for names in PARTS[split]] if divided or split == "train" else [folder]
    return crop_faces(find_faces(*folders)[0], request.crops, f"300w-{split}")


def _register(name: str) -> None:
    @register_data_set(name, splits=("all",), labels=Labels(yaw=False), published=DATASET_URL)
    def read(request: Request) -> FaceSet:
        """The faces of 68 points below the folder in `data.folders`."""
        return load_pts(request.folder, request.crops, name=name)


_register("menpo2d")
_register("pts")  # any folder of such files
