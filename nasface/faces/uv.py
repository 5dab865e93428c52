"""UV position maps: a morphable model resampled on a regular grid over its chart.

The representation and the weights of its regions are PRNet's (Feng et al. 2018, "Joint 3D Face Reconstruction and
Dense Alignment with Position Map Regression Network", section 3.2): landmarks 16 : eyes, nose, mouth 4 : rest of the
face 3 : neck and outside 0. Here both come from the model's own chart and landmarks, so that they exist for every
model and every resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu

from nasface.faces.landmarks import GROUPS
from nasface.faces.morphable import MorphableModel
from nasface.faces.rasterize import rasterize

LANDMARK_WEIGHT, FEATURE_WEIGHT, FACE_WEIGHT = 16.0, 4.0, 3.0
_FEATURES = (("left_eye",), ("right_eye",), ("nose_bridge", "nose_base"), ("outer_lip",))
_FEATURE_MARGIN = 0.045  # PRNet's mask goes a little beyond the landmarks: in parts of the map's side.
# Chart positions are rounded to this fraction of a cell, so that a grid model's vertices fall exactly on cells.
_SNAP = 1024


@dataclass(frozen=True)
class UVBasis:
    """A morphable model on an H x W grid over its chart: what the targets of training are made of.

    Cell (row r, column c) lies at u = c / (W - 1), v = r / (H - 1).
    """

    mean: np.ndarray
    """(3, H, W) float32, model coordinates."""
    basis: np.ndarray
    """(3, H, W, K) float32."""
    weight: np.ndarray
    """(H, W) float32 >= 0: weight of each cell in a loss."""
    landmark_uv: np.ndarray
    """(68, 2) float32."""
    inside: np.ndarray
    """(H, W) bool: the cell lies on the chart; elsewhere positions are extrapolated."""


def uv_basis(model: MorphableModel, size: int) -> UVBasis:
    """The model on a `size` x `size` grid of its UV chart: what networks of position maps are trained against.

        >>> basis = uv_basis(load_embedded_head(), 64)
        >>> position_map(basis, coefficients, pose).shape
        (3, 64, 64)

    Cells on the chart interpolate their triangle; cells off it (outside, eye and mouth openings) are filled smoothly,
    never NaN. Where the model's landmarks are vertices, the cells around each are moved by the least amount that
    makes the bilinear read at its UV position exact.
    """
    corners, weights, inside = _chart_cells(model, size)
    fields = np.concatenate([model.mean[..., None], model.basis], axis=2).reshape(len(model.mean), -1)
    grid = np.zeros((size * size, fields.shape[1]))
    cells = np.flatnonzero(inside)
    for k in range(3):
        grid[cells] += weights[cells, k, None].astype(np.float64) * fields[corners[cells, k]]
    _fill_smoothly(grid, inside)
    if model.landmark_vertices is not None:
        _fit_landmarks(grid, model.landmark_uv, fields[model.landmark_vertices], size)
    maps = grid.astype(np.float32).reshape(size, size, 3, -1).transpose(2, 0, 1, 3)
    return UVBasis(
        mean=np.ascontiguousarray(maps[..., 0]),
        basis=np.ascontiguousarray(maps[..., 1:]),
        weight=region_weights(inside, model.landmark_uv),
        landmark_uv=model.landmark_uv,
        inside=inside,
    )


def position_map(basis: UVBasis, coefficients: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Position maps (..., 3, H, W) float32 in crop pixels of coefficients (..., K) under poses (..., 3, 4)."""
    coefficients = np.asarray(coefficients, dtype=np.float32)
    pose = np.asarray(pose, dtype=np.float32)
    shape = basis.mean.shape
    flat = basis.mean.reshape(-1) + coefficients @ basis.basis.reshape(-1, coefficients.shape[-1]).T
    points = flat.reshape(*coefficients.shape[:-1], 3, -1)
    moved = pose[..., :3] @ points + pose[..., 3:]
    return moved.reshape(*moved.shape[:-1], *shape[1:])


def sample_map(maps: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Bilinear read of maps (..., C, H, W) at UV positions (M, 2) in [0, 1]: (..., M, C)."""
    height, width = maps.shape[-2:]
    cells, weights = bilinear_cells(uv, height, width)
    flat = maps.reshape(*maps.shape[:-2], height * width)
    read = (flat[..., cells] * weights.astype(maps.dtype)).sum(axis=-1)
    return np.swapaxes(read, -1, -2)


def grid_triangles(inside: np.ndarray) -> np.ndarray:
    """Triangles (T, 3) int32 between neighbouring cells of a map, two in each square whose four cells are `inside`
    (M, M); a cell's index is row * M + column."""
    rows, columns = inside.shape
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (index[y : rows - 1 + y, x : columns - 1 + x] for y in (0, 1) for x in (0, 1))
    whole = inside[:-1, :-1] & inside[:-1, 1:] & inside[1:, :-1] & inside[1:, 1:]
    a, b, c, d = (corner[whole] for corner in (a, b, c, d))
    return np.concatenate([np.stack((a, c, b), -1), np.stack((b, c, d), -1)]).astype(np.int32)


def chart_cells(model: MorphableModel, size: int) -> np.ndarray:
    """(size, size) bool: which cells of a map lie on the model's chart, hence are skin."""
    return _chart_cells(model, size)[2]


def region_weights(inside: np.ndarray, landmark_uv: np.ndarray) -> np.ndarray:
    """PRNet's region weights (H, W) float32 of a chart (H, W) bool with landmarks (68, 2).

    A landmark's nearest cell weighs 16. The other cells that its bilinear read touches weigh 4 at least, even where
    they lie just off the chart (eyelids and inner lips are on its edge): an untrained cell there would spoil the
    landmark.
    """
    height, width = inside.shape
    scale = np.array([width - 1, height - 1])
    weight = np.where(inside, FACE_WEIGHT, 0.0).astype(np.float32)
    radius = int(np.ceil(_FEATURE_MARGIN * (width - 1)))
    for names in _FEATURES:
        points = np.concatenate([landmark_uv[list(GROUPS[name])] for name in names]) * scale
        hull = cv2.convexHull(np.round(points).astype(np.int32))
        mask = cv2.fillConvexPoly(np.zeros(inside.shape, dtype=np.uint8), hull, 1)
        mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)))
        weight[(mask > 0) & inside] = FEATURE_WEIGHT
    cells, parts = bilinear_cells(landmark_uv, height, width)
    flat = weight.reshape(-1)
    touched = cells[parts > 0]
    flat[touched] = np.maximum(flat[touched], FEATURE_WEIGHT)
    flat[cells[np.arange(len(cells)), parts.argmax(axis=1)]] = LANDMARK_WEIGHT
    return weight


def _chart_cells(model: MorphableModel, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corner vertices (cells, 3) and their weights for each cell, and which cells (H, W) are on the chart."""
    on_chart = np.isfinite(model.uv).all(axis=1)
    triangles = model.triangles[on_chart[model.triangles].all(axis=1)]
    flat = np.zeros((len(model.uv), 3))
    flat[on_chart, :2] = np.round(model.uv[on_chart].astype(np.float64) * (size - 1) * _SNAP) / _SNAP
    index, weights, _ = rasterize(flat, triangles, size)
    inside = index >= 0
    weights = np.clip(weights, 0.0, 1.0).reshape(-1, 3)
    return triangles[np.maximum(index, 0).reshape(-1)], weights, inside


def _fill_smoothly(grid: np.ndarray, inside: np.ndarray) -> None:
    """Fill the rows of `grid` (cells, F) off the chart so that each, as nearly as its neighbours allow, continues
    them linearly.

    The thin-plate energy alone would let far corners run away; a little of the membrane energy holds them.
    """
    unknown = np.flatnonzero(~inside)
    if not len(unknown):
        return
    laplacian = grid_laplacian(*inside.shape)
    energy = (laplacian.T @ laplacian + 0.05 * laplacian).tocsr()
    known = np.flatnonzero(inside)
    rows = energy[unknown]
    solve = splu(rows[:, unknown].tocsc())
    grid[unknown] = solve.solve(-(rows[:, known] @ grid[known]))


def grid_laplacian(height: int, width: int, weights: np.ndarray | None = None) -> csr_matrix:
    """Graph Laplacian of the 4-neighbour grid (free at the border); `weights` of the edges, first those along the rows,
    then those down the columns, are all 1 by default."""
    cell = np.arange(height * width).reshape(height, width)
    starts = np.concatenate([cell[:, :-1].ravel(), cell[:-1].ravel()])
    ends = np.concatenate([cell[:, 1:].ravel(), cell[1:].ravel()])
    weights = np.ones(len(starts)) if weights is None else weights
    adjacency = coo_matrix((weights, (starts, ends)), shape=(cell.size, cell.size))
    adjacency = adjacency + adjacency.T
    return (diags(np.asarray(adjacency.sum(axis=1)).ravel()) - adjacency).tocsr()


def _fit_landmarks(grid: np.ndarray, uv: np.ndarray, truth: np.ndarray, size: int) -> None:
    """The smallest change of `grid` (cells, F) after which the bilinear read at `uv` (M, 2) is `truth` (M, F)."""
    reading = bilinear_matrix(uv, size)
    touched = np.unique(reading.indices)
    reader = reading[:, touched].toarray()
    # On coarse grids two landmarks may read the same cells; the pseudo-inverse then shares the rest between them.
    grid[touched] += np.linalg.pinv(reader, rcond=1e-2) @ (truth - reader @ grid[touched])


def bilinear_matrix(uv: np.ndarray, size: int) -> csr_matrix:
    """The linear map (M, size * size) that reads a row-major map at UV positions (M, 2) by bilinear interpolation."""
    cells, weights = bilinear_cells(uv, size, size)
    lines = np.tile(np.arange(len(cells)), 4)
    return csr_matrix((weights.T.ravel(), (lines, cells.T.ravel())), shape=(len(cells), size * size))


def reading_matrix(uv: np.ndarray, map_size: int) -> np.ndarray:
    """`bilinear_matrix` for maps that are multiplied from the left, dense: (map_size^2, M) float32."""
    # In C order: other strides, and products with the matrix would be rounded otherwise.
    return bilinear_matrix(uv, map_size).T.toarray().astype(np.float32, order="C")


def bilinear_cells(uv: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices (M, 4) of the cells around UV positions (M, 2), clamped to the map, and their weights (M, 4)."""
    x = np.clip(np.asarray(uv, dtype=np.float64)[:, 0] * (width - 1), 0, width - 1)
    y = np.clip(np.asarray(uv, dtype=np.float64)[:, 1] * (height - 1), 0, height - 1)
    column = np.minimum(np.floor(x).astype(np.int64), max(width - 2, 0))
    row = np.minimum(np.floor(y).astype(np.int64), max(height - 2, 0))
    fx, fy = x - column, y - row
    right, down = min(1, width - 1), min(1, height - 1) * width
    corner = row * width + column
    cells = np.stack([corner, corner + right, corner + down, corner + down + right], axis=1)
    return cells, np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], axis=1)
