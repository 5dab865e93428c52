"""The entrance: a file of weights as an aligner of photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from nasface.data.augment import normalise
from nasface.inference.aligner import FaceAligner
from nasface.inference.detection import Detector, make_detector
from nasface.inference.published import load_published_mobilenet
from nasface.inference.trained import load_task


def load_aligner(
    path: str | Path,
    *,
    arch: str | None = None,
    model: str | None = None,
    detector: Detector | str | Path | None = None,
    threshold: float = 0.5,
) -> FaceAligner:
    """A network with trained weights, ready for photographs.

        >>> aligner = load_aligner("runs/mine/network.pt")
        >>> for face in aligner.predict("photo.jpg"):
        ...     print(face.box, face.angles)

    Args:
        path: network.pt of `nasface retrain`, or a published checkpoint that `arch` names.
        arch: `mobilenet_x05` or `mobilenet`: `path` is 3DDFA_V2's published checkpoint.
        model: `embedded` or the folder of 3DDFA's files, where `path` does not say it; needed with `arch`.
        detector: an ONNX file of YuNet or CenterFace, or a function; by default the first that this machine has, and
            where it has none, whole images are faces.
        threshold: least score of a detected face.

    Raises:
        UserError: a file is absent, broken or of another kind.
    """
    find = detector if callable(detector) else make_detector(detector, threshold)
    if arch is not None:
        return load_published_mobilenet(path, arch, model, find)
    trained = load_task(path, model)

    @torch.inference_mode()
    def regress(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        found = trained.task(normalise(torch.from_numpy(crops)))
        return found.landmarks.float().numpy(), None if found.dense is None else found.dense.float().numpy()

    return FaceAligner(regress, trained.input_size, trained.mean_landmarks, trained.inside, find)
