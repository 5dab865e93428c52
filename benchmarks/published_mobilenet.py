"""The published MobileNet x0.5 of 3DDFA_V2 on AFLW2000-3D, through this package's readers and metrics.

    python -m benchmarks.published_mobilenet --aflw2000 FOLDER --assets FOLDER [--json FILE]

Its published error (3.8 % mean of bins on the full set, github.com/cleardusk/3DDFA_V2/issues/20) is the yardstick that
every convention of crops, labels and bins is checked against; `benchmarks.protocols` shows what each of them costs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import run_benchmark
from nasface.data.crops import CropSettings
from nasface.data.sets.aflw2000 import load_aflw2000
from nasface.faces.camera import project
from nasface.faces.ddfa_model import CROP_SIZE, WHITENING_FILE_V2, load_keypoint_model, load_whitening, split_parameters
from nasface.metrics.aflw2000 import binned_nme
from nasface.metrics.nme import nme_68
from nasface.nets.baselines.mobilenet import load_published, normalise_crop
from nasface.report.tables import protocol_table
from nasface.utils.files import atomic_write

CHECKPOINT = "mb05_120x120.pth"


@dataclass(frozen=True)
class Prediction:
    """What the network finds, in 0-based pixels of the crops (3DDFA_V2's convention).

    Attributes:
        landmarks: (N, 68, 3) of the morphable model.
        direct: (N, 68, 2) of the branch that regresses landmarks, None where the checkpoint has none.
        pose: (N, 3, 4).
        coefficients: (N, 50).
    """

    landmarks: np.ndarray
    direct: np.ndarray | None
    pose: np.ndarray
    coefficients: np.ndarray


def predict(assets: Path, images: np.ndarray, batch: int = 50) -> Prediction:
    """Run the checkpoint in `assets`, a folder of 3DDFA's files, on crops (N, 120, 120, 3) uint8 RGB."""
    network = load_published(assets / CHECKPOINT, width=0.5)
    keypoints, whitening = load_keypoint_model(assets), load_whitening(assets / WHITENING_FILE_V2)
    parameters, direct = [], []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            features = network.features(normalise_crop(torch.from_numpy(np.array(images[start : start + batch]))))
            parameters.append(network.fc_param(features))
            if network.fc_lm is not None:
                direct.append(network.fc_lm(features))
    pose, coefficients = split_parameters(whitening.undo(torch.cat(parameters).numpy()))
    half = CROP_SIZE / 2
    return Prediction(
        landmarks=project(pose, keypoints.landmarks(coefficients)),
        direct=half * torch.cat(direct).numpy().reshape(-1, 2, 68).swapaxes(1, 2) + half if direct else None,
        pose=pose,
        coefficients=coefficients,
    )


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--aflw2000", type=Path, required=True, help="folder of AFLW2000-3D")
    parser.add_argument("--assets", type=Path, required=True, help=f"folder of 3DDFA's files and {CHECKPOINT}")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args(arguments)
    faces = load_aflw2000(options.aflw2000, CropSettings(CROP_SIZE))
    predicted = predict(options.assets, faces.images).landmarks
    result = binned_nme(nme_68(predicted, faces.landmarks, faces.box), faces.yaw)
    offset = (predicted[..., :2] - faces.landmarks[..., :2]).mean(axis=(0, 1))
    print(f"MobileNet x0.5 (3DDFA_V2), {len(faces)} images, NME (%)\n")
    print(protocol_table([("this package's crops", result)], decimals=3))
    print(f"\nmean offset of the landmarks {offset[0]:+.2f}, {offset[1]:+.2f} px of {CROP_SIZE}")
    if options.json:
        with atomic_write(options.json) as path:
            path.write_text(json.dumps({"images": len(faces), "counts": result.counts, **result.as_dict()}, indent=1))


if __name__ == "__main__":
    run_benchmark(main)
