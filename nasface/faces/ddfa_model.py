"""3DDFA's morphable model: the Basel Face Model on a 64 x 64 grid, and its exact 68-point reduction.

Files of a 3DDFA or 3DDFA_V2 checkout (https://github.com/cleardusk/3DDFA, https://github.com/cleardusk/3DDFA_V2; the
Basel data in them is for academic use, nothing of it is part of this package):

* `Model_PAF.pkl` (train.configs): `mu_filter` (12288, 1), `w_filter` (12288, 40), `w_exp_filter` (12288, 10): 64 x 64
  vertices, the first axis running around the head (left to right in the image), the second downwards.
* `u_base.txt`, `w_shp_base.txt`, `w_exp_base.txt` (c++/weights): mean (204), 40 identity modes and 10 expression modes
  of the 68 landmarks.
* `param_mean_std_62d_120x120.pkl` (configs of V2: `mean`, `std`) or `param_whitening.pkl` (train.configs of V1:
  `param_mean`, `param_std`): the whitening of the 62 parameters.

Lengths are micrometres; model coordinates are x right, y up, z toward the camera.

Two things about the grid need care, and `load_ddfa_model` sees to both:

* The published `Model_PAF.pkl` has no expression modes: its `w_exp_filter` repeats the first 10 identity modes bit for
  bit. The grid's expression modes are therefore made from the 68-point model's, by the smoothest field over the face
  that moves the 68 landmarks exactly as that model does. A file with expression modes of its own is used as it is.
* The grid is a resampled surface, so its landmarks miss the 68-point model's by about a millimetre wherever one reads
  them. The same smooth interpolation carries that difference into the mean and the identity modes, after which both
  models agree on the 68 landmarks for all coefficients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from nasface.faces.camera import matrix_to_pose, pose_to_matrix
from nasface.faces.landmarks import FLIP_68, NUM_LANDMARKS
from nasface.faces.morphable import MorphableModel
from nasface.faces.uv import bilinear_matrix, grid_laplacian, grid_triangles
from nasface.utils.errors import UserError
from nasface.utils.files import load_pickle
from nasface.utils.reading import reading

GRID = 64
"""Rows and columns of the position grid."""
IDENTITY_MODES = 40
EXPRESSION_MODES = 10
COEFFICIENTS = IDENTITY_MODES + EXPRESSION_MODES
PARAMETERS = 12 + COEFFICIENTS
"""Length of a parameter vector: a row-major (3, 4) pose, then the coefficients."""
CROP_SIZE = 120
"""Side in pixels of the crops that the pose refers to."""

PAF_FILE = "Model_PAF.pkl"
KEYPOINT_FILES = ("u_base.txt", "w_shp_base.txt", "w_exp_base.txt")
WHITENING_FILE_V1 = "param_whitening.pkl"
WHITENING_FILE_V2 = "param_mean_std_62d_120x120.pkl"
PUBLISHED = "https://github.com/cleardusk/3DDFA and https://github.com/cleardusk/3DDFA_V2"

_UPPER_INNER_LIP, _LOWER_INNER_LIP = [61, 62, 63], [65, 66, 67]

# Weight of the membrane energy beside the bending energy of `_smooth_field`, per square centimetre. Pure bending runs
# away linearly beyond the outermost landmarks (a forehead that follows raised brows ever faster); with a membrane part
# a motion levels off at that distance.
_TENSION = 1.0e-8


@dataclass(frozen=True)
class KeypointModel:
    """The exact morphable model of the 68 landmarks.

    Attributes:
        mean: (68, 3) float32, model coordinates (micrometres).
        basis: (68, 3, 50) float32, identity modes, then expression modes.
    """

    mean: np.ndarray
    basis: np.ndarray

    def landmarks(self, coefficients: np.ndarray) -> np.ndarray:
        """Landmarks (..., 68, 3) in model coordinates of coefficients (..., 50)."""
        flat = np.asarray(coefficients) @ self.basis.reshape(-1, self.basis.shape[-1]).T
        return flat.reshape(*flat.shape[:-1], NUM_LANDMARKS, 3) + self.mean


@dataclass(frozen=True)
class Whitening:
    """Mean and standard deviation (62,) float64 that 3DDFA's parameters are normalised with."""

    mean: np.ndarray
    std: np.ndarray

    def apply(self, parameters: np.ndarray) -> np.ndarray:
        """Whitened parameters of raw ones, (..., 62)."""
        return (np.asarray(parameters, dtype=np.float64) - self.mean) / self.std

    def undo(self, whitened: np.ndarray) -> np.ndarray:
        """Raw parameters of whitened ones, (..., 62) float64."""
        return np.asarray(whitened, dtype=np.float64) * self.std + self.mean


def split_parameters(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pose (..., 3, 4) float64, in this package's crop pixels, and coefficients (..., 50) float64 of raw, un-whitened
    3DDFA parameters (..., 62).

    3DDFA's vertices are P[:, :3] v + P[:, 3] in a 120-pixel crop that starts at pixel 1 and whose y grows upwards; the
    0-based pixel is (x - 1, 120 - y) (3DDFA_V2, utils/tddfa_util.py). The returned matrix has that built in.
    """
    raw = np.asarray(parameters, dtype=np.float64)
    if raw.shape[-1] != PARAMETERS:
        raise ValueError(f"expected {PARAMETERS} parameters, got {raw.shape[-1]}")
    return matrix_to_pose(raw[..., :12].reshape(*raw.shape[:-1], 3, 4), CROP_SIZE), raw[..., 12:].copy()


def join_parameters(pose: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """The inverse of `split_parameters`: raw parameters (..., 62) float64."""
    matrix = pose_to_matrix(pose, CROP_SIZE)
    return np.concatenate([matrix.reshape(*matrix.shape[:-2], 12), coefficients], axis=-1)


def load_whitening(path: str | Path) -> Whitening:
    """Read either of 3DDFA's whitening files; a UserError where it does not hold 62 means and positive deviations."""
    content = load_pickle(_existing(Path(path)))
    if isinstance(content, dict):
        for mean_key, std_key in (("mean", "std"), ("param_mean", "param_std")):
            if mean_key in content and std_key in content:
                whitening = Whitening(_numbers(content[mean_key]), _numbers(content[std_key]))
                if whitening.mean.shape == whitening.std.shape == (PARAMETERS,) and (whitening.std > 0).all():
                    return whitening
    raise UserError(
        f"{path} does not hold the mean and deviation of {PARAMETERS} parameters: use {WHITENING_FILE_V2} or "
        f"{WHITENING_FILE_V1} as published with {PUBLISHED}"
    )


def load_keypoint_model(folder: str | Path) -> KeypointModel:
    """Read the 68-point model from 3DDFA's three text files; a UserError where one has another number of values."""
    modes = (1, IDENTITY_MODES, EXPRESSION_MODES)
    mean, identity, expression = (
        _read_text(Path(folder) / name, count) for name, count in zip(KEYPOINT_FILES, modes, strict=True)
    )
    return KeypointModel(
        mean=mean[..., 0].astype(np.float32), basis=np.concatenate([identity, expression], axis=-1).astype(np.float32)
    )


def load_ddfa_model(folder: str | Path, exact_landmarks: bool = True) -> MorphableModel:
    """3DDFA's 64 x 64 grid model: 4096 vertices in rows from top to bottom, 40 identity and 10 expression modes.

    The UV chart is the grid itself, so that a 64 x 64 position map is the vertices. `landmark_uv` is where each
    landmark's expected squared distance to the 68-point model is least over the coefficients' distribution; it is
    exactly mirror-symmetric, so that mirroring a map mirrors the landmarks read from it. (The Basel model itself is a
    mean of scans and only nearly symmetric.)

    Args:
        folder: holds `Model_PAF.pkl`, the three text files of the 68-point model and a whitening file.
        exact_landmarks: adjust mean and identity modes (by less than 3 mm of the mean) to agree with the 68-point model
            on the landmarks; False leaves the published surface as it is.

    Raises:
        UserError: a file is absent or not what it should be; the message names it.
    """
    folder = Path(folder)
    mean, basis = _read_grid(folder / PAF_FILE)
    keypoints = load_keypoint_model(folder)
    std = load_whitening(_whitening_file(folder)).std[12:]
    has_expressions = not np.array_equal(basis[..., IDENTITY_MODES:], basis[..., :EXPRESSION_MODES])

    known = COEFFICIENTS if has_expressions else IDENTITY_MODES
    grid = np.concatenate([mean[..., None], basis[..., :known]], axis=-1)
    wanted = np.concatenate([keypoints.mean[..., None], keypoints.basis], axis=-1).astype(np.float64)
    landmark_uv = place_landmarks(grid, wanted[..., : known + 1], np.concatenate([[1.0], std[:known]]))
    if exact_landmarks:
        landmark_uv = _part_lips(landmark_uv, GRID)

    full = np.concatenate([grid, np.zeros((GRID, GRID, 3, COEFFICIENTS - known))], axis=-1)
    reading = bilinear_matrix(landmark_uv, GRID)
    missing = wanted - (reading @ full.reshape(GRID * GRID, -1)).reshape(wanted.shape)
    if not exact_landmarks:
        missing[..., : known + 1] = 0.0
    full += _smooth_field(mean, reading, missing.reshape(NUM_LANDMARKS, -1)).reshape(full.shape)

    vertices = full.reshape(GRID * GRID, 3, COEFFICIENTS + 1).astype(np.float32)
    return MorphableModel(
        name="3ddfa",
        mean=np.ascontiguousarray(vertices[..., 0]),
        basis=np.ascontiguousarray(vertices[..., 1:]),
        coefficient_std=std.astype(np.float32),
        identity_count=IDENTITY_MODES,
        triangles=np.stack(np.split(grid_triangles(np.ones((GRID, GRID), dtype=bool)), 2), axis=1).reshape(-1, 3),
        uv=_grid_uv(GRID),
        landmark_uv=landmark_uv.astype(np.float32),
        landmark_vertices=None,
    )


def place_landmarks(grid: np.ndarray, wanted: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """UV positions (68, 2) float64, mirror-symmetric, where a grid model comes closest to a 68-point model.

    For each landmark (and its mirror image together) the sum over m of scale[m]^2 |grid_m(uv) - wanted_m|^2 is
    minimised: with m = 0 the mean and the others modes with their deviations, that is the expected squared distance.

    Args:
        grid: (H, W, 3, M) mean and modes on the grid.
        wanted: (68, 3, M) the same of the landmarks.
        scale: (M,) weights: 1 for the mean, the coefficient's deviation for a mode.
    """
    size = len(grid)
    flat, goal = (grid * scale).reshape(size * size, -1), (wanted * scale).reshape(NUM_LANDMARKS, -1)

    def cost(landmark: int, uv: np.ndarray) -> np.ndarray:
        return np.square(bilinear_matrix(uv, size) @ flat - goal[landmark]).sum(axis=1)

    result = np.empty((NUM_LANDMARKS, 2))
    for landmark, other in enumerate(FLIP_68):
        if other < landmark:
            continue
        nearest = np.square(grid[..., 0] - wanted[landmark, :, 0]).sum(axis=-1).argmin()
        start = np.array([nearest % size, nearest // size]) / (size - 1)
        midline = other == landmark

        def together(uv: np.ndarray, landmark: int = landmark, other: int = int(other)) -> np.ndarray:
            return cost(landmark, uv) + cost(other, _mirror_uv(uv))

        uv = _pattern_search(together, np.array([0.5, start[1]]) if midline else start, 1 / (size - 1), not midline)
        result[landmark], result[other] = uv, _mirror_uv(uv)
    return result


def _part_lips(uv: np.ndarray, size: int) -> np.ndarray:
    """Read the inner lips in the rows just above and just below the mouth line (moves them by half a row).

    The mean's mouth is closed: where its inner lips are nearest, both read the same row of cells. When the mouth opens,
    a smooth map could then follow them only by folding over itself by half the opening, above and below.
    """
    parted = uv.copy()
    rows = uv[[*_UPPER_INNER_LIP, *_LOWER_INNER_LIP], 1] * (size - 1)
    line = np.round(rows.mean())
    parted[_UPPER_INNER_LIP, 1] = (line - 1) / (size - 1)
    parted[_LOWER_INNER_LIP, 1] = (line + 1) / (size - 1)
    return parted


def _pattern_search(
    cost: Callable[[np.ndarray], np.ndarray], start: np.ndarray, step: float, move_u: bool
) -> np.ndarray:
    """Minimum of a cost over UV: the best of a 9 x 9 lattice around the last best one, ever finer."""
    offsets = np.arange(-4, 5)
    lattice = np.stack(np.meshgrid(offsets if move_u else [0], offsets), axis=-1).reshape(-1, 2)
    best = start
    for level in range(12):
        candidates = np.clip(best + lattice * (step * 0.5 ** (level + 1)), 0.0, 1.0)
        best = candidates[cost(candidates).argmin()]
    return best


def _smooth_field(mean: np.ndarray, reading: sparse.csr_matrix, values: np.ndarray) -> np.ndarray:
    """The smoothest fields on the grid that read `values` (68, C) at the landmarks: (H * W, C).

    Least bending plus membrane energy over the mean surface (a spline in tension), the edges weighted as in the finite
    volume Laplacian of a grid whose lines cross at right angles.
    """
    # Vertices at the ears fold back on themselves: a floor keeps near-zero lengths from tearing the weights apart.
    along = np.maximum(np.linalg.norm(np.diff(mean, axis=1), axis=-1), 500.0)
    down = np.maximum(np.linalg.norm(np.diff(mean, axis=0), axis=-1), 500.0)
    across_row, across_column = _vertex_size(down, 0), _vertex_size(along, 1)
    along_rows = (across_row[:, :-1] + across_row[:, 1:]) / 2 / along
    down_columns = (across_column[:-1] + across_column[1:]) / 2 / down
    weights = np.concatenate([along_rows.ravel(), down_columns.ravel()])
    laplacian = grid_laplacian(mean.shape[0], mean.shape[1], weights)
    inverse_area = sparse.diags(1.0 / (across_row * across_column).ravel())
    energy = laplacian @ inverse_area @ laplacian + _TENSION * laplacian
    # Scaled so that the multipliers' rows and the energy's have like magnitudes.
    energy = energy / energy.diagonal().mean()
    system = sparse.bmat([[energy, reading.T], [reading, None]], format="csc")
    count = laplacian.shape[0]
    right = np.concatenate([np.zeros((count, values.shape[1])), values])
    return splu(system).solve(right)[:count]


def _vertex_size(lengths: np.ndarray, axis: int) -> np.ndarray:
    """Extent of each vertex's cell along an axis: half the edges on either side."""
    before = np.concatenate([np.take(lengths, [0], axis) * 0, lengths], axis=axis)
    after = np.concatenate([lengths, np.take(lengths, [0], axis) * 0], axis=axis)
    return (before + after) / 2


def _mirror_uv(uv: np.ndarray) -> np.ndarray:
    return uv * [-1.0, 1.0] + [1.0, 0.0]


def _grid_uv(size: int) -> np.ndarray:
    line = np.linspace(0.0, 1.0, size)
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2).astype(np.float32)


def _read_grid(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean (64, 64, 3) and modes (64, 64, 3, 50), float64, axes: height downwards, around the head to the right."""
    content = load_pickle(_existing(path))
    parts = []
    for key, modes in (("mu_filter", 1), ("w_filter", IDENTITY_MODES), ("w_exp_filter", EXPRESSION_MODES)):
        values = _numbers(content.get(key)) if isinstance(content, dict) else np.empty(0)
        if values.size != GRID * GRID * 3 * modes or not np.isfinite(values).all():
            raise UserError(f"{path}: {key} is not ({GRID * GRID * 3}, {modes}): restore it from {PUBLISHED}")
        parts.append(values.reshape(GRID, GRID, 3, modes).swapaxes(0, 1))
    return parts[0][..., 0], np.concatenate(parts[1:], axis=-1)


def _read_text(path: Path, modes: int) -> np.ndarray:
    with reading(path, f"is not {NUM_LANDMARKS * 3} rows of {modes} numbers", f"restore it from {PUBLISHED}"):
        values = np.array(_existing(path).read_text().split(), dtype=np.float64).reshape(NUM_LANDMARKS, 3, modes)
    if not np.isfinite(values).all():
        raise UserError(f"{path} is not {NUM_LANDMARKS * 3} rows of {modes} numbers: restore it from {PUBLISHED}")
    return values


def _whitening_file(folder: Path) -> Path:
    v1 = folder / WHITENING_FILE_V1
    v2 = folder / WHITENING_FILE_V2
    return v1 if v1.is_file() and not v2.is_file() else v2


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path} does not exist: 3DDFA's assets are published at {PUBLISHED}")
    return path


def _numbers(values: object) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return np.empty(0)
