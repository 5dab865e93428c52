"""The entrance: a file of weights as an aligner of photographs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from nasface.data.augment import normalise
from nasface.evaluation.flip import with_mirrored
from nasface.inference.aligner import FaceAligner
from nasface.inference.detection import Detector, make_detector
from nasface.inference.exported import is_torchscript, load_onnx, load_torchscript
from nasface.inference.packaged import DEFAULT, find_weights
from nasface.inference.published import load_published_mobilenet
from nasface.inference.trained import EMBEDDED, load_task
from nasface.nets.baselines.mobilenet import published_arch
from nasface.utils.errors import UserError, first_line
from nasface.utils.reading import require_file


def load_aligner(
    path: str | Path = DEFAULT,
    *,
    arch: str | None = None,
    model: str | None = None,
    detector: Detector | str | Path | None = None,
    threshold: float = 0.5,
    device: str = "cpu",
    flip_test: bool = False,
) -> FaceAligner:
    """A network with trained weights, ready for photographs; what stands behind `nasface.load`, with its arguments."""
    find = detector if callable(detector) else make_detector(detector, threshold)
    aligner = load_weights(path, arch, model, find, device)
    return replace(aligner, regress=with_mirrored(aligner.regress)) if flip_test else aligner


def load_weights(
    path: str | Path,
    arch: str | None = None,
    model: str | None = None,
    detector: Detector | None = None,
    device: str = "cpu",
) -> FaceAligner:
    """`load_aligner` with a detector that is made already; None takes whole images for faces."""
    path = find_weights(path) if arch is None else Path(path)
    if path.exists():
        require_file(path, "give a file of weights")
    script = is_torchscript(path)
    arch = arch or (None if script or path.suffix == ".onnx" else published_arch(path))
    if device != "cpu" and (script or arch is not None or path.suffix == ".onnx"):
        raise UserError(f"{path} computes on the CPU, not on {device}: leave --device out")
    if path.suffix == ".onnx":
        return load_onnx(path, detector, model)
    if script:
        return load_torchscript(path, detector, model)
    if arch is not None:
        return load_published_mobilenet(path, arch, model, detector)
    trained = load_task(path, model)
    try:
        task = trained.task.to(device)
    except (RuntimeError, AssertionError, ValueError) as error:
        said = first_line(error)
        reason = "no such kind" if said.startswith("Expected one of") else said[:120]
        raise UserError(f"this machine has no device {device!r} ({reason}): give cpu, or cuda with a GPU") from None

    @torch.inference_mode()
    def regress(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        found = task(normalise(torch.from_numpy(crops).to(device)))
        return found.landmarks.float().cpu().numpy(), None if found.dense is None else found.dense.float().cpu().numpy()

    folder = trained.record["folder"]
    model = (model or folder) if folder and not Path(folder).exists() else folder or EMBEDDED
    return FaceAligner(regress, trained.input_size, trained.mean_landmarks, trained.inside, detector, model=model)
