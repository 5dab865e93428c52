"""What all trainings share: the optimizer and its schedule, a loss that must stay a number, evaluation in the field's
terms."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from nasface.config import Experiment, OptimizerConfig
from nasface.data.face_set import FaceSet
from nasface.data.registry import Needs
from nasface.faces.landmarks import complete_landmarks
from nasface.faces.morphable import MorphableModel
from nasface.metrics.aflw2000 import BIN_NAMES, binned_nme
from nasface.metrics.nme_torch import mean_over_box, point_errors
from nasface.metrics.roughness import roughness
from nasface.rendering.video import ShortVideos
from nasface.training.optimizers import learning_rate_factor, make_optimizer
from nasface.training.prediction import FacePrediction
from nasface.training.uv_target import UVTarget
from nasface.utils.errors import UserError

LOG_EVERY = 20
"""Steps from one logged loss to the next."""


class FaceModule(pl.LightningModule):
    """A training of `total_steps` on faces: an optimizer with its schedule, clipping, a check of the loss.
    `uv` makes targets from morphable model parameters and reads landmarks."""

    def __init__(self, uv: UVTarget, optimizer: OptimizerConfig, total_steps: int) -> None:
        super().__init__()
        self.uv, self.optimizer_config, self.total_steps = uv, optimizer, total_steps

    @property
    def steps_done(self) -> int:
        """Training steps made. Lightning's `global_step` counts every optimizer's steps, so that a module with several
        overrides this."""
        return self.global_step

    def finite(self, loss: Tensor) -> Tensor:
        """The loss, or a UserError where it is not a number."""
        if not torch.isfinite(loss):
            raise UserError(
                f"the training loss became {loss.item()} at step {self.steps_done}: lower the learning rate"
                f" (now {self.optimizer_config.lr}); the last checkpoint is intact"
            )
        return loss

    def logs(self, step: int) -> bool:
        """Whether the losses of a step, counted from 1 on, are kept: of every 20th and the last."""
        return step % LOG_EVERY == 0 or step == self.total_steps

    def log_losses(self, losses: dict[str, Tensor], bar: str) -> None:
        """Log the losses of a step that `logs`, and, for the progress bar, of the first; it shows the one named `bar`.
        Logging those of every step would take longer than a hundredth of a small network's step."""
        step = self.steps_done + 1
        if step == 1 or self.logs(step):
            for name, loss in losses.items():
                self.log(name, loss.detach(), prog_bar=name == bar)

    def configure_optimizers(self) -> Any:
        config, precision = self.optimizer_config, str(self.trainer.precision)
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        factor = learning_rate_factor(config, self.total_steps)
        optimizer, scheduler = make_optimizer(parameters, config, factor, precision=precision)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None
    ) -> None:
        if self.optimizer_config.clip > 0:
            self.clip_gradients(optimizer, gradient_clip_val=self.optimizer_config.clip, gradient_clip_algorithm="norm")


@dataclass(frozen=True)
class TaskContext:
    """What a task may build on.

    Attributes:
        uv: targets and landmarks of the experiment's morphable model.
        model: the model itself.
        experiment: settings; `retrain` and the sections of the targets are a task's.
    """

    uv: UVTarget
    model: MorphableModel
    experiment: Experiment


class FaceTask(FaceModule):
    """Trains and evaluates one network, whatever it regresses; each target has one subclass.

    A subclass says how the network's output becomes a `FacePrediction` (`forward`) and what is minimised (`loss`). One
    with several optimizers sets `automatic_optimization = False` and overrides `training_step`.

    Attributes:
        needs: what it asks of the labels of its training faces.
        mirrors: whether its loss understands mirrored faces (`batch["flipped"]`); where not, augmentation does not
            mirror.
        videos: makes short videos of the training faces, for a task that is trained on them.
    """

    needs: ClassVar[Needs] = "model"
    mirrors = True
    videos: ShortVideos | None = None

    def __init__(self, network: nn.Module, context: TaskContext) -> None:
        retrain = context.experiment.retrain
        super().__init__(context.uv, retrain.optimizer, retrain.steps)
        self.network = network
        self._evaluated: list[dict[str, Tensor]] = []

    def learn_statistics(self, faces: FaceSet) -> None:
        """Set, before training, what the network is built around (such as the mean training face): buffers of the
        network, which are saved with its weights. Nothing by default."""

    def true_landmarks(self, batch: dict[str, Tensor]) -> Tensor:
        """The 68 landmarks (B, 68, 3) of a training batch, in crop pixels of its augmented images: the model's, or
        else the set's, NaN where it does not know them."""
        return self.uv.target_landmarks(batch) if "coefficients" in batch else batch["landmarks"]

    def complete_landmarks(self, faces: FaceSet) -> np.ndarray:
        """The landmarks (N, 68, 3) of training faces; those that are not known follow from the mean face."""
        mean = self.uv.landmarks(self.uv.mean.unflatten(2, (self.uv.map_size, self.uv.map_size)))[0]
        return complete_landmarks(np.asarray(faces.landmarks), mean.cpu().numpy())

    @abstractmethod
    def forward(self, image: Tensor) -> FacePrediction:
        """The faces in images (B, 3, S, S), normalised."""

    @abstractmethod
    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What is minimised on a training batch of `FaceDataModule`: `loss` itself, and parts of it under other names
        for the log."""

    def training_step(self, batch: dict[str, Tensor], _index: int) -> Tensor:
        values = self.loss(batch)
        self.log_losses({f"train/{name}": value for name, value in values.items()}, bar="train/loss")
        return self.finite(values["loss"])

    def evaluate(self, batch: dict[str, Tensor]) -> tuple[FacePrediction, dict[str, Tensor]]:
        """The faces of an evaluation batch, and their errors (B,) in percent of sqrt(w * h) of their boxes.

        `nme` is of the landmarks in the image plane. `nme_dense` is of the chart's cells, in the image plane, too;
        where the network has no dense shape, or the batch no model parameters, it is left out. `roughness` is of the
        dense shape that was found. Landmarks that are not annotated (NaN) do not count.
        """
        prediction = self(batch["image"])
        distances = point_errors(prediction.landmarks.float(), batch["landmarks"])
        known = ~batch["landmarks"][..., :2].isnan().any(-1)
        errors = {"nme": mean_over_box(distances, batch["box"], known)}
        if prediction.dense is None:
            return prediction, errors
        errors["roughness"] = roughness(prediction.dense.float(), self.uv.weight > 0, batch["box"])
        if "coefficients" in batch:
            difference = prediction.dense[:, :2].float() - self.uv.target_maps(batch)[:, :2]
            errors["nme_dense"] = mean_over_box(difference.norm(dim=1)[:, self.uv.weight > 0], batch["box"])
        return prediction, errors

    def validation_step(self, batch: dict[str, Tensor], _index: int) -> None:
        self._evaluated.append(self.evaluate(batch)[1] | {"yaw": batch["yaw"]})

    def on_validation_epoch_end(self) -> None:
        for name, value in error_figures(self._evaluated).items():
            self.log(f"val/{name}", value, prog_bar=name == "nme")
        self._evaluated.clear()


def error_figures(batches: Sequence[dict[str, Tensor]]) -> dict[str, float]:
    """A face set's figures (%), of the errors of `FaceTask.evaluate` with the faces' `yaw` (B,) in degrees, under the
    names that logs give them: `nme_0-30`, `nme_30-60` and `nme_60-90` of the yaw bins, their mean `nme` (where no yaw
    is known, that of all faces), `nme_all` over all faces, and the mean over all faces of every other error.
    They are rounded to single precision, in which Lightning logs them."""
    errors = {name: torch.cat([batch[name] for batch in batches]).float() for name in batches[0]}
    result = binned_nme(*(errors.pop(name).cpu().numpy() for name in ("nme", "yaw")))
    figures = {f"nme_{name}": value for name, value in zip(BIN_NAMES, result.bins, strict=True)}
    figures |= {"nme": result.all if math.isnan(result.mean) else result.mean, "nme_all": result.all}
    figures |= {name: values.mean().item() for name, values in errors.items()}
    return {name: float(np.float32(value)) for name, value in figures.items()}
