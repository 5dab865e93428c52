"""What a trained network does on every test face, kept beside its weights: errors of all, pictures of a few."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write

if TYPE_CHECKING:
    from nasface.data.face_set import FaceSet
    from nasface.training.face_task import FaceTask

FILE = "test_faces.npz"
"""Its name in the folder of a run."""


@dataclass(frozen=True)
class TestFaces:
    """Errors of N test faces, and E faces as examples; lengths in crop pixels.

    Attributes:
        nme: (N,) float32, percent.
        yaw: (N,) float32, degrees.
        example: (E,) int64, which faces follow: the best, those about the median, the worst, as many of each.
        images: (E, S, S, 3) uint8 RGB.
        predicted: (E, 68, 3) float32.
        true: (E, 68, 3) float32.
        dense: (E, 3, M, M) float32 UV position maps; (0,) where the network has none.
        inside: (M, M) bool, the cells of the maps that are skin.
    """

    __test__ = False  # not a test, whatever its name says

    nme: np.ndarray
    yaw: np.ndarray
    example: np.ndarray
    images: np.ndarray
    predicted: np.ndarray
    true: np.ndarray
    dense: np.ndarray
    inside: np.ndarray


def evaluate_faces(task: FaceTask, faces: FaceSet, each: int = 3, batch: int = 100) -> TestFaces:
    """Run a task's network over a face set.

    Args:
        task: on any device; it stays in its mode.
        faces: of the task's image size.
        each: how many best, median and worst faces are kept as examples.
        batch: faces that are run together.
    """
    import torch

    from nasface.data.augment import normalise
    from nasface.metrics.nme import nme_68

    training, device = task.training, next(task.parameters()).device
    task.eval()

    def run(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            found = task(normalise(torch.from_numpy(np.array(faces.images[indices]))).to(device))
        dense = np.zeros(0) if found.dense is None else found.dense.float().cpu().numpy()
        return found.landmarks.float().cpu().numpy(), dense

    parts = [run(np.arange(i, min(i + batch, len(faces))))[0] for i in range(0, len(faces), batch)]
    predicted = np.concatenate(parts)
    nme = nme_68(predicted, faces.landmarks, faces.box)
    chosen = best_median_worst(nme, each)
    shown, dense = run(chosen)
    task.train(training)
    return TestFaces(
        nme=nme.astype(np.float32),
        yaw=np.asarray(faces.yaw, dtype=np.float32),
        example=chosen,
        images=np.asarray(faces.images[chosen]),
        predicted=shown.astype(np.float32),
        true=np.asarray(faces.landmarks[chosen], dtype=np.float32),
        dense=dense.astype(np.float32),
        inside=task.uv.weight.cpu().numpy() > 0,
    )


def best_median_worst(nme: np.ndarray, each: int) -> np.ndarray:
    """Indices of the faces with the least error, about the median, and with the greatest, the worst last; fewer of
    each in a set of less than 3 `each` faces."""
    order = np.argsort(nme, kind="stable")
    each = max(1, min(each, len(order) // 3))
    middle = max(0, (len(order) - each) // 2)
    return np.concatenate([order[:each], order[middle : middle + each], order[-each:]])


def save_test_faces(path: str | Path, faces: TestFaces) -> None:
    """Write the file, atomically.

    Raises:
        UserError: it cannot be written.
    """
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **{field.name: getattr(faces, field.name) for field in fields(faces)})


def load_test_faces(path: str | Path) -> TestFaces:
    """Read what `save_test_faces` wrote.

    Raises:
        UserError: the file is absent or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            faces = TestFaces(**{field.name: content[field.name] for field in fields(TestFaces)})
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: retrain writes it") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} is damaged ({error}): remove it, or retrain") from None
    if faces.nme.shape != faces.yaw.shape or len(faces.images) != len(faces.example):
        raise UserError(f"{path} is damaged (its arrays do not fit together): remove it, or retrain")
    return faces
