"""Training of the networks that regress a face's vector: the morphable model's parameters, or the landmarks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nasface.config import ParametersConfig
from nasface.data.face_set import FaceSet
from nasface.nets.face_vector import MatrixVector, VectorNetwork
from nasface.nets.network import full_precision
from nasface.rendering.video import ShortVideos
from nasface.training.face_task import FaceTask, TaskContext
from nasface.training.parameter_mirror import ParameterMirror
from nasface.training.prediction import FacePrediction
from nasface.training.targets.parameter_losses import (
    Face,
    Points,
    fwpdc_weights,
    landmark_cost,
    matched,
    vanilla_joint,
    vdc,
    weighted_cost,
    wpdc_weights,
)
from nasface.utils.errors import UserError


class ParametersTask(FaceTask):
    """Trains and evaluates one network that maps images (B, 3, S, S) to whitened vectors (B, P).

    Losses are in units of half the image's side. Mirrored faces have the parameters of `ParameterMirror`; a training on
    short videos, which are made of faces as they are, mirrors none.

    Args:
        network: the network; its last layer is fitted to the context's morphable model.
        context: what to build on.

    Raises:
        UserError: the objective does not fit the network.
    """

    network: VectorNetwork
    point_mean: Tensor
    point_modes: Tensor
    mode_norms: Tensor

    def __init__(self, network: VectorNetwork, context: TaskContext) -> None:
        super().__init__(network, context)
        config = context.experiment.parameters
        if config.corrections:
            network.set_corrections(config.corrections)
        self.config = config
        self.objective = objective_of(network, config)
        self.landmarks = network.paper_landmarks if config.landmarks == "paper" else config.landmarks
        _check(network, self.objective, self.landmarks)
        if config.video.frames > 1:
            self.videos, self.mirrors = ShortVideos(context.model, config.video), False
        self.levels_depth = False  # whether depth is predicted about its mean, whatever the parameters' origin
        self.mirror: ParameterMirror | None = None  # made when the first mirrored face comes
        self.half_side = context.uv.image_size / 2
        self._fit_model(network)
        # Off the chart a map is extrapolated: no part of the face.
        inside = (self.uv.weight > 0).flatten()
        modes = self.uv.modes.view(len(self.uv.modes), 3, -1)[:, :, inside].flatten(1)
        self.register_buffer("point_mean", self.uv.mean[0][:, inside].clone(), persistent=False)
        self.register_buffer("point_modes", modes.contiguous(), persistent=False)
        self.register_buffer("mode_norms", modes.norm(dim=1), persistent=False)
        branch = self.landmarks == "regression"
        self.landmark_branch = nn.Linear(network.feature_count, 136) if branch else None

    def _fit_model(self, network: VectorNetwork) -> None:
        network.resize(len(self.uv.modes))
        reading = self.uv.reading
        network.vector.set_landmark_model(
            (self.uv.mean[0] @ reading).flatten(), (self.uv.modes.view(-1, 3, len(reading)) @ reading).flatten(1)
        )

    def learn_statistics(self, faces: FaceSet) -> None:
        self.network.vector.learn(faces)

    @property
    def points(self) -> Points:
        """The points of VDC and WPDC: the cells of the UV chart."""
        return Points(self.point_mean, self.point_modes)

    def forward(self, image: Tensor) -> FacePrediction:
        return self.predict(self.network, image)

    def predict(self, network: VectorNetwork, image: Tensor) -> FacePrediction:
        """The faces that a network of this task's kind finds."""
        output = network(image)
        with full_precision(output):
            maps = self._maps(Face(*network.vector.decode(output)))
            if self.levels_depth:
                maps = torch.cat((maps[:, :2], maps[:, 2:] - maps[:, 2:].mean((2, 3), keepdim=True)), 1)
            return FacePrediction(landmarks=self.uv.landmarks(maps), dense=maps)

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.objective == "vdc_from_fwpdc":
            objective = "fwpdc" if self.global_step < self.config.switch * self.total_steps else "vdc"
        else:
            objective = self.objective
        return self.losses(self.network, self.landmark_branch, batch, objective)

    def losses(
        self, network: Any, branch: nn.Module | None, batch: dict[str, Tensor], objective: str
    ) -> dict[str, Tensor]:
        """Loss and parts of it on a batch.

        Args:
            network: of this task's kind.
            branch: its landmark branch, or None.
            batch: of `FaceDataModule`.
            objective: one without a schedule: `vdc`, `wpdc`, `fwpdc` or `vanilla_joint`.
        """
        features: Any = None if branch is None else network.features(batch["image"])
        output = network(batch["image"]) if features is None else network.vector_of(features)
        with full_precision(output):
            true = self.true_face(batch)
            predicted = self.face(network, output, true)
            minimised = torch.is_grad_enabled() and objective in ("vdc", "vanilla_joint")
            with torch.set_grad_enabled(minimised):  # 3DDFA_V2's Fig. 3 compares vertex errors, whatever is minimised
                parts = {"vdc": self.vdc(predicted, true).mean()}
            if objective != "vdc":
                parts["wpdc"] = self._wpdc(network, output, predicted, true, literal=objective == "wpdc").mean()
            if objective == "vanilla_joint":
                loss = vanilla_joint(parts["wpdc"], parts["vdc"], self.config.beta)
            else:
                loss = parts["vdc" if objective == "vdc" else "wpdc"]
            if self.landmarks != "none":
                found = self._landmarks(predicted) if branch is None else branch(features.float())
                parts["landmarks"] = self._landmark_cost(found, batch)
                loss = loss + matched(parts["landmarks"], loss)
        return {"loss": loss, **parts}

    def true_face(self, batch: dict[str, Tensor]) -> Face:
        """The faces of a training batch, as they are in its augmented images."""
        pose, coefficients, flipped = batch["pose"], batch["coefficients"], batch["flipped"]
        if flipped.any():
            self.mirror = self.mirror or ParameterMirror(self.uv).to(pose.device)
            pose, coefficients = self.mirror(pose, coefficients, flipped)
        return Face(pose, coefficients)

    def face(self, network: VectorNetwork, output: Tensor, true: Face) -> Face:
        """The face of a network's output; where that has no depth, at the true one's."""
        pose, coefficients = network.vector.decode(output)
        if not network.vector.has_depth:
            pose = torch.cat((pose[:, :, :3], torch.cat((pose[:, :2, 3:], true.pose[:, 2:, 3:]), 1)), 2)
        return Face(pose, coefficients)

    def vdc(self, predicted: Face, true: Face) -> Tensor:
        """VDC of each face (B,)."""
        return vdc(self.points, predicted, true) / self.half_side**2

    def _wpdc(self, network: VectorNetwork, output: Tensor, predicted: Face, true: Face, literal: bool) -> Tensor:
        if literal:
            weights = wpdc_weights(self.points, predicted, true)
        else:
            weights = fwpdc_weights(self.points, self.mode_norms, predicted, true)
        return weighted_cost(weights, output.float(), network.vector.whiten(*true))

    def _landmarks(self, face: Face) -> Tensor:
        """x, then y (B, 136) of a face's landmarks, in the units of the landmark branch."""
        return self._planar(self.uv.landmarks(self._maps(face)))

    def _maps(self, face: Face) -> Tensor:
        """UV maps (B, 3, M, M) in crop pixels of faces that are not mirrored."""
        as_they_are = torch.zeros_like(face.pose[:, 0, 0], dtype=torch.bool)
        return self.uv.maps(face.coefficients, face.pose, as_they_are)

    def _landmark_cost(self, found: Tensor, batch: dict[str, Tensor]) -> Tensor:
        true = self._planar(self.uv.target_landmarks(batch))
        return landmark_cost(found.view(-1, 2, 68), true.view(-1, 2, 68)).mean()

    def _planar(self, landmarks: Tensor) -> Tensor:
        """68 x, then 68 y of value (pixel - S / 2) / (S / 2): what the published branch writes."""
        return ((landmarks[..., :2] - self.half_side) / self.half_side).transpose(1, 2).flatten(1)


def objective_of(network: VectorNetwork, config: ParametersConfig) -> str:
    """The objective that an experiment names for a network."""
    return network.paper_objective if config.objective == "paper" else config.objective


def _check(network: VectorNetwork, objective: str, landmarks: str) -> None:
    name = network.spec.name
    if objective != "vdc" and not isinstance(network.vector, MatrixVector):
        raise UserError(f"parameters.objective {objective} is for a network with a pose matrix: give vdc for {name}")
    if landmarks == "regression" and not network.feature_count:
        raise UserError(f"{name} has no features for parameters.landmarks regression: take none or constraint")
