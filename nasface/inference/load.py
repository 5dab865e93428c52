"""The entrance: a file of weights as an aligner of photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from nasface.data.augment import normalise
from nasface.inference.aligner import FaceAligner
from nasface.inference.detection import Detector, make_detector
from nasface.inference.exported import is_torchscript, load_onnx, load_torchscript
from nasface.inference.published import load_published_mobilenet, published_arch
from nasface.inference.trained import EMBEDDED, load_task


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
        path: network.pt of `nasface retrain`, an ONNX or TorchScript file of `nasface export`, or a published
            checkpoint of 3DDFA_V2.
        arch: `mobilenet_x05` or `mobilenet` of a published checkpoint, where the file does not show it.
        model: `embedded` or the folder of 3DDFA's files, where `path` does not say it; a published checkpoint's own
            folder by default.
        detector: an ONNX file of YuNet or CenterFace, or a function; by default the first that this machine has, and
            where it has none, whole images are faces.
        threshold: least score of a detected face.

    Raises:
        UserError: a file is absent, broken or of another kind.
    """
    find = detector if callable(detector) else make_detector(detector, threshold)
    return load_weights(path, arch, model, find)


def load_weights(
    path: str | Path, arch: str | None = None, model: str | None = None, detector: Detector | None = None
) -> FaceAligner:
    """`load_aligner` with a detector that is made already; None takes whole images for faces."""
    if Path(path).suffix == ".onnx":
        return load_onnx(path, detector)
    if is_torchscript(path):
        return load_torchscript(path, detector)
    arch = arch or published_arch(path)
    if arch is not None:
        return load_published_mobilenet(path, arch, model, detector)
    trained = load_task(path, model)

    @torch.inference_mode()
    def regress(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        found = trained.task(normalise(torch.from_numpy(crops)))
        return found.landmarks.float().numpy(), None if found.dense is None else found.dense.float().numpy()

    model = model or trained.record["folder"] or EMBEDDED
    return FaceAligner(regress, trained.input_size, trained.mean_landmarks, trained.inside, detector, model=model)
