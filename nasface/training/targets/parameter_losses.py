"""The losses of 3DDFA_V2 between a predicted and a true face of the morphable model.

Guo et al., "Towards Fast, Accurate and Stable 3D Dense Face Alignment", ECCV 2020: Eq. 4 (VDC), Eq. 6 and 7 (WPDC),
Algorithm 2 (fWPDC), section 2.2 (vanilla-joint) and 2.3 (landmark regression). Losses are of each face (B,), so that a
caller may average over some of them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Face(NamedTuple):
    """Faces: pose (B, 3, 4), model to crop pixels, and coefficients (B, K)."""

    pose: Tensor
    coefficients: Tensor


class Points(NamedTuple):
    """N points of a morphable model: mean (3, N) and modes (K, 3 N), x of all points first."""

    mean: Tensor
    modes: Tensor

    def shape(self, coefficients: Tensor) -> Tensor:
        """The points (B, 3, N) in model coordinates."""
        return (coefficients @ self.modes).view(-1, *self.mean.shape) + self.mean

    def vertices(self, face: Face) -> Tensor:
        """The points (B, 3, N) in crop pixels, Eq. 5."""
        return face.pose[:, :, :3] @ self.shape(face.coefficients) + face.pose[:, :, 3:]


def vdc(points: Points, predicted: Face, true: Face) -> Tensor:
    """Vertex distance cost, Eq. 4: the mean over the points of the squared distance, in pixels^2, (B,)."""
    return (points.vertices(predicted) - points.vertices(true)).square().sum(1).mean(1)


@torch.no_grad()
def wpdc_weights(points: Points, predicted: Face, true: Face) -> Tensor:
    """The weights (B, 12 + K) of Eq. 7, the largest of each face 1: how far the true face's points move when one of its
    parameters is taken from the prediction. Literally: a reconstruction for each parameter."""
    flat, wrong = (torch.cat((face.pose.flatten(1), face.coefficients), 1) for face in (true, predicted))
    vertices = points.vertices(true)
    weights = torch.empty_like(flat)
    for index in range(flat.shape[1]):
        degraded = flat.clone()
        degraded[:, index] = wrong[:, index]
        moved = points.vertices(Face(degraded[:, :12].view(-1, 3, 4), degraded[:, 12:]))
        weights[:, index] = (moved - vertices).square().sum((1, 2)).sqrt()
    return _normalised(weights)


@torch.no_grad()
def fwpdc_weights(points: Points, mode_norms: Tensor, predicted: Face, true: Face) -> Tensor:
    """The same weights by Algorithm 2, with one reconstruction for all parameters.

    S is that of the true coefficients, as the authors say (github.com/cleardusk/3DDFA_V2, issue 65); printed is the
    predicted ones'. N in the square root of its line 6 counts coordinates, hence sqrt(N) of the points here. f is the
    true pose's scale: the weights are those of Eq. 7 where the pose is a rotation times f.

    Args:
        mode_norms: (K,), Euclidean norms of the modes.
    """
    rows = points.shape(true.coefficients).norm(dim=2)
    ones = rows.new_full((len(rows), 1), points.mean.shape[1] ** 0.5)
    pose = (predicted.pose - true.pose).abs() * torch.cat((rows, ones), 1)[:, None]
    scale = (true.pose[:, :, :3].square().sum((1, 2)) / 3).sqrt()
    coefficients = scale[:, None] * (predicted.coefficients - true.coefficients).abs() * mode_norms
    return _normalised(torch.cat((pose.flatten(1), coefficients), 1))


def weighted_cost(weights: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
    """Eq. 6: the squared norm (B,) of the weighted difference of whitened parameters (B, P)."""
    return (weights * (predicted - true)).square().sum(1)


def vanilla_joint(fwpdc: Tensor, vdc: Tensor, beta: float) -> Tensor:
    """beta fWPDC + (1 - beta) VDC, the latter brought to the former's size by a factor without gradient."""
    return beta * fwpdc + (1 - beta) * matched(vdc, fwpdc)


def matched(loss: Tensor, like: Tensor) -> Tensor:
    """`loss` times |like| / |loss|, a factor without gradient: its value is `like`'s, its gradient its own."""
    return loss * (like.detach().abs() / loss.detach().abs().clamp(min=1e-12))


def landmark_cost(predicted: Tensor, true: Tensor) -> Tensor:
    """L_lrr of section 2.3: the mean square (B,) over the 136 coordinates of landmarks (B, 68, 2)."""
    return (predicted - true).square().mean((1, 2))


def _normalised(weights: Tensor) -> Tensor:
    return weights / weights.amax(1, keepdim=True).clamp(min=1e-12)
