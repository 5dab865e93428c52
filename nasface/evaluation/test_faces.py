"""What a trained network does on every test face, kept beside its weights: errors of all, pictures of a few."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
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
        points: (N, 68) float16, error of every landmark in percent of sqrt(w h) of the true box; (0,) in files of
            former versions, as the next three are.
        found: (N, 68, 2) float16, predicted landmarks, in sides of the image.
        jpegs: bytes of N small pictures, one after the other.
        ends: (N,) int64, where each ends.
    """

    __test__ = False  # not a test, whatever its name says

    dense: np.ndarray
    example: np.ndarray
    points: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float16))
    found: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float16))
    jpegs: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))
    ends: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def picture(self, index: int) -> bytes:
        """The JPEG of a face."""
        return self.jpegs[self.ends[index - 1] if index else 0 : self.ends[index]].tobytes()

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
            *(() if not self.ends.size else _of_all(count, self.ends[-1])),
        ):
            array = getattr(self, name)
            if array.shape != shape or array.dtype.kind != kind:
                raise ValueError(f"{name} is {array.dtype} {array.shape}")
        if (np.diff(self.ends, prepend=0) < 0).any():
            raise ValueError("its pictures do not follow one another")
        if not (count and np.isfinite(self.nme).all() and np.isin(self.example, np.arange(count)).all()):
            raise ValueError("nme is not finite, or an example is not among the faces")


def _of_all(count: int, last: int) -> tuple[tuple[str, tuple[int, ...], str], ...]:
    """Shapes and kinds of the arrays that former versions have not written."""
    return (
        ("points", (count, 68), "f"),
        ("found", (count, 68, 2), "f"),
        ("jpegs", (last,), "u"),
        ("ends", (count,), "i"),
    )


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
        np.savez_compressed(stream, **{entry.name: getattr(faces, entry.name) for entry in fields(faces)})


def load_test_faces(path: str | Path) -> TestFaces:
    """Read what `save_test_faces` wrote; a UserError where it is absent or damaged."""
    content = read_npz(path, "remove it, or retrain")
    known = {entry.name: entry.default_factory is MISSING for entry in fields(TestFaces)}
    if not {name for name, required in known.items() if required} <= content.keys() <= known.keys():
        raise UserError(f"{path} is damaged (it does not hold the arrays of test faces): remove it, or retrain")
    with reading(path, "is damaged", "remove it, or retrain"):
        faces = TestFaces(**content)
        faces.check()
    return faces
