"""The published MobileNet x0.5 of 3DDFA_V2 on AFLW2000-3D, through this package's readers and metrics.

    python benchmarks/published_mobilenet.py --aflw2000 FOLDER --assets FOLDER [--json FILE]

Its published error (3.8 % mean of bins on the full set, github.com/cleardusk/3DDFA_V2/issues/20) is the yardstick that
every convention of crops, labels and bins is checked against.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from nasface.data.aflw2000 import load_aflw2000
from nasface.errors import UserError
from nasface.faces.camera import project
from nasface.faces.ddfa_model import WHITENING_FILE_V2, load_keypoint_model, load_whitening, split_parameters
from nasface.files import atomic_write
from nasface.metrics.aflw2000 import YAW_BINS, binned_nme
from nasface.metrics.nme import nme_68
from nasface.nets.mobilenet import load_published, normalise_crop


def predict(checkpoint: Path, assets: Path, images: np.ndarray, batch: int = 50) -> np.ndarray:
    """Landmarks (N, 68, 3) in pixels of the crops (N, 120, 120, 3)."""
    network = load_published(checkpoint, width=0.5)
    keypoints, whitening = load_keypoint_model(assets), load_whitening(assets / WHITENING_FILE_V2)
    with torch.inference_mode():
        parts = [network(normalise_crop(torch.from_numpy(np.array(images[i : i + batch])))) for i in
                 range(0, len(images), batch)]  # fmt: skip
    pose, coefficients = split_parameters(whitening.undo(torch.cat(parts).numpy()))
    return project(pose, keypoints.landmarks(coefficients))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--aflw2000", type=Path, required=True, help="folder of AFLW2000-3D")
    parser.add_argument("--assets", type=Path, required=True, help="folder of 3DDFA's files and mb05_120x120.pth")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    faces = load_aflw2000(arguments.aflw2000, 120)
    predicted = predict(arguments.assets / "mb05_120x120.pth", arguments.assets, faces.images)
    result = binned_nme(nme_68(predicted, faces.landmarks, faces.box), faces.yaw)
    offset = (predicted[..., :2] - faces.landmarks[..., :2]).mean(axis=(0, 1))
    print(f"MobileNet x0.5 (3DDFA_V2), {len(faces)} images, NME (%)")
    print("".join(f"{name:>10}" for name in (*YAW_BINS, "mean", "all")))
    print("".join(f"{value:10.3f}" for value in (*result.bins, result.mean, result.all)))
    print(f"images per bin {result.counts}; mean offset of the landmarks {offset[0]:+.2f}, {offset[1]:+.2f} px of 120")
    if arguments.json:
        with atomic_write(arguments.json) as path:
            path.write_text(json.dumps({"images": len(faces), "counts": result.counts, **result.as_dict()}, indent=1))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
