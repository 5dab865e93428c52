"""The Basel Face Model without the neck as 3DDFA_V2 ships it: 38,365 vertices, 40 identity and 10 expression modes.

Files of its configs folder (https://github.com/cleardusk/3DDFA_V2; the Basel data in them is for academic use, nothing
of it is part of this package), as bfm/bfm.py and utils/uv.py read them:

    bfm_noneck_v3.pkl    dict: u (115095, 1), w_shp (115095, >= 40), w_exp (115095, >= 10), keypoints (204,): rows of u
    tri.pkl              (3, 76073) vertices counted from 0; used in place of the dict's `tri`
    indices.npy          (38365,) the vertices' places among the whole model's 53,215
    BFM_UV.mat           UV (53215, 2) of the whole model
    param_mean_std_62d_120x120.pkl    the coefficients' deviations

Micrometres; x right, y up, z toward the camera.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nasface.faces.bfm import UV_FILE, basel_model
from nasface.faces.ddfa_model import EXPRESSION_MODES, IDENTITY_MODES, WHITENING_FILE_V2, load_whitening
from nasface.faces.landmarks import NUM_LANDMARKS
from nasface.faces.morphable import MorphableModel
from nasface.utils.errors import UserError
from nasface.utils.files import load_array, load_pickle
from nasface.utils.mat import mat_numbers, read_mat
from nasface.utils.npy import read_array

MODEL_FILE, TRIANGLE_FILE, INDEX_FILE = "bfm_noneck_v3.pkl", "tri.pkl", "indices.npy"
PUBLISHED = "https://github.com/cleardusk/3DDFA_V2 (configs)"


def load_bfm_noneck(folder: str | Path) -> MorphableModel:
    """The model of 3DDFA_V2's configs folder, on BFM_UV's chart; a UserError names a file that is absent, damaged, or
    does not fit the others."""
    folder = Path(folder)
    path = folder / MODEL_FILE
    content = load_pickle(_existing(path))
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no dictionary of arrays: restore it from {PUBLISHED}")
    mean = _numbers(content, "u", path).ravel()
    if len(mean) < 9 or len(mean) % 3:
        raise UserError(f"{path}: u holds no vertices: restore it from {PUBLISHED}")
    modes = [
        _modes(content, key, path, len(mean), count)
        for key, count in (("w_shp", IDENTITY_MODES), ("w_exp", EXPRESSION_MODES))
    ]
    rows = _numbers(content, "keypoints", path).ravel().astype(np.int64)
    landmarks = rows[::3] // 3
    if len(rows) != 3 * NUM_LANDMARKS or (rows != (landmarks[:, None] * 3 + [0, 1, 2]).ravel()).any():
        raise UserError(f"{path}: keypoints are not the 204 rows of 68 landmarks: restore it from {PUBLISHED}")
    count = len(mean) // 3
    if landmarks.min() < 0 or landmarks.max() >= count:
        raise UserError(f"{path}: keypoints do not index {count} vertices: restore it from {PUBLISHED}")
    return basel_model(
        "bfm_noneck",
        mean.reshape(-1, 3),
        modes,
        load_whitening(folder / WHITENING_FILE_V2).std[12:],
        _triangles(folder / TRIANGLE_FILE, count),
        landmarks,
        _uv(folder, count),
    )


def _triangles(path: Path, count: int) -> np.ndarray:
    values = load_array(_existing(path))
    if values.ndim != 2 or 3 not in values.shape or values.dtype.kind not in "iu":
        raise UserError(f"{path} holds {values.dtype} {values.shape}, no triangles: restore it from {PUBLISHED}")
    triangles = (values.T if len(values) == 3 else values).astype(np.int64)
    if triangles.min() < 0 or triangles.max() >= count:
        raise UserError(
            f"{path} does not index the {count} vertices of {MODEL_FILE} from 0: take both from {PUBLISHED}"
        )
    return triangles


def _uv(folder: Path, count: int) -> np.ndarray:
    path = _existing(folder / INDEX_FILE)
    indices = read_array(path, f"restore it from {PUBLISHED}")
    content = read_mat(folder / UV_FILE, PUBLISHED)
    uv = mat_numbers(content, "UV", np.asarray(content.get("UV")).size, folder / UV_FILE, PUBLISHED).reshape(-1, 2)
    if indices.shape != (count,) or indices.dtype.kind not in "iu" or indices.min() < 0 or indices.max() >= len(uv):
        raise UserError(f"{path} does not place {count} vertices among {len(uv)}: restore it from {PUBLISHED}")
    chosen = uv[indices]
    return np.stack([chosen[:, 0], 1 - chosen[:, 1]], axis=1)


def _modes(content: dict[str, object], key: str, path: Path, rows: int, count: int) -> np.ndarray:
    values = _numbers(content, key, path)
    if values.ndim != 2 or len(values) != rows or values.shape[1] < count:
        raise UserError(f"{path}: {key} is not {rows} rows of {count} modes or more: restore it from {PUBLISHED}")
    return values[:, :count]


def _numbers(content: dict[str, object], key: str, path: Path) -> np.ndarray:
    values = np.asarray(content.get(key))
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise UserError(f"{path}: {key} is not an array of finite numbers: restore it from {PUBLISHED}")
    return values


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path} does not exist: 3DDFA_V2's configs are published at {PUBLISHED}")
    return path
