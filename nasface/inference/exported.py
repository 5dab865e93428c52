"""Networks that `nasface export` wrote as ONNX or TorchScript, as aligners.

What such a file says of its faces (`nasface.inference.export.export_metadata`) makes angles and meshes those of the
network itself. An older file holds no more than the function: the head's angles are those of the embedded head's mean
landmarks, and the whole chart is taken for skin.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nasface.data.augment import normalise
from nasface.faces.landmarks import NUM_LANDMARKS
from nasface.faces.morphable import load_embedded_head
from nasface.inference.aligner import FaceAligner
from nasface.inference.detection import Detector
from nasface.inference.export import IMAGE_SIZE, METADATA, onnx_session
from nasface.inference.trained import EMBEDDED
from nasface.utils.errors import UserError, first_line

_FAR = 1e6
"""Pixels; also false of what is not finite."""


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is an archive of TorchScript, not one of weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def load_onnx(path: str | Path, detector: Detector | None = None, model: str | None = None) -> FaceAligner:
    """An ONNX file of `nasface export`; `model` is the morphable model whose chart its maps are on, where that is not
    the embedded head.

    Raises:
        UserError: onnxruntime is not installed, or the file is absent, damaged or another network's.
    """
    if not Path(path).is_file():
        raise UserError(f"{path} does not exist: nasface export writes it")
    try:
        session = onnx_session(path)
        size = session.get_inputs()[0].shape[-1]
    except UserError:
        raise
    except Exception as error:  # onnxruntime has types of its own for each fault of a file
        raise UserError(f"{path} is not a readable ONNX file ({first_line(error)}): export it again") from None
    known = session.get_modelmeta().custom_metadata_map
    return _aligner(
        path, size, lambda images: session.run(None, {session.get_inputs()[0].name: images}), known, detector, model
    )


def load_torchscript(path: str | Path, detector: Detector | None = None, model: str | None = None) -> FaceAligner:
    """A TorchScript file of `nasface export`; `model` as in `load_onnx`.

    Raises:
        UserError: the file is damaged or another network's.
    """
    try:
        extra = {IMAGE_SIZE: "", METADATA: ""}
        network = torch.jit.load(str(path), map_location="cpu", _extra_files=extra).eval()
        size, known = int(extra[IMAGE_SIZE] or 0), json.loads(extra[METADATA] or "{}")
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{path} is not a readable TorchScript file ({first_line(error)}): export it again") from None

    @torch.inference_mode()
    def run(images: np.ndarray) -> list[np.ndarray]:
        return [value.numpy() for value in network(torch.from_numpy(images))]

    return _aligner(path, size, run, known, detector, model)


def _aligner(
    path: str | Path,
    size: Any,
    run: Callable[[np.ndarray], Sequence[np.ndarray]],
    known: Any,
    detector: Detector | None,
    model: str | None,
) -> FaceAligner:
    def regress(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        try:
            landmarks, *others = run(normalise(torch.from_numpy(np.ascontiguousarray(crops))).contiguous().numpy())
        except Exception as error:
            raise UserError(f"{path} does not run ({first_line(error)}): export it again") from None
        if landmarks.shape not in [(len(crops), NUM_LANDMARKS, axes) for axes in (2, 3)]:
            raise UserError(f"{path} gives {landmarks.shape} landmarks, not {NUM_LANDMARKS}: use nasface export's")
        if not (np.abs(landmarks) < _FAR).all():
            raise UserError(f"{path} gives landmarks that are no places in an image: export it again")
        if landmarks.shape[2] == 2:
            landmarks = np.concatenate([landmarks, np.full_like(landmarks[..., :1], np.nan)], axis=2)
        dense = next((value for value in others if value.ndim == 4), None)
        if dense is not None and skin is not None and dense.shape[2:] != skin.shape:
            raise UserError(f"{path} has a damaged record of its faces (skin of another chart): export it again")
        return landmarks, dense

    if not isinstance(size, int) or size < 1:
        raise UserError(f"{path} does not say the size of its images: export it again by nasface export")
    mean, skin = _faces(path, known)
    if isinstance(known, dict) and known.get("model") == load_embedded_head().name:
        model = EMBEDDED  # `model` is meant for a set, or for other weights
    return FaceAligner(regress, size, mean, skin, detector, model=model)


def _faces(path: str | Path, known: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """The mean face's landmarks and the cells of the map that are skin, as a file's metadata says them."""
    if not isinstance(known, dict) or "mean_landmarks" not in known:
        head = load_embedded_head()
        assert head.landmark_vertices is not None
        return head.mean[head.landmark_vertices], None
    try:
        mean = np.array(json.loads(known["mean_landmarks"]), dtype=np.float32).reshape(NUM_LANDMARKS, 3)
        skin = np.array([[cell == "1" for cell in row] for row in known["skin"].split(" ")])
        if skin.ndim != 2 or not np.isfinite(mean).all():
            raise ValueError("not of its shape")
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} has a damaged record of its faces ({error}): export it again") from None
    return mean, skin
