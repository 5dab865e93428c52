"""The Basel Face Model 2009 with FaceWarehouse's expressions in face3d's layout: BFM.mat, and BFM_UV.mat beside it.

`BFM.mat` is made with the code of face3d (https://github.com/YadiraF/face3d, examples/Data/BFM/3dmm.md and
examples/Data/BFM/Generate/generate.m) from the Basel model, which is for academic use; nothing of it is part of this
package. One struct `model`:

    shapeMU (159645, 1)  shapePC (159645, 199)  shapeEV (199, 1)    mean, identity modes, their deviations
    expMU (159645, 1)    expPC (159645, 29)     expEV (29, 1)       the same of the expressions
    tri (3, 105840)      kpt_ind (1, 68)                            counted from 1
    tri_mouth (3, 114)                                              triangles that close the mouth; may be absent
    texMU, texPC, texEV                                             not used

`BFM_UV.mat` (configs of cleardusk/3DDFA_V2, also in face3d's Data): `UV` (53215, 2) in [0, 1], v upwards. Vertices are
interleaved x, y, z in micrometres; x right, y up, z toward the camera. 300W-LP's and AFLW2000-3D's `Shape_Para` and
`Exp_Para` multiply the modes as they are, without the deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasface.faces.ddfa_model import KeypointModel
from nasface.faces.landmarks import NUM_LANDMARKS
from nasface.faces.morphable import MorphableModel
from nasface.faces.uv_layout import above_jaw, outward, symmetric
from nasface.utils.errors import UserError
from nasface.utils.mat import mat_numbers, read_mat

PUBLISHED = "https://github.com/YadiraF/face3d (examples/Data/BFM)"
UV_FILE = "BFM_UV.mat"
UV_PUBLISHED = "https://github.com/cleardusk/3DDFA_V2 (configs)"


@dataclass(frozen=True)
class BaselMesh:
    """What face3d's position maps need beyond the model: its whole surface and layout, the neck too."""

    model: MorphableModel
    triangles: np.ndarray
    """(T, 3) int64: the model's and those that close the mouth."""
    uv: np.ndarray
    """(V, 2) float64 in [0, 1], v downwards."""


def load_bfm(path: str | Path, uv_path: str | Path | None = None) -> MorphableModel:
    """The whole model of BFM.mat: 53,215 vertices, 199 identity and 29 expression modes.

    The chart is BFM_UV's (`uv_path`, or the file beside `path`) down to just below the jaw; the neck is left out, as
    PRNet's weights leave it out of the loss.

    Raises:
        UserError: a file is absent, damaged, or does not fit the other; the message names it.
    """
    return load_bfm_mesh(path, uv_path).model


def load_bfm_mesh(path: str | Path, uv_path: str | Path | None = None) -> BaselMesh:
    """`load_bfm` with the closed mouth and the neck's layout; arguments and errors as there."""
    path = Path(path)
    model = _struct(path)
    mean = _column(model, "shapeMU", path) + _column(model, "expMU", path)
    vertices = mean.reshape(-1, 3)
    modes = [_modes(model, key, path, len(mean)) for key in ("shapePC", "expPC")]
    deviations = [
        mat_numbers(model, key, part.shape[1], path, PUBLISHED)
        for key, part in zip(("shapeEV", "expEV"), modes, strict=True)
    ]
    triangles = _triangles(model, "tri", path, len(vertices))
    mouth = _triangles(model, "tri_mouth", path, len(vertices)) if "tri_mouth" in model else triangles[:0]
    landmarks = _indices(model, "kpt_ind", path, len(vertices)).ravel()
    if len(landmarks) != NUM_LANDMARKS:
        raise UserError(
            f"{path}: kpt_ind holds {len(landmarks)} landmarks, not {NUM_LANDMARKS}: take it from {PUBLISHED}"
        )
    uv = load_uv(uv_path or path.with_name(UV_FILE), len(vertices))
    whole = basel_model(f"bfm {path.name}", vertices, modes, np.concatenate(deviations), triangles, landmarks, uv)
    return BaselMesh(whole, np.concatenate([triangles, mouth]), uv)


def basel_model(
    name: str,
    mean: np.ndarray,
    modes: Sequence[np.ndarray],
    deviations: np.ndarray,
    triangles: np.ndarray,
    landmarks: np.ndarray,
    uv: np.ndarray,
) -> MorphableModel:
    """A model on BFM_UV's chart `uv` (V, 2), v downwards: mean (V, 3), modes of identity and of expression, (3 V, K1)
    and (3 V, K2), deviations (K1 + K2,), triangles (T, 3) in either orientation, landmarks (68,) among the vertices."""
    landmark_uv = symmetric(uv[landmarks])
    return MorphableModel(
        name=name,
        mean=np.ascontiguousarray(mean, dtype=np.float32),
        basis=np.ascontiguousarray(np.concatenate(modes, axis=1).reshape(len(mean), 3, -1), dtype=np.float32),
        coefficient_std=np.abs(deviations).astype(np.float32),
        identity_count=modes[0].shape[1],
        triangles=outward(triangles, mean),
        uv=np.where(above_jaw(uv, landmark_uv)[:, None], uv, np.nan).astype(np.float32),
        landmark_uv=landmark_uv,
        landmark_vertices=landmarks.astype(np.int64),
    )


def keypoints_of(model: MorphableModel) -> KeypointModel:
    """The 68-point reduction of a model whose landmarks are vertices."""
    return KeypointModel(model.mean[model.landmark_vertices], model.basis[model.landmark_vertices])


def load_uv(path: str | Path, count: int) -> np.ndarray:
    """BFM_UV.mat as a chart (count, 2) float64, v turned downwards; errors as of `load_bfm`."""
    uv = mat_numbers(read_mat(path, UV_PUBLISHED), "UV", 2 * count, path, UV_PUBLISHED).reshape(count, 2)
    if uv.min() < 0 or uv.max() > 1:
        raise UserError(f"{path}: UV leaves [0, 1]: restore it from {UV_PUBLISHED}")
    return np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1)


def _struct(path: Path) -> dict[str, Any]:
    struct = read_mat(path, PUBLISHED).get("model")
    if not isinstance(struct, np.ndarray) or struct.dtype.names is None or struct.size != 1:
        raise UserError(f"{path} holds no struct 'model': make it as in {PUBLISHED}")
    return {key: struct[key].item() for key in struct.dtype.names}


def _column(model: dict[str, Any], key: str, path: Path) -> np.ndarray:
    size = np.asarray(model.get(key)).size
    if size % 3 or size < 9:
        raise UserError(f"{path}: {key} holds no vertices: make it as in {PUBLISHED}")
    return mat_numbers(model, key, size, path, PUBLISHED)


def _modes(model: dict[str, Any], key: str, path: Path, rows: int) -> np.ndarray:
    values = np.asarray(model.get(key))
    if values.ndim != 2 or len(values) != rows or values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise UserError(f"{path}: {key} is not {rows} rows of finite numbers: make it as in {PUBLISHED}")
    return values.astype(np.float32)


def _triangles(model: dict[str, Any], key: str, path: Path, vertices: int) -> np.ndarray:
    return _indices(model, key, path, vertices, multiple=3).reshape(3, -1).T


def _indices(model: dict[str, Any], key: str, path: Path, vertices: int, multiple: int = 1) -> np.ndarray:
    """Vertex indices from 0, a multiple of that many, of a variable that counts from 1."""
    size = np.asarray(model.get(key)).size
    values = mat_numbers(model, key, size, path, PUBLISHED)
    if size == 0 or size % multiple or values.min() < 1 or values.max() > vertices or (values % 1).any():
        raise UserError(f"{path}: {key} does not index {vertices} vertices from 1: make it as in {PUBLISHED}")
    return values.astype(np.int64) - 1
