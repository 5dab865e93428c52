"""Several face sets as one, and a part of one, without copies of their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nasface.data.face_set import FaceSet


class Pictures:
    """Images (N, S, S, 3) that lie in several arrays, memory-mapped ones among them; read by rows as an array is."""

    def __init__(self, arrays: Sequence[Any], part: np.ndarray, row: np.ndarray) -> None:
        self.arrays, self.part, self.row = list(arrays), part, row
        self.shape, self.dtype, self.ndim = (len(row), *arrays[0].shape[1:]), arrays[0].dtype, 4

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, key: Any) -> np.ndarray:
        part, row = self.part[key], self.row[key]
        if np.ndim(part) == 0:
            return np.asarray(self.arrays[int(part)][int(row)])
        found = np.empty((len(row), *self.shape[1:]), self.dtype)
        for number in np.unique(part):
            chosen = part == number
            found[chosen] = self.arrays[int(number)][row[chosen]]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)


def rows(faces: FaceSet, chosen: np.ndarray) -> FaceSet:
    """The faces at `chosen` (N,), in that order, with their images where they are."""
    pictures: Any = Pictures([faces.images], np.zeros(len(chosen), dtype=np.int64), chosen)
    return replace(_labels(faces, chosen), images=pictures)


def sample(faces: FaceSet, count: int) -> FaceSet:
    """So many of the faces, a fair sample whatever their order, with their images where they are; all where `count` is
    0 or no fewer."""
    if not 0 < count < len(faces):
        return faces
    return rows(faces, np.random.default_rng(0).permutation(len(faces))[:count])


def join(parts: Sequence[FaceSet]) -> FaceSet:
    """Faces of sets of one size, one set after the other; pose and coefficients where all have them.
    One set alone is itself."""
    if len(parts) == 1:
        return parts[0]
    part = np.repeat(np.arange(len(parts)), [len(faces) for faces in parts])
    row = np.concatenate([np.arange(len(faces)) for faces in parts])
    pictures: Any = Pictures([faces.images for faces in parts], part, row)
    modelled = all(faces.pose is not None and faces.coefficients is not None for faces in parts)
    keys = ("landmarks", "yaw", "box", *(("pose", "coefficients") if modelled else ()))
    arrays = {key: np.concatenate([np.asarray(getattr(faces, key)) for faces in parts]) for key in keys}
    return FaceSet("+".join(faces.name for faces in parts), pictures, **arrays)


def _labels(faces: FaceSet, chosen: np.ndarray) -> FaceSet:
    """The labels at `chosen`, with as many blank images of one pixel."""
    blank = np.broadcast_to(np.uint8(0), (len(faces), 1, 1, 3))
    return replace(faces, images=blank).subset(chosen)
