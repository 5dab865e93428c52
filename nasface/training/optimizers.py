"""The optimizer of every training, and its learning rate over the steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from nasface.config import OptimizerConfig


def make_optimizer(
    parameters: Iterable[nn.Parameter],
    config: OptimizerConfig,
    factor: Callable[[int], float],
    *,
    precision: str = "32-true",
) -> tuple[AdamW, LambdaLR]:
    """AdamW of the `config` (clipping is the training's own matter) and its schedule, a `factor` of `lr`, to be
    advanced once a step; `precision` is Lightning's name of the training's."""
    # Lightning refuses to clip the gradients of a fused optimizer under mixed precision.
    fused = "mixed" not in precision
    optimizer = AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay, fused=fused)
    return optimizer, LambdaLR(optimizer, factor)


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
