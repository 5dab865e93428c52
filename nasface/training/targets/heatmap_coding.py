"""Landmarks as heatmaps and back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def draw_heatmaps(points: Tensor, cells: int, stride: int, sigma: float) -> Tensor:
    """Gaussians of height 1 about landmarks, drawn at their exact place between the cells.

    Args:
        points: (B, N, >=2) x and y in crop pixels; further columns are not read.
        cells: side of the heatmaps.
        stride: pixels of a cell's side; pixel x lies at cell (x + 0.5) / stride - 0.5.
        sigma: standard deviation in cells.

    Returns:
        (B, N, cells, cells) float32 in [0, 1].
    """
    place = (points[..., :2].float() + 0.5) / stride - 0.5
    line = torch.arange(cells, device=points.device, dtype=torch.float32)
    # A Gaussian is the product of one along the columns and one along the rows.
    column, row = (torch.exp(-((line - place[..., axis, None]) ** 2) / (2 * sigma**2)) for axis in (0, 1))
    return row[..., :, None] * column[..., None, :]


def decode_heatmaps(logits: Tensor, stride: int) -> Tensor:
    """The landmarks of heatmaps, between the cells: exact where the probabilities are a Gaussian.

    The highest cell and its neighbours left and right (above and below) fix a parabola through the logarithms of the
    probabilities, whose top is the place; of a cell at the edge, the parabola of its inner neighbour is taken. A top
    farther than one cell and a half from the highest cell is not trusted.

    Source: the idea of a Taylor expansion of the logarithm is Zhang et al.'s, "Distribution-Aware Coordinate
        Representation for Human Pose Estimation", CVPR 2020, section 3.2; here without smoothing and for each axis.

    Args:
        logits: (B, N, H, W), H and W at least 3, before the sigmoid.
        stride: pixels of a cell's side.

    Returns:
        (B, N, 2) x and y in crop pixels, float32.
    """
    height, width = logits.shape[-2:]
    logarithm = -F.softplus(-logits.float())  # of the sigmoid; ONNX has a logsigmoid that rounds to 0 where it is near
    best = logarithm.flatten(-2).argmax(-1)
    row, column = best // width, best % width
    across = logarithm.gather(-2, row[..., None, None].expand(*row.shape, 1, width)).squeeze(-2)
    along = logarithm.gather(-1, column[..., None, None].expand(*row.shape, height, 1)).squeeze(-1)
    place = torch.stack((_top(across, column), _top(along, row)), -1)
    return (place + 0.5) * stride - 0.5


def _top(values: Tensor, best: Tensor) -> Tensor:
    """Place (...) of the top of lines (..., L) whose highest cells are `best` (...)."""
    centre = best.clamp(1, values.shape[-1] - 2)
    before, here, after = (values.gather(-1, (centre + step)[..., None])[..., 0] for step in (-1, 0, 1))
    curvature = before - 2 * here + after
    curved = curvature < -1e-6
    top = centre + torch.where(curved, (before - after) / (2 * torch.where(curved, curvature, -1.0)), best - centre)
    return torch.where((top - best).abs() <= 1.5, top, best.to(top.dtype))
