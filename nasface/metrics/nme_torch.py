"""`nme`'s errors on tensors, as trainings and searches measure them: differentiable, on any device, in the tensors' own
precision."""

from __future__ import annotations

from torch import Tensor


def point_errors(prediction: Tensor, target: Tensor, dimensions: int = 2) -> Tensor:
    """Distance between points, (..., M, >=dimensions) each -> (..., M) in the points' unit; 2 compares x and y only."""
    return (prediction[..., :dimensions] - target[..., :dimensions]).norm(dim=-1)


def mean_over_box(errors: Tensor, box: Tensor) -> Tensor:
    """Per-face NME (B,) in percent: the mean of errors (B, M), those that are NaN left out, over sqrt(w * h) of boxes
    (B, 2)."""
    known = ~errors.isnan()
    mean = errors.mean(-1) if known.all() else errors.nansum(-1) / known.sum(-1)
    return 100 / box.prod(-1).sqrt() * mean


def nme_68(prediction: Tensor, target: Tensor, box: Tensor) -> Tensor:
    """Per-face NME (B,) in percent of landmarks (B, 68, >=2) in the image plane over boxes (B, 2): width, height."""
    # Not by `mean_over_box`, whose order of operations rounds differently: these bits decided the searches on record.
    return 100 * point_errors(prediction, target).mean(-1) / box.prod(-1).sqrt()
