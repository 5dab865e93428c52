"""3DDFA_V2's published MobileNets (github.com/cleardusk/3DDFA_V2, weights/) on photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from nasface.faces.camera import project
from nasface.faces.ddfa_model import (
    CROP_SIZE,
    GRID,
    KEYPOINT_FILES,
    WHITENING_FILE_V2,
    load_ddfa_model,
    load_keypoint_model,
    load_whitening,
    split_parameters,
)
from nasface.inference.aligner import FaceAligner
from nasface.inference.detection import Detector
from nasface.nets.baselines.mobilenet import WIDTHS, load_published, normalise_crop
from nasface.utils.errors import UserError


def load_published_mobilenet(
    path: str | Path, arch: str, model: str | None, detector: Detector | None = None
) -> FaceAligner:
    """A published checkpoint: 62 whitened parameters, the exact 68-point model and the 64 x 64 grid.

    Args:
        path: mb1_120x120.pth or mb05_120x120.pth.
        arch: `mobilenet` or `mobilenet_x05`.
        model: folder of 3DDFA's files; by default that of the checkpoint, where it has them.
        detector: see `FaceAligner`.

    Raises:
        UserError: a file is absent or another, or no folder is given.
    """
    if arch not in WIDTHS:
        raise UserError(f"--arch is for published checkpoints ({', '.join(WIDTHS)}), not {arch!r}: leave it out")
    if model is None and (Path(path).parent / KEYPOINT_FILES[0]).is_file():
        model = str(Path(path).parent)
    if model is None:
        raise UserError(f"--arch {arch} regresses parameters of 3DDFA's model: give its folder by --model")
    network = load_published(path, WIDTHS[arch])
    whitening = load_whitening(Path(model) / WHITENING_FILE_V2)
    keypoints, grid = load_keypoint_model(model), load_ddfa_model(model)

    @torch.inference_mode()
    def regress(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pose, coefficients = split_parameters(whitening.undo(network(normalise_crop(torch.from_numpy(crops))).numpy()))
        landmarks = project(pose, keypoints.landmarks(coefficients))
        vertices = project(pose, grid.vertices(coefficients))
        # Depth has zero mean over the model's vertices, as everywhere in this package.
        depth = vertices[..., 2].mean(-1)[:, None]
        landmarks[..., 2] -= depth
        vertices[..., 2] -= depth
        maps = vertices.swapaxes(1, 2).reshape(len(crops), 3, GRID, GRID)
        return landmarks.astype(np.float32), maps.astype(np.float32)

    inside = np.ones((GRID, GRID), dtype=bool)
    # Its authors map back by x * side / 120 + left (3DDFA_V2, utils/tddfa_util.py, similar_transform).
    return FaceAligner(regress, CROP_SIZE, keypoints.mean, inside, detector, model=str(model), corners=True)
