"""Loss and gradients of a supernet's children on a CPU, a thread a child.

Two cores that share each of the small operations of one routed pass (`Supernet.output`) gain a quarter. Children side
by side, on one core each, gain nearly all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nasface.nets.multipath import Supernet
from nasface.nets.uv_output import UVOutput
from nasface.utils.compute_threads import compute_threads


class ChildrenThreads:
    """Runs the children of a step of a supernet forward and backward, as many side by side as there are threads."""

    def __init__(self, network: Supernet) -> None:
        self.network = network
        stem = set(network.stem.parameters())
        # Listed once: a walk through all modules takes milliseconds.
        self._parameters = [one for one in network.parameters() if one.requires_grad and one not in stem]
        self._pool: Any = None

    def loss(self, image: Tensor, codes: np.ndarray, loss_of: Callable[[UVOutput], Tensor]) -> Tensor:
        """The mean of the children's losses, whose gradients are known already: its backward pass hands them out. They
        are added up in the children's order, whichever is ready first.

        Args:
            image: (B, 3, S, S).
            codes: operations (K, connections) of the children.
            loss_of: the loss of one child's output.
        """
        stem, parameters = self.network.stem(image), self._parameters
        kind = image.device.type
        precision, mixed = torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)

        def of_child(code: np.ndarray) -> tuple[Tensor, Sequence[Tensor | None]]:
            features = stem.detach().requires_grad_()
            with torch.autocast(kind, precision, mixed):  # a thread begins without
                loss = loss_of(self.network.children_output(features, code[None])) / len(codes)
            return loss.detach(), torch.autograd.grad(loss, [features, *parameters], allow_unused=True)

        losses, gradients = zip(*self._map(of_child, codes), strict=True)
        total = torch.stack(losses).sum()
        summed = [_sum(of_one) for of_one in zip(*gradients, strict=True)]
        used = [
            (one, gradient) for one, gradient in zip([stem, *parameters], summed, strict=True) if gradient is not None
        ]
        return _Known.apply(total, [gradient for _, gradient in used], *(one for one, _ in used))

    def _map(self, function: Callable[[np.ndarray], Any], codes: np.ndarray) -> Any:
        count = min(len(codes), torch.get_num_threads())
        if count == 1:
            return map(function, codes)
        self._pool = self._pool or compute_threads(count)
        return self._pool.map(function, codes)


def _sum(gradients: Sequence[Tensor | None]) -> Tensor | None:
    total = None
    for gradient in gradients:
        if gradient is not None:
            total = gradient if total is None else total + gradient
    return total


class _Known(torch.autograd.Function):
    """A loss whose gradients with respect to its inputs are known."""

    @staticmethod
    def forward(context: Any, loss: Tensor, gradients: list[Tensor], *_: Tensor) -> Tensor:
        context.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(context: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        gradients, context.gradients = context.gradients, None  # for the optimizer to take over, without a copy
        factor = float(outer[0])
        return None, None, *(gradients if factor == 1 else [factor * one for one in gradients])
