"""A small folder in AFLW2000-3D's format, whose faces are a made-up model's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from nasface.faces.camera import pose_from_300wlp, project
from nasface.faces.ddfa_model import load_keypoint_model


def write_aflw2000(folder: Path, assets: Path, yaws: Sequence[float]) -> None:
    """A pair of files for each yaw (degrees), of the model in `assets`; the first face leaves its photograph, the third
    has another number of points in pt2d, as three files of the set have."""
    keypoints = load_keypoint_model(assets)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number, yaw in enumerate(yaws):
        pose = np.array([[0.1, np.deg2rad(yaw), -0.05, 50 if number == 0 else 200, 230, 12, 1e-3]])
        shape, expression = rng.normal(0, 1e3, (199, 1)), rng.normal(0, 0.01, (29, 1))
        points = project(
            pose_from_300wlp(pose, 450), keypoints.landmarks(np.concatenate([shape[:40, 0], expression[:10, 0]]))
        )
        content = {
            "pt3d_68": (points + [1, 1, 0]).T,
            "Pose_Para": pose,
            "Shape_Para": shape,
            "Exp_Para": expression,
            "pt2d": np.full((2, 23), -1.0) if number == 2 else points[:21, :2].T + 1,
        }
        savemat(folder / f"image0{number}.mat", content)
        cv2.imwrite(str(folder / f"image0{number}.jpg"), rng.integers(0, 255, (450, 450, 3), dtype=np.uint8))
