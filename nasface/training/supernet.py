"""Supernet training: K child networks a step, one optimizer step (MONAS, Algorithm 1)."""

from __future__ import annotations

import torch
from torch import Tensor

from nasface.config import SupernetConfig
from nasface.nets.multipath import Supernet
from nasface.nets.uv_output import UVOutput
from nasface.space.path_samplers import PathSampler
from nasface.training.children import ChildrenThreads
from nasface.training.face_task import FaceModule
from nasface.training.targets.uv import output_loss
from nasface.training.uv_target import UVTarget


class SupernetTask(FaceModule):
    """Trains a supernet on the children that a path sampler draws.

    The children are a function of the sampler's seed and the optimizer step, so every rank, every micro-batch of an
    accumulated step and every resumed run trains the same ones.
    """

    def __init__(self, network: Supernet, sampler: PathSampler, uv: UVTarget, config: SupernetConfig) -> None:
        super().__init__(uv, config.optimizer, config.steps)
        self.network, self.sampler, self.config = network, sampler, config
        self._children = ChildrenThreads(network)

    def training_step(self, batch: dict[str, Tensor], _index: int) -> Tensor:
        codes, image = self.sampler.sample(self.global_step), batch["image"]
        target = self.uv.target_units(batch)

        def loss_of(output: UVOutput) -> Tensor:
            return output_loss(self.network, output, target, self.uv, self.config)["loss"]

        if image.device.type == "cpu" and torch.get_num_threads() > 1:
            loss = self._children.loss(image, codes, loss_of)
        else:
            loss = loss_of(self.network.output(image, codes))
        self.finite(loss)
        self.log_losses({"supernet/loss": loss}, bar="supernet/loss")
        return loss
