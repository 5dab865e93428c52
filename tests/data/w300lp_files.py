"""A made-up 300W-LP in the set's exact format, for tests where the real one is absent."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

SIZE = 450
BRIGHT = 30  # the landmark that is drawn into the picture


def write_w300lp(
    root: Path, keypoints: np.ndarray, photographs: int = 4, versions: int = 2, subset: str = "AFW"
) -> dict[str, np.ndarray]:
    """Write pairs of a set whose faces are `keypoints` (68, 3, 51): mean, 40 + 10 modes of which few are used.

    Returns the 0-based pixels (68, 3) of each face by `<SUBSET>/<NAME>`.
    """
    rng = np.random.default_rng(5)
    truth = {}
    for photograph in range(photographs):
        shape, expression = np.zeros((199, 1)), np.zeros((29, 1))
        shape[:3, 0] = rng.normal(0, 1e5, 3)
        for version in range(versions):
            yaw = rng.uniform(-0.2, 0.2) - 0.2 * version
            pose = np.array([[0.1, yaw, -0.05, 225 + 9 * photograph, 220, -40, 1.2e-3]], dtype=np.float32)
            points = _project(pose[0].astype(np.float64), keypoints[..., 0] + keypoints[..., 1:4] @ shape[:3, 0])
            name = f"{subset}_{1000 + photograph}_1_{version}"
            _write(root / subset, name, points, pose, shape, expression)
            truth[f"{subset}/{name}"] = points
    return truth


def _project(pose: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Written out from the set's MATLAB code: raw points, then y = 451 - y, both counted from 1."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(pose[:3]), np.sin(pose[:3])
    rotation = (
        np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
        @ np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
        @ np.array([[cz, sz, 0], [-sz, cz, 0], [0, 0, 1]])
    )
    raw = pose[6] * vertices @ rotation.T + pose[3:6]
    return np.stack([raw[:, 0] - 1, SIZE + 1 - raw[:, 1] - 1, raw[:, 2]], axis=1)


def _write(folder: Path, name: str, points: np.ndarray, pose: np.ndarray, *modes: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    column, row = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    x, y = points[BRIGHT, :2]
    dot = 255 * np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * 6.0**2))
    quality = [cv2.IMWRITE_JPEG_QUALITY, 100]
    cv2.imwrite(str(folder / f"{name}.jpg"), np.repeat(dot[..., None], 3, axis=2), quality)
    shape, expression = modes
    content = {
        "pt2d": points[:, :2].T + 1.5,
        "roi": np.array([[53, -166, 638, 419]], dtype=np.int16),
        "Illum_Para": np.zeros((1, 10)),
        "Color_Para": np.zeros((1, 7), dtype=np.float32),
        "Tex_Para": np.zeros((199, 1)),
        "Shape_Para": shape,
        "Exp_Para": expression,
        "Pose_Para": pose,
    }
    savemat(folder / f"{name}.mat", content)
