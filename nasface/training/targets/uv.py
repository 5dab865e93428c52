"""UV position maps: the target, its loss, and the task that trains a network to regress it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from nasface.data.face_set import FaceSet
from nasface.training.face_task import FaceTask, TaskContext
from nasface.training.prediction import FacePrediction
from nasface.training.uv_target import UVTarget


def uv_loss(prediction: Tensor, target: Tensor, weight: Tensor, kind: str) -> Tensor:
    """PRNet's region-weighted loss between position maps (..., 3, M, M), averaged over maps.

    Args:
        weight: (M, M), the regions' weights.
        kind: `l1`, `l2` (squared error, as PRNet) or `distance` (Euclidean distance of the points, what the NME
            averages).

    Source: PRNet (Feng et al., ECCV 2018), section 3.3.
    """
    difference = prediction.float() - target
    if kind == "l1":
        error = difference.abs().mean(-3)
    elif kind == "l2":
        error = difference.square().mean(-3)
    else:
        error = (difference.square().sum(-3) + 1e-8).sqrt()
    return (error * weight).mean() / weight.mean()


def mean_map(uv: UVTarget, faces: FaceSet, seed: int, count: int = 2000) -> Tensor:
    """Mean target (3, M, M) in head units of at most `count` faces, mirrored ones included."""
    if faces.coefficients is None or faces.pose is None:
        raise ValueError(f"{faces.name} has no model parameters")
    chosen = np.random.default_rng([seed, 1]).permutation(len(faces))[:count]
    total = torch.zeros(3, uv.map_size, uv.map_size, dtype=torch.float64)
    for part in np.array_split(chosen, max(1, len(chosen) // 100)):
        coefficients = torch.from_numpy(np.ascontiguousarray(faces.coefficients[part]))
        pose = torch.from_numpy(np.ascontiguousarray(faces.pose[part]))
        for mirrored in (False, True):
            total += uv.to_units(uv.maps(coefficients, pose, torch.full((len(part),), mirrored))).sum(0)
    return (total / (2 * len(chosen))).float()


class UVTask(FaceTask):
    """Trains and evaluates one network that maps images (B, 3, S, S) to UV maps (B, 3, M, M) in head units."""

    def __init__(self, network: nn.Module, context: TaskContext) -> None:
        super().__init__(network, context)
        self.kind, self.seed = context.experiment.retrain.loss, context.experiment.seed

    def learn_statistics(self, faces: FaceSet) -> None:
        self.network.set_mean_map(mean_map(self.uv, faces, self.seed))

    def forward(self, image: Tensor) -> FacePrediction:
        return self.uv.read(self.network(image))

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        maps = self.network.trained_maps(batch["image"])
        return {"loss": uv_loss(torch.stack(maps), self.uv.target_units(batch), self.uv.weight, self.kind)}
