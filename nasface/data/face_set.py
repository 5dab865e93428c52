"""`FaceSet`: the faces of one split in memory or memory-mapped, and its folder on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from nasface.data.crops import resize_image
from nasface.faces.camera import resize_similarity, transform_points, transform_pose
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_folder
from nasface.utils.lock import hold
from nasface.utils.reading import read_json, reading

_META = "meta.json"
_FORMAT = 1


@dataclass(frozen=True)
class FaceSet:
    """Faces with their labels, row i of every array being face i; all lengths in pixels of the S x S images (x right, y
    down, first pixel's centre = 0). A ValueError where shapes do not fit together."""

    name: str
    images: np.ndarray
    """(N, S, S, 3) uint8 RGB."""
    landmarks: np.ndarray
    """(N, M, 3) float32, M = 68 in iBUG order except where a reader says otherwise; z grows toward the camera, 0 where
    the set is two-dimensional; NaN where a point is not annotated."""
    yaw: np.ndarray
    """(N,) float32, degrees, signed; NaN where unknown."""
    box: np.ndarray
    """(N, 2) float32: width and height of the true landmarks' box (68 points, where there are), the evaluation's
    normaliser."""
    pose: np.ndarray | None = None
    """(N, 3, 4) float32 model-to-crop matrices (faces/camera.py), or None where the set has none."""
    coefficients: np.ndarray | None = None
    """(N, K) float32 coefficients of the set's morphable model, or None."""
    visible: np.ndarray | None = None
    """(N, M) bool: the landmark is on the visible side of the face and not occluded by it, or None where unknown."""
    visible_vertices: np.ndarray | None = None
    """(N, ceil(V / 8)) uint8: visibility of the model's V vertices, packed by np.packbits; None where unknown."""

    def __post_init__(self) -> None:
        size = self.images.shape[1] if self.images.ndim == 4 else 0
        points = self.landmarks.shape[1] if self.landmarks.ndim == 3 else 0
        expected = {
            "images": (size, size, 3),
            "landmarks": (points, 3),
            "yaw": (),
            "box": (2,),
            "pose": (3, 4),
            "coefficients": None,
            "visible": (points,),
            "visible_vertices": None,
        }
        for key, shape in expected.items():
            array = getattr(self, key)
            if array is None:
                continue
            good = array.ndim == 2 if shape is None else array.shape[1:] == shape
            if not good or len(array) != len(self.images):
                raise ValueError(
                    f"{key} of face set {self.name!r} has shape {array.shape} beside images {self.images.shape}"
                )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_size(self) -> int:
        """S, the side of the images in pixels."""
        return self.images.shape[1]

    def subset(self, indices: Sequence[int] | np.ndarray) -> FaceSet:
        """The faces at `indices`, in that order, in memory."""
        chosen = np.asarray(indices, dtype=np.int64)
        arrays: dict[str, Any] = {key: np.asarray(array)[chosen] for key, array in _arrays(self).items()}
        return replace(self, **arrays)

    def resized(self, size: int) -> FaceSet:
        """The same faces at `size` x `size` pixels, labels included; itself if that is its size."""
        if size == self.image_size:
            return self
        matrix = resize_similarity(self.image_size, size)
        images = np.empty((len(self), size, size, 3), dtype=np.uint8)
        for image, out in zip(self.images, images, strict=True):
            out[:] = resize_image(np.ascontiguousarray(image), size)
        return replace(
            self,
            images=images,
            landmarks=transform_points(self.landmarks, matrix),
            box=np.asarray(self.box, dtype=np.float32) * np.float32(size / self.image_size),
            pose=None if self.pose is None else transform_pose(self.pose, matrix),
        )


def save_face_set(folder: str | Path, face_set: FaceSet) -> None:
    """Write one folder of .npy files and meta.json; it appears whole or not at all, and replaces an earlier one."""
    with atomic_folder(folder) as temporary:
        for key, array in _arrays(face_set).items():
            with (temporary / f"{key}.npy").open("wb") as stream:
                np.save(stream, array, allow_pickle=False)
        write_meta(temporary, face_set.name)


def alone_with(folder: Path) -> AbstractContextManager[object]:
    """Be the only process that makes the face set of a folder; the others wait, and then find it."""
    return hold(folder.with_name(f".{folder.name}.lock"), "build", "choose another cache folder", wait=True)


def write_meta(folder: Path, name: str) -> None:
    """Describe the .npy files of a folder that holds nothing else, and see all of them safely on the disk."""
    arrays = {}
    for path in sorted(folder.glob("*.npy")):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        arrays[path.stem] = {"shape": list(array.shape), "dtype": array.dtype.name}
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    with (folder / _META).open("w", encoding="utf-8") as stream:
        json.dump({"format": _FORMAT, "name": name, "arrays": arrays}, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())


def load_face_set(folder: str | Path) -> FaceSet:
    """Read a folder of `save_face_set`, the arrays memory-mapped read-only; a UserError names a file that is absent,
    truncated or of another shape than meta.json says."""
    folder = Path(folder)
    meta = _read_meta(folder / _META)
    arrays = {key: _read_array(folder / f"{key}.npy", entry) for key, entry in meta["arrays"].items()}
    try:
        return FaceSet(name=meta["name"], **arrays)
    except (TypeError, ValueError) as error:
        raise UserError(f"{folder} is not a whole face set ({error}): delete the folder and build it again") from None


def _arrays(face_set: FaceSet) -> dict[str, np.ndarray]:
    pairs = {field.name: getattr(face_set, field.name) for field in fields(face_set) if field.name != "name"}
    return {key: array for key, array in pairs.items() if array is not None}


def _read_meta(path: Path) -> dict[str, Any]:
    known = {field.name for field in fields(FaceSet)} - {"name"}
    mend = f"delete {path.parent} and build it again"
    meta = read_json(path, mend, f"is {path.parent} the folder of a face set?")
    with reading(path, "is damaged", mend):
        whole = meta["format"] == _FORMAT and isinstance(meta["name"], str) and set(meta["arrays"]) <= known
    if not whole:
        raise UserError(f"{path} was written by another version: delete {path.parent} and build it again")
    return meta


def _read_array(path: Path, entry: dict[str, Any]) -> np.ndarray:
    with reading(path, "is truncated or damaged", f"delete {path.parent} and build it again"):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray) or {"shape": list(array.shape), "dtype": array.dtype.name} != entry:
        raise UserError(
            f"{path} is not the array that {path.parent / _META} describes: delete {path.parent} and build it again"
        )
    return array
