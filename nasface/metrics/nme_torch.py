"""`nme`'s errors on tensors, as trainings and searches measure them: differentiable, on any device, in the tensors' own
precision."""

from __future__ import annotations

import torch
from torch import Tensor


def point_errors(prediction: Tensor, target: Tensor, dimensions: int = 2) -> Tensor:
    """Distance between points, (..., M, >=dimensions) each -> (..., M) in the points' unit; 2 compares x and y only."""
    return (prediction[..., :dimensions] - target[..., :dimensions]).norm(dim=-1)


def mean_over_box(errors: Tensor, box: Tensor, known: Tensor | None = None) -> Tensor:
    """Per-face NME (B,) in percent: the mean of errors (B, M) over sqrt(w * h) of boxes (B, 2), of the points that are
    `known` (B, M) alone, where some are not. A known point that is NaN gives NaN."""
    mean = errors.mean(-1)
    if known is not None and not known.all():
        mean = torch.where(known, errors, 0).sum(-1) / known.sum(-1)
    return 100 / box.prod(-1).sqrt() * mean


def nme_68(prediction: Tensor, target: Tensor, box: Tensor) -> Tensor:
    """Per-face NME (B,) in percent of landmarks (B, 68, >=2) in the image plane over boxes (B, 2): width, height."""
    # Not by `mean_over_box`, whose order of operations rounds differently: these bits decided the searches on record.
    return 100 * point_errors(prediction, target).mean(-1) / box.prod(-1).sqrt()
