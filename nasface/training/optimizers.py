"""The optimizer of every training, and its learning rate over the steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn
from torch.optim import SGD, Adam, AdamW, NAdam, Optimizer, RMSprop
from torch.optim.lr_scheduler import LambdaLR

from nasface.config import OptimizerConfig, RetrainConfig
from nasface.nets.network import NetworkSpec
from nasface.training.muon import Muon
from nasface.utils.errors import UserError

_FUSED: dict[str, type[Optimizer]] = {"adamw": AdamW, "adam": Adam, "sgd": SGD}
_KINDS: dict[str, type[Optimizer]] = {**_FUSED, "muon": Muon, "nadam": NAdam, "rmsprop": RMSprop}


def make_optimizer(
    parameters: Iterable[nn.Parameter],
    config: OptimizerConfig,
    factor: Callable[[int], float],
    *,
    precision: str = "32-true",
) -> tuple[Optimizer, LambdaLR]:
    """The optimizer of the `config` (clipping is the training's own matter) and its schedule, a `factor` of `lr`, to be
    advanced once a step; `precision` is Lightning's name of the training's.

    Raises:
        UserError: the config has no learning rate.
    """
    if config.lr is None:  # `with_optimizer_of` fills in the network's
        raise UserError("optimizer.lr is empty: give a learning rate")
    if config.kind is None:
        raise UserError("optimizer.kind is empty: name an optimizer")
    settings: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.kind in _FUSED:  # Lightning refuses to clip the gradients of a fused optimizer under mixed precision.
        settings["fused"] = "mixed" not in precision
    if config.kind == "sgd":
        settings["momentum"] = config.momentum
    optimizer = _KINDS[config.kind](parameters, **settings)
    return optimizer, LambdaLR(optimizer, factor)


def learning_rate_factor(config: OptimizerConfig, total_steps: int) -> Callable[[int], float]:
    """The schedule as a factor of `lr` at a step; zero at the end of a cosine schedule."""
    if config.schedule == "steps" and not config.milestones:
        raise UserError("optimizer.schedule steps has no optimizer.milestones: give the steps at which lr falls")
    if config.warmup is None:
        raise UserError("optimizer.warmup is empty: give a share of the steps")
    warmup = max(1, round(config.warmup * total_steps))

    def factor(step: int) -> float:
        if config.schedule == "constant":
            return 1.0
        if config.schedule == "steps":
            return config.factor ** sum(step >= milestone for milestone in config.milestones)
        if config.schedule == "exponential":
            return config.factor ** (step // config.every)
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + float(np.cos(np.pi * min(1.0, (step - warmup) / max(1, total_steps - warmup)))))

    return factor


def with_optimizer_of(network: NetworkSpec | type[NetworkSpec], config: RetrainConfig) -> RetrainConfig:
    """A training that has an optimizer, a learning rate and a warm-up: those of its settings, or else its network's."""
    optimizer = config.optimizer
    own = {"lr": network.learning_rate, "kind": network.optimizer, "warmup": network.warmup}
    empty: dict[str, Any] = {name: value for name, value in own.items() if getattr(optimizer, name) is None}
    return replace(config, optimizer=replace(optimizer, **empty))


def in_steps(config: RetrainConfig, faces: int, processes: int = 1) -> RetrainConfig:
    """A training that is counted in epochs of so many faces, counted in steps; itself where it is so already.

    Args:
        config: the training.
        faces: training faces.
        processes: that have a batch each in every step.
    """
    if config.epochs is None:
        return config
    per_epoch = faces / (config.batch_size * config.accumulate * processes)
    milestones = [float(round(milestone * per_epoch)) for milestone in config.optimizer.milestones]
    steps = max(1, round(config.epochs * per_epoch))
    return replace(config, steps=steps, epochs=None, optimizer=replace(config.optimizer, milestones=milestones))


def of_steps(config: RetrainConfig, steps: int, faces: int) -> RetrainConfig:
    """A training of another number of steps, whose learning rate falls at the same shares of them."""
    whole = in_steps(config, faces)
    share = steps / whole.steps
    milestones = [milestone * share for milestone in whole.optimizer.milestones]
    every = max(1, round(whole.optimizer.every * share))
    return replace(whole, steps=steps, optimizer=replace(whole.optimizer, milestones=milestones, every=every))
