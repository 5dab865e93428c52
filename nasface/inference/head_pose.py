"""The head's pose of 68 landmarks within a network's graph, where exporters know no singular values."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

_SQUARINGS = (3, 3, 3)  # of Horn's matrix between two normalisations


def _quaternion_terms() -> np.ndarray:
    """(4, 4, 3, 3): factor of q_a q_b in entry (i, j) of a unit quaternion's rotation."""
    terms = np.zeros((4, 4, 3, 3))
    for i, j in product(range(3), repeat=2):
        if i == j:
            terms[range(4), range(4), i, i] = [1.0 if k in (0, i + 1) else -1.0 for k in range(4)]
        else:
            terms[i + 1, j + 1, i, j] += 1.0
            terms[j + 1, i + 1, i, j] += 1.0
            k, sign = 3 - i - j, 1.0 if (j - i) % 3 == 2 else -1.0
            terms[0, k + 1, i, j] += sign
            terms[k + 1, 0, i, j] += sign
    return terms


class HeadPose(nn.Module):
    """The similarity of least squared error from the mean face's landmarks to those of images: that of
    `nasface.faces.procrustes.similarity_between`, by Horn's quaternion (Horn 1987, "Closed-form solution of absolute
    orientation using unit quaternions"), whose eigenvector squarings of its matrix find. Without depth the affine map
    of least squared error.

    Args:
        model: (68, 3) landmarks of the mean face in model coordinates.
    """

    centred: Tensor
    middle: Tensor
    terms: Tensor
    inverse: Tensor

    def __init__(self, model: np.ndarray) -> None:
        super().__init__()
        model = np.asarray(model, dtype=np.float64) * [1.0, -1.0, 1.0]  # to y down, as pixels
        size = float(np.linalg.norm(model - model.mean(0)))
        known = {
            "centred": (model - model.mean(0)) / size,
            "middle": model.mean(0) / size,
            "terms": _quaternion_terms().reshape(16, 9),
            "inverse": np.linalg.pinv(np.column_stack([model * [1.0, -1.0, 1.0], np.ones(len(model))])).T,
        }
        self.size = size
        for name, value in known.items():
            self.register_buffer(name, torch.from_numpy(value).float(), persistent=False)

    def forward(self, landmarks: Tensor) -> Tensor:
        """Poses (B, 3, 4) (`nasface.faces.camera`: model coordinates to crop pixels) of landmarks (B, 68, 3) in crop
        pixels; (B, 2, 4) of landmarks (B, 68, 2)."""
        if landmarks.shape[2] == 2:
            return landmarks.mT @ self.inverse
        moments = landmarks.mT @ self.centred
        norm = moments.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None]
        # Its eigenvalues are at least -sqrt(3) times that norm.
        horn = (moments.flatten(1) @ self.terms.T).view(-1, 4, 4) / norm + 3**0.5 * torch.eye(4)
        for squarings in _SQUARINGS:
            horn = horn / (horn * torch.eye(4)).sum((1, 2), keepdim=True)
            for _ in range(squarings):
                horn = horn @ horn
        horn = horn / (horn * torch.eye(4)).sum((1, 2), keepdim=True)
        rotation = (horn.flatten(1) @ self.terms).view(-1, 3, 3)
        scaled = rotation * (rotation * moments).sum((1, 2), keepdim=True)
        shift = landmarks.mean(1)[:, :, None] - scaled @ self.middle[:, None]
        return torch.cat([scaled * torch.tensor([1.0, -1.0, 1.0]) / self.size, shift], 2)
