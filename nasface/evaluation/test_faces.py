"""What a trained network does on every test face, kept beside its weights: errors of all, pictures of a few."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write
from nasface.utils.npy import read_npz
from nasface.utils.reading import reading

FILE = "test_faces.npz"
"""Its name in the folder of a run."""


@dataclass(frozen=True)
class ShownFaces:
    """E faces to draw; lengths in crop pixels.

    Attributes:
        images: (E, S, S, 3) uint8 RGB.
        predicted: (E, 68, 3) float32.
        true: (E, 68, 3) float32.
        dense: (E, 3, M, M) float32 UV position maps, or None.
        inside: (M, M) bool, the cells of the maps that are skin.
        nme: (E,) float32, percent.
        yaw: (E,) float32, degrees.
    """

    images: np.ndarray
    predicted: np.ndarray
    true: np.ndarray
    dense: np.ndarray | None
    inside: np.ndarray
    nme: np.ndarray
    yaw: np.ndarray


@dataclass(frozen=True)
class TestFaces(ShownFaces):
    """Errors and yaw of all N test faces, (N,) each, and E of them as examples: the best, those about the median, the
    worst, as many of each.

    Attributes:
        dense: (0,) where the network has none.
        example: (E,) int64, which ones.
    """

    __test__ = False  # not a test, whatever its name says

    dense: np.ndarray
    example: np.ndarray

    def check(self) -> None:
        """Raise a ValueError where the arrays are not as above."""
        count, shown, side = len(self.nme), len(self.example), self.images.shape[1]
        cells = self.inside.shape[:1] if self.dense.shape[1:] else ()
        for name, shape, kind in (
            ("nme", (count,), "f"),
            ("yaw", (count,), "f"),
            ("example", (shown,), "i"),
            ("images", (shown, side, side, 3), "u"),
            ("predicted", (shown, 68, 3), "f"),
            ("true", (shown, 68, 3), "f"),
            ("dense", (shown, 3, *cells, *cells) if cells else (0,), "f"),
            ("inside", self.inside.shape[:1] * 2, "b"),
        ):
            array = getattr(self, name)
            if array.shape != shape or array.dtype.kind != kind:
                raise ValueError(f"{name} is {array.dtype} {array.shape}")
        if not (count and np.isfinite(self.nme).all() and np.isin(self.example, np.arange(count)).all()):
            raise ValueError("nme is not finite, or an example is not among the faces")


def best_median_worst(nme: np.ndarray, each: int) -> np.ndarray:
    """Indices of the faces with the least error, about the median, and with the greatest, the worst last; fewer of
    each in a set of less than 3 `each` faces."""
    order = np.argsort(nme, kind="stable")
    each = max(1, min(each, len(order) // 3))
    middle = max(0, (len(order) - each) // 2)
    return np.concatenate([order[:each], order[middle : middle + each], order[-each:]])


def spread_over_yaw(yaw: np.ndarray, count: int) -> np.ndarray:
    """Indices (min(count, N),) of different faces whose yaw is nearest to `count` evenly spaced values between the
    least and the greatest, in that order."""
    values = np.asarray(yaw, dtype=np.float64)
    free = np.ones(len(values), dtype=bool)
    chosen = []
    for value in np.linspace(values.min(), values.max(), min(count, len(values))):
        distance = np.where(free, np.abs(values - value), np.inf)
        chosen.append(int(distance.argmin()))
        free[chosen[-1]] = False
    return np.array(chosen)


def save_test_faces(path: str | Path, faces: TestFaces) -> None:
    """Write the file, atomically."""
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **{field.name: getattr(faces, field.name) for field in fields(faces)})


def load_test_faces(path: str | Path) -> TestFaces:
    """Read what `save_test_faces` wrote; a UserError where it is absent or damaged."""
    content = read_npz(path, "remove it, or retrain")
    if content.keys() != {field.name for field in fields(TestFaces)}:
        raise UserError(f"{path} is damaged (it does not hold the arrays of test faces): remove it, or retrain")
    with reading(path, "is damaged", "remove it, or retrain"):
        faces = TestFaces(**content)
        faces.check()
    return faces
