"""UV position maps: the target, its loss, and the task that trains a network to regress it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nasface.config import AugmentConfig, RetrainConfig, SupernetConfig
from nasface.data.augment import augment
from nasface.data.face_set import FaceSet
from nasface.nets.uv_output import UVOutput
from nasface.training.cuda_graph import graphed_output
from nasface.training.face_task import FaceTask, TaskContext
from nasface.training.prediction import FacePrediction
from nasface.training.uv_target import UVTarget


def uv_loss(prediction: Tensor, target: Tensor, weight: Tensor, kind: str) -> Tensor:
    """PRNet's loss between position maps (..., 3, M, M), averaged over maps, with the regions' weights (M, M): `l1`,
    `l2` (squared error, as PRNet) or `distance` (Euclidean distance of the points, what the NME averages).

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


def landmark_loss(prediction: Tensor, target: Tensor, uv: UVTarget) -> Tensor:
    """What the NME measures, as a fraction: the mean distance, in the image plane, of the 68 landmarks of maps
    (..., B, 3, M, M) to those of the true ones (B, 3, M, M), over sqrt(w h) of the true ones' box."""
    true = uv.landmarks(target)[..., :2]
    difference = uv.landmarks(prediction)[..., :2] - true
    distance = (difference.square().sum(-1) + 1e-8).sqrt().mean(-1)
    return (distance / (true.amax(-2) - true.amin(-2)).prod(-1).sqrt()).mean()


def output_loss(
    network: Any, output: UVOutput, target: Tensor, uv: UVTarget, config: RetrainConfig | SupernetConfig
) -> dict[str, Tensor]:
    """The loss of an output of the `network`, in training, of one network or of several children: of its maps to the
    true ones (B, 3, M, M) in the networks' units with the regions' weights, plus that of its heatmaps where it has
    some, and that of its landmarks where the settings give it a weight."""
    parts = {"maps": uv_loss(output.maps, target, uv.weight, config.loss)}
    loss = parts["maps"]
    if output.heatmaps is not None and config.heatmaps:
        parts["heatmaps"] = network.heatmap_loss(output.heatmaps, target)
        loss = loss + config.heatmaps * parts["heatmaps"]
    if config.landmarks:
        parts["landmarks"] = landmark_loss(output.maps, target, uv)
        loss = loss + config.landmarks * parts["landmarks"]
    return {"loss": loss, **parts} if len(parts) > 1 else {"loss": loss}


class FaceMaps:
    """The true maps of a training set (`nasface.nets.uv_output.TrainingMaps`) whose faces have pose and coefficients;
    `sample` has the moves of the training's augmentation, and `seed` is of the choice of faces."""

    def __init__(self, uv: UVTarget, faces: FaceSet, augmentation: AugmentConfig, seed: int) -> None:
        if faces.coefficients is None or faces.pose is None:
            raise ValueError(f"{faces.name} has no model parameters")
        self.uv, self.faces, self.augmentation, self.seed = uv, faces, augmentation, seed
        self.landmark_uv = uv.landmark_uv

    @cached_property
    def mean(self) -> Tensor:
        """Their mean (3, M, M) in the networks' units, over at most 2000 faces, mirrored ones included."""
        uv, faces = self.uv, self.faces
        chosen = np.random.default_rng([self.seed, 1]).permutation(len(faces))[:2000]
        total = torch.zeros(3, uv.map_size, uv.map_size, dtype=torch.float64)
        for part in np.array_split(chosen, max(1, len(chosen) // 100)):
            coefficients, pose = self._labels(part)
            for mirrored in (False, True):
                total += uv.to_units(uv.maps(coefficients, pose, torch.full((len(part),), mirrored))).sum(0)
        return (total / (2 * len(chosen))).float()

    @cached_property
    def sample(self) -> Tensor:
        """Maps (N, 3, M, M) in the networks' units of at most 500 faces, moved as augmentation moves them, and their
        mirror images."""
        chosen = np.random.default_rng([self.seed, 2]).permutation(len(self.faces))[:500]
        coefficients, pose = self._labels(chosen)
        still = torch.zeros(len(chosen), 3, self.uv.image_size, self.uv.image_size)
        _, pose, _ = augment(still, pose, self.augmentation, self.seed)
        both = [self.uv.maps(coefficients, pose, torch.full((len(chosen),), mirrored)) for mirrored in (False, True)]
        return self.uv.to_units(torch.cat(both))

    def _labels(self, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
        faces = self.faces
        assert faces.coefficients is not None and faces.pose is not None  # as the constructor asks
        coefficients, pose = (np.ascontiguousarray(array[chosen]) for array in (faces.coefficients, faces.pose))
        return torch.from_numpy(coefficients), torch.from_numpy(pose)


class UVTask(FaceTask):
    """Trains and evaluates one network that maps images (B, 3, S, S) to UV maps (B, 3, M, M) in head units."""

    network: Any

    def __init__(self, network: nn.Module, context: TaskContext) -> None:
        super().__init__(network, context)
        self.config, self.seed = context.experiment.retrain, context.experiment.seed
        self.graphs = context.experiment.device.graphs
        self._graphed: Callable[[Tensor], UVOutput] | None = None

    def learn_statistics(self, faces: FaceSet) -> None:
        self.network.learn(FaceMaps(self.uv, faces, self.config.augmentation, self.seed))

    def forward(self, image: Tensor) -> FacePrediction:
        return self.uv.read(self.network(image))

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        output = self._output(batch["image"])
        return output_loss(self.network, output, self.uv.target_units(batch), self.uv, self.config)

    def _output(self, image: Tensor) -> UVOutput:
        # The next replay of a graph overwrites the gradients that the last one left, before they could be added.
        if not (self.graphs and image.is_cuda) or self.config.accumulate > 1 or torch.is_autocast_enabled():
            return self.network.output(image)
        if self._graphed is None:
            self._graphed = graphed_output(self.network, image)
        return self._graphed(image)
