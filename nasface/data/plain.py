"""The plain layout: photographs and one file of arrays, for sets whose own layout is not published or not known.

    FOLDER/images/<any path>.jpg or .png
    FOLDER/landmarks.npz
        names      (N,) text: paths of the photographs below images/
        landmarks  (N, M, 2) or (N, M, 3): pixels counted from 0, x right, y down, z toward the camera; NaN where a
                   point is not annotated
        visible    (N, M) bool, optional
        yaw        (N,) degrees, optional
        box        (N, 4) left, top, right, bottom, optional: what errors are normalised by and crops are made around;
                   the landmarks' box where absent

It is this package's own; `numpy.savez` writes it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.data.photographs import Photograph, crop_photographs
from nasface.utils.errors import UserError
from nasface.utils.npy import read_npz

LABELS_FILE, IMAGES_FOLDER = "landmarks.npz", "images"
_OPTIONAL = {"visible": 2, "yaw": 1, "box": 2}
_NUMBERS = "fiu"


def load_plain(
    folder: str | Path,
    crops: CropSettings,
    *,
    name: str,
    points: tuple[int, ...] = (),
    required: tuple[str, ...] = (),
    depth: bool = False,
) -> FaceSet:
    """The faces of a folder in the plain layout, in the order of `names`.

    Args:
        name: of the set.
        points: the numbers of landmarks that the set may have; any where empty.
        required: which of the optional arrays it must have.
        depth: landmarks must have three coordinates.

    Raises:
        UserError: the folder or a file is absent or damaged, or arrays do not fit together; the message names it.
    """
    folder = Path(folder)
    path = folder / LABELS_FILE
    labels = read_labels(folder, name)
    for key in required:
        if key not in labels:
            raise UserError(f"{path} has no array {key!r}, which {name} needs: add it (see nasface.data.plain)")
    count = labels["landmarks"].shape[1]
    if points and count not in points:
        raise UserError(f"{path} holds {count} landmarks a face; {name} has {' or '.join(map(str, points))}")
    if depth and labels["landmarks"].shape[2] != 3:
        raise UserError(f"{path} holds landmarks of two coordinates; those of {name} have depth")
    images = [folder / IMAGES_FOLDER / entry for entry in labels["names"].tolist()]
    for image in images:
        if not image.is_file():
            raise UserError(f"image {image} does not exist: restore it, or take it out of {path}")
    optional = {key: labels[key] for key in _OPTIONAL if key in labels}

    def read() -> list[Photograph]:
        return [
            Photograph(image, labels["landmarks"][i], **{key: values[i] for key, values in optional.items()})
            for i, image in enumerate(images)
        ]

    return crop_photographs(name, read, [path, *images], crops)


def read_labels(folder: str | Path, name: str) -> dict[str, np.ndarray]:
    """The arrays of landmarks.npz; errors as of `load_plain`."""
    path = Path(folder) / LABELS_FILE
    labels = read_npz(path, f"lay {name} out as nasface.data.plain describes")
    for key in ("names", "landmarks"):
        if key not in labels:
            raise UserError(f"{path} has no array {key!r}: write it as nasface.data.plain describes")
    names, landmarks = labels["names"], labels["landmarks"]
    if names.dtype.kind != "U" or landmarks.ndim != 3 or landmarks.shape[2] not in (2, 3):
        raise UserError(f"{path}: names must be text and landmarks (N, M, 2 or 3): write it again")
    for key in ("landmarks", *_OPTIONAL):
        if key not in labels:
            continue
        if labels[key].dtype.kind not in _NUMBERS + "b" * (key == "visible") or np.isinf(labels[key]).any():
            raise UserError(f"{path}: {key} must hold finite numbers, NaN where a point is not known: write it again")
        if len(labels[key]) != len(names) or labels[key].ndim != _OPTIONAL.get(key, 3):
            raise UserError(f"{path}: {key} has shape {labels[key].shape} beside {len(names)} names: write it again")
    if "visible" in labels and labels["visible"].shape != landmarks.shape[:2]:
        raise UserError(f"{path}: visible is not {landmarks.shape[:2]}, as landmarks are: write it again")
    return labels
