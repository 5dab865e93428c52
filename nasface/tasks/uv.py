"""UV position maps: the target, its loss, and the LightningModule that trains a network to regress it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from jsonargparse.typing import ClosedUnitInterval, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from nasface.errors import UserError
from nasface.faces.uv import UVBasis
from nasface.metrics.aflw2000 import binned_nme
from nasface.tasks.prediction import FacePrediction


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam and its schedule.

    Attributes:
        lr: learning rate.
        schedule: `constant`, or `cosine` down to zero after a short warm-up.
        warmup: share of the steps over which a cosine schedule rises.
        weight_decay: decoupled (AdamW).
        clip: largest gradient norm; 0 switches clipping off.
    """

    lr: PositiveFloat = 1e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup: ClosedUnitInterval = 0.05
    weight_decay: NonNegativeFloat = 0.0
    clip: NonNegativeFloat = 1.0


class UVTarget(nn.Module):
    """Makes UV position maps from model parameters and reads landmarks from maps; crop pixels of an S x S image in
    and out.

    Args:
        basis: the morphable model on the map's grid.
        image_size: S.
    """

    def __init__(self, basis: UVBasis, image_size: int) -> None:
        super().__init__()
        self.image_size, self.map_size = image_size, basis.mean.shape[-1]
        self.register_buffer("mean", torch.from_numpy(basis.mean.reshape(1, 3, -1).copy()), persistent=False)
        modes = basis.basis.shape[-1]
        self.register_buffer("modes", torch.from_numpy(basis.basis.reshape(-1, modes).T.copy()), persistent=False)
        self.register_buffer("weight", torch.from_numpy(basis.weight.copy()), persistent=False)
        self.register_buffer(
            "reading", torch.from_numpy(reading_matrix(basis.landmark_uv, self.map_size)), persistent=False
        )

    def maps(self, coefficients: Tensor, pose: Tensor, flipped: Tensor) -> Tensor:
        """Position maps (B, 3, M, M) of coefficients (B, K) under pose (B, 3, 4), mirrored where flipped (B,)."""
        # Raw coefficients of the Basel model reach 1e6: never in half precision.
        with torch.autocast(pose.device.type, enabled=False):
            shape = (coefficients @ self.modes).view(len(coefficients), 3, -1) + self.mean
            maps = (pose[:, :, :3] @ shape + pose[:, :, 3:]).view(len(coefficients), 3, self.map_size, self.map_size)
        mirrored = maps.flip(-1)
        mirrored = torch.cat((self.image_size - 1 - mirrored[:, :1], mirrored[:, 1:]), 1)
        return torch.where(flipped[:, None, None, None], mirrored, maps)

    def landmarks(self, maps: Tensor) -> Tensor:
        """The 68 landmarks (..., 68, 3), read from maps (..., 3, M, M) at their sub-pixel UV positions."""
        with torch.autocast(maps.device.type, enabled=False):
            return (maps.flatten(-2).float() @ self.reading).transpose(-1, -2)

    def to_units(self, maps: Tensor) -> Tensor:
        """Crop pixels to units of half the image's side about its centre (depth: about zero)."""
        return torch.cat((maps[..., :2, :, :] - (self.image_size - 1) / 2, maps[..., 2:, :, :]), -3) * (
            2 / self.image_size
        )

    def to_pixels(self, maps: Tensor) -> Tensor:
        """The inverse of `to_units`."""
        maps = maps * (self.image_size / 2)
        return torch.cat((maps[..., :2, :, :] + (self.image_size - 1) / 2, maps[..., 2:, :, :]), -3)


def reading_matrix(uv: np.ndarray, map_size: int) -> np.ndarray:
    """Bilinear reading of a map at positions uv (P, 2) in [0, 1] as one matrix (map_size^2, P), float32."""
    position = np.clip(np.asarray(uv, dtype=np.float64), 0, 1) * (map_size - 1)
    base = np.minimum(position.astype(int), map_size - 2)
    fraction = position - base
    matrix = np.zeros((map_size * map_size, len(position)), dtype=np.float32)
    points = np.arange(len(position))
    for right in (0, 1):
        for below in (0, 1):
            share = np.abs(1 - right - fraction[:, 0]) * np.abs(1 - below - fraction[:, 1])
            matrix[(base[:, 1] + below) * map_size + base[:, 0] + right, points] += share
    return matrix


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


class UVModule(pl.LightningModule):
    """What supernet training and single-network training share: target, loss, optimizer, evaluation in the field's
    terms.

    Args:
        uv: the target.
        loss: kind of `uv_loss`.
        optimizer: Adam's settings.
        total_steps: optimizer steps of the whole training, for the schedule.
    """

    def __init__(self, uv: UVTarget, loss: str, optimizer: OptimizerConfig, total_steps: int) -> None:
        super().__init__()
        self.uv, self.loss, self.optimizer_config, self.total_steps = uv, loss, optimizer, total_steps
        self._evaluated: list[tuple[Tensor, Tensor]] = []

    def target_units(self, batch: dict[str, Tensor]) -> Tensor:
        with torch.no_grad():
            return self.uv.to_units(self.uv.maps(batch["coefficients"], batch["pose"], batch["flipped"]))

    def checked_loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss, or a UserError where it is not a number."""
        loss = uv_loss(prediction, target, self.uv.weight, self.loss)
        if not torch.isfinite(loss):
            raise UserError(
                f"the training loss became {loss.item()} at step {self.global_step}: lower the learning rate"
                f" (now {self.optimizer_config.lr:g}); the last checkpoint is intact"
            )
        return loss

    def configure_optimizers(self) -> dict[str, Any]:
        config = self.optimizer_config
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        # Lightning refuses to clip the gradients of a fused optimizer under mixed precision.
        fused = "mixed" not in str(self.trainer.precision)
        optimizer = torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay, fused=fused)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(config, self.total_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None
    ) -> None:
        if self.optimizer_config.clip > 0:
            self.clip_gradients(optimizer, gradient_clip_val=self.optimizer_config.clip, gradient_clip_algorithm="norm")


def learning_rate_factor(config: OptimizerConfig, total_steps: int) -> Callable[[int], float]:
    """The schedule as a factor of `lr` at a step; zero at the end of a cosine schedule."""

    def factor(step: int) -> float:
        if config.schedule == "constant":
            return 1.0
        warmup = max(1, round(config.warmup * total_steps))
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + float(np.cos(np.pi * min(1.0, (step - warmup) / max(1, total_steps - warmup)))))

    return factor


class UVTask(UVModule):
    """Trains and evaluates one network that maps images (B, 3, S, S) to UV maps (B, 3, M, M) in head units."""

    def __init__(
        self, network: nn.Module, uv: UVTarget, loss: str, optimizer: OptimizerConfig, total_steps: int
    ) -> None:
        super().__init__(uv, loss, optimizer, total_steps)
        self.network = network

    def forward(self, image: Tensor) -> FacePrediction:
        maps = self.uv.to_pixels(self.network(image).float())
        return FacePrediction(landmarks=self.uv.landmarks(maps), dense=maps)

    def training_step(self, batch: dict[str, Tensor], _index: int) -> Tensor:
        loss = self.checked_loss(self.network(batch["image"]), self.target_units(batch))
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def _evaluate(self, batch: dict[str, Tensor]) -> None:
        predicted = self(batch["image"]).landmarks[..., :2]
        error = (predicted - batch["landmarks"][..., :2]).norm(dim=-1).mean(-1)
        self._evaluated.append((100 * error / batch["box"].prod(-1).sqrt(), batch["yaw"]))

    def validation_step(self, batch: dict[str, Tensor], _index: int) -> None:
        self._evaluate(batch)

    def test_step(self, batch: dict[str, Tensor], _index: int) -> None:
        self._evaluate(batch)

    def on_validation_epoch_end(self) -> None:
        self._log_nme("val")

    def on_test_epoch_end(self) -> None:
        self._log_nme("test")

    def _log_nme(self, stage: str) -> None:
        nme, yaw = (torch.cat(values).float().cpu().numpy() for values in zip(*self._evaluated, strict=True))
        self._evaluated.clear()
        result = binned_nme(nme, yaw)
        for name, value in zip(("0-30", "30-60", "60-90"), result.bins, strict=True):
            self.log(f"{stage}/nme_{name}", float(value))
        self.log(f"{stage}/nme", float(result.mean), prog_bar=True)
        self.log(f"{stage}/nme_all", float(result.all))
