"""A trained network over a face set: what it predicts, batch by batch, and how far that is from the truth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from nasface.data.augment import normalise
from nasface.data.crops import resize_image
from nasface.data.face_set import FaceSet
from nasface.data.module import evaluation_batches
from nasface.evaluation.test_faces import ShownFaces, TestFaces, best_median_worst, spread_over_yaw
from nasface.training.face_task import FaceTask, error_figures
from nasface.utils.images import encode_jpeg

_THUMBNAIL = 72  # pixels of the side of the pictures of all test faces


@dataclass(frozen=True)
class Predictions:
    """The shapes of N faces, in crop pixels, in the order of their images.

    Attributes:
        landmarks: (N, 68, 3) float32.
        dense: (N, 3, M, M) float32 UV position maps; None where the network has none, or they were not asked for.
    """

    landmarks: np.ndarray
    dense: np.ndarray | None = None


@contextmanager
def evaluating(network: nn.Module) -> Iterator[torch.device]:
    """The network in evaluation mode and without gradients; afterwards every module is in the mode that it was in.

    Yields:
        The network's device, where its images belong.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.inference_mode():
            yield next(network.parameters()).device
    finally:
        for module, training in modes:
            module.training = training


def predict_faces(network: nn.Module, images: np.ndarray, *, batch: int = 100, dense: bool = False) -> Predictions:
    """Run a network, a task or a `UVReader`, which stays in its mode, over images (N, S, S, 3) uint8 RGB, at least one;
    `batch` of them at a time are in the network's memory. `dense` keeps the dense shapes, too: 3 * M * M floats a face.
    """
    landmarks, maps = [], []
    with evaluating(network) as device:
        for start in range(0, len(images), batch):
            part = np.array(images[start : start + batch])
            found = network(normalise(torch.from_numpy(part)).to(device))
            landmarks.append(found.landmarks.float().cpu().numpy())
            if dense and found.dense is not None:
                maps.append(found.dense.float().cpu().numpy())
    return Predictions(np.concatenate(landmarks), np.concatenate(maps) if maps else None)


@dataclass(frozen=True)
class Evaluation:
    """What a task's network does on a face set.

    Attributes:
        figures: its figures in percent, see `error_figures`.
        faces: errors of all faces, with the best, median and worst as examples.
        spread: faces over the whole range of yaw. They depend on the set alone, so the figures of two networks show
            the same ones.
    """

    figures: dict[str, float]
    faces: TestFaces
    spread: ShownFaces


def evaluate_faces(task: FaceTask, faces: FaceSet, *, each: int = 3, spread: int = 8, batch: int = 100) -> Evaluation:
    """Run a task's network once over a face set, and a second time over the faces that are shown.

    Args:
        task: on any device; it stays in its mode.
        faces: of the task's image size, at least one.
        each: how many best, median and worst faces are kept as examples.
        spread: how many faces over the range of yaw.
        batch: faces that are run together.
    """
    errors, found = [], []
    with evaluating(task) as device:
        for part in evaluation_batches(faces, batch):
            prediction, error = task.evaluate({name: value.to(device) for name, value in part.items()})
            errors.append(error | {"yaw": part["yaw"]})
            found.append(prediction.landmarks[..., :2].float().cpu().numpy())
    nme = torch.cat([error["nme"] for error in errors]).cpu().numpy()
    chosen = best_median_worst(nme, each)
    shown = _show(task, faces, chosen, nme)
    dense = np.zeros(0, dtype=np.float32) if shown.dense is None else shown.dense
    whole = {"nme": nme, "yaw": np.asarray(faces.yaw, dtype=np.float32), "example": chosen, "dense": dense}
    whole |= _all_faces(faces, np.concatenate(found))
    shown_over_yaw = _show(task, faces, spread_over_yaw(faces.yaw, spread), nme)
    return Evaluation(error_figures(errors), TestFaces(**(vars(shown) | whole)), shown_over_yaw)


def _all_faces(faces: FaceSet, found: np.ndarray) -> dict[str, np.ndarray]:
    """What `TestFaces` keeps of every face, of landmarks (N, 68, 2) in crop pixels."""
    distances = np.linalg.norm(found - np.asarray(faces.landmarks)[..., :2], axis=-1)
    points = 100 * distances / np.sqrt(np.asarray(faces.box).prod(-1))[:, None]
    side = faces.images.shape[1]
    jpegs = [encode_jpeg(resize_image(np.asarray(image), min(side, _THUMBNAIL)), 80) for image in faces.images]
    return {
        "points": np.minimum(points, 60000).astype(np.float16),
        "found": np.clip((found + 0.5) / side, -9, 9).astype(np.float16),
        "jpegs": np.frombuffer(b"".join(jpegs), np.uint8),
        "ends": np.cumsum([len(jpeg) for jpeg in jpegs]),
    }


def _show(task: FaceTask, faces: FaceSet, chosen: np.ndarray, nme: np.ndarray) -> ShownFaces:
    found = predict_faces(task, faces.images[chosen], dense=True)
    return ShownFaces(
        images=np.asarray(faces.images[chosen]),
        predicted=found.landmarks,
        true=np.asarray(faces.landmarks[chosen], dtype=np.float32),
        dense=found.dense,
        nme=nme[chosen],
        yaw=np.asarray(faces.yaw[chosen], dtype=np.float32),
        inside=task.uv.weight.cpu().numpy() > 0,
    )
