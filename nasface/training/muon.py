"""Muon: momentum whose update of every weight matrix is orthogonalised, and AdamW for what is no matrix.

An orthogonalised update moves a layer as far in the directions that gradients rarely have as in those that they mostly
have. Networks of few connections learn sooner with it: docs/search.md has figures.

Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024
(https://kellerjordan.github.io/posts/muon). `torch.optim.Muon` has the same update, but takes plain matrices only, one
by one and in 16 bits, and leaves everything else to a second optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.adamw import adamw

MATRIX_STEP = 5.0
"""Spectral norm of a matrix's step, in units of the learning rate."""
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic; those of the source
_ITERATIONS = 5
_BETAS, _EPS = (0.9, 0.99), 1e-8


class Muon(Optimizer):
    """Muon for the weights of convolutions, AdamW for the others: norms, biases and linear layers.

    The weights of a convolution are the matrix (outputs, inputs of a place). Matrices of one shape are orthogonalised
    together.

    Args:
        parameters: of a network.
        lr: AdamW's learning rate; a matrix moves by a multiple of it, `MATRIX_STEP`, times the root of rows over
            columns where it has more rows.
        weight_decay: decoupled from the gradient.
        momentum: of the matrices' update (Nesterov's).
        capturable: whether a step may be part of a CUDA graph.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 5e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        capturable: bool = False,
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "capturable": capturable}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            trained = [parameter for parameter in group["params"] if parameter.grad is not None]
            self._step_matrices([parameter for parameter in trained if parameter.ndim > 2], group)
            self._step_others([parameter for parameter in trained if parameter.ndim <= 2], group)
        return loss

    def _step_matrices(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        by_shape: dict[tuple[int, int], list[Tensor]] = {}
        for parameter in parameters:
            by_shape.setdefault((len(parameter), parameter[0].numel()), []).append(parameter)
        for (rows, columns), alike in by_shape.items():
            updates = orthogonalised(torch.stack([self._momentum(parameter, group) for parameter in alike]))
            updates = updates * (group["lr"] * MATRIX_STEP * max(1.0, rows / columns) ** 0.5)
            for parameter, update in zip(alike, updates, strict=True):
                if group["weight_decay"]:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.sub_(update.view(parameter.shape))

    def _momentum(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        """The gradient of the coming step, as a matrix."""
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None  # `step` leaves out parameters without
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        mean = state["momentum"].lerp_(gradient, 1 - group["momentum"])
        return gradient.lerp(mean, group["momentum"]).flatten(1)

    def _step_others(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        if not parameters:
            return
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros((), device=parameter.device)
                state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            parameters,
            [parameter.grad for parameter in parameters if parameter.grad is not None],
            [state["mean"] for state in states],
            [state["square"] for state in states],
            [],
            [state["step"] for state in states],
            fused=parameters[0].device.type in ("cpu", "cuda"),
            capturable=group["capturable"],
            amsgrad=False,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=_EPS,
            maximize=False,
        )


def orthogonalised(matrices: Tensor) -> Tensor:
    """Matrices (N, R, C) with about the same singular vectors and all singular values near 1 (0.7 to 1.2), by a
    Newton-Schulz iteration: products of matrices alone."""
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    x = wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide is matrices else x.mT
