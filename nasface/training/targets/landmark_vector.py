"""Training of the networks that regress the 68 landmarks as one vector of 204 numbers."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from nasface.data.face_set import FaceSet
from nasface.nets.face_vector import VectorNetwork
from nasface.training.face_task import FaceTask, TaskContext
from nasface.training.prediction import FacePrediction
from nasface.utils.errors import UserError


class LandmarkVectorTask(FaceTask):
    """Trains and evaluates one network that maps images (B, 3, S, S) to whitened landmarks (B, 204); a UserError where
    the experiment asks for an objective of morphable model parameters.

    The loss is DHM's Eq. 5, the squared Frobenius norm of the shape's error, divided by the number of points and in
    units of half the image's side. Source: Sun et al., "Deep Evolutionary 3D Diffusion Heat Maps".
    """

    needs = "depth"
    network: VectorNetwork

    def __init__(self, network: VectorNetwork, context: TaskContext) -> None:
        super().__init__(network, context)
        config = context.experiment.parameters
        if config.corrections:
            network.set_corrections(config.corrections)
        for name, value in (("objective", config.objective), ("landmarks", config.landmarks)):
            if value not in ("paper", "vdc" if name == "objective" else "none"):
                raise UserError(f"parameters.{name} {value} is for 3DMM parameters; {network.spec.name} has landmarks")

    def learn_statistics(self, faces: FaceSet) -> None:
        self.network.vector.learn(replace(faces, landmarks=self.complete_landmarks(faces)))

    def forward(self, image: Tensor) -> FacePrediction:
        return FacePrediction(landmarks=self.network.vector.landmarks(self.network(image)), dense=None)

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        predicted = self.network.vector.landmarks(self.network(batch["image"]))
        true = self.true_landmarks(batch)
        known = ~true.isnan().any(-1)
        error = (predicted - true.nan_to_num()) * (2 / self.uv.image_size)
        squares = error.square().sum(-1)
        return {"loss": squares.mean() if known.all() else squares[known].mean()}
