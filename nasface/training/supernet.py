"""Supernet training: K child networks a step, one optimizer step (MONAS, Algorithm 1)."""

from __future__ import annotations

from torch import Tensor

from nasface.config import OptimizerConfig
from nasface.nets.multipath import Supernet
from nasface.space.path_samplers import PathSampler
from nasface.training.face_task import FaceModule
from nasface.training.targets.uv import uv_loss
from nasface.training.uv_target import UVTarget


class SupernetTask(FaceModule):
    """Trains a supernet on the children that a path sampler draws.

    The children are a function of the sampler's seed and the optimizer step, so every rank, every micro-batch of an
    accumulated step and every resumed run trains the same ones.
    """

    def __init__(
        self,
        network: Supernet,
        sampler: PathSampler,
        uv: UVTarget,
        loss: str,
        optimizer: OptimizerConfig,
        total_steps: int,
    ) -> None:
        super().__init__(uv, optimizer, total_steps)
        self.network, self.sampler, self.kind = network, sampler, loss

    def training_step(self, batch: dict[str, Tensor], _index: int) -> Tensor:
        codes = self.sampler.sample(self.global_step)
        maps = self.network(batch["image"], codes)
        loss = self.finite(uv_loss(maps, self.uv.target_units(batch), self.uv.weight, self.kind))
        self.log("supernet/loss", loss, prog_bar=True)
        return loss
