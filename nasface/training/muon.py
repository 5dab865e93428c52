"""Muon: momentum whose update of every weight matrix is orthogonalised, and AdamW for what is no matrix.

An orthogonalised update moves a layer as far in the directions that gradients rarely have as in those that they mostly
have. Networks of few connections learn sooner with it: docs/search.md has figures.

Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024
(https://kellerjordan.github.io/posts/muon). `torch.optim.Muon` has the same update, but takes plain matrices only, one
by one and in 16 bits, and leaves everything else to a second optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
            self._step_matrices([parameter for parameter in trained if _is_of_convolution(parameter)], group)
            self._step_others([parameter for parameter in trained if not _is_of_convolution(parameter)], group)
        return loss

    def _step_matrices(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        if not parameters:
            return
        by_shape: dict[torch.Size, list[int]] = {}
        for number, parameter in enumerate(parameters):
            by_shape.setdefault(parameter.movedim(1, -1).shape, []).append(number)
        gradients = self._with_momentum(parameters, group)
        # Channels last, as networks train: nothing is copied but into the stack.
        stacks = [torch.stack([gradients[n].movedim(1, -1) for n in alike]).flatten(2) for alike in by_shape.values()]
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        for (shape, alike), update in zip(by_shape.items(), orthogonalised(stacks), strict=True):
            rows, columns = update.shape[1:]
            update.mul_(group["lr"] * MATRIX_STEP * max(1.0, rows / columns) ** 0.5)
            steps = update.unflatten(2, shape[1:]).movedim(-1, 2).unbind()
            torch._foreach_sub_([parameters[number] for number in alike], steps)

    def _with_momentum(self, parameters: list[Tensor], group: dict[str, Any]) -> tuple[Tensor, ...]:
        """The gradients of the coming step."""
        for parameter in parameters:
            if "momentum" not in self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        means = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(means, gradients, 1 - group["momentum"])
        return torch._foreach_lerp(gradients, means, group["momentum"])

    def _step_others(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        if not parameters:
            return
        for parameter in parameters:
            state = self.state[parameter]
            if "step" not in state:
                state["step"] = torch.zeros((), device=parameter.device)
                state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
            # Torch and Lightning leave what is called `step` on the CPU when a checkpoint is loaded.
            if state["step"].device != parameter.device:
                state["step"] = state["step"].to(parameter.device)
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


def _is_of_convolution(parameter: Tensor) -> bool:
    """Whether it is of a convolution, and not a bias of every cell (1, C, H, W)."""
    return parameter.ndim > 2 and len(parameter) > 1


def orthogonalised(stacks: Sequence[Tensor]) -> list[Tensor]:
    """Matrices (N, R, C), a stack for each shape, with about the same singular vectors and all singular values near 1
    (0.7 to 1.2).

    The Newton-Schulz iteration of the source multiplies a matrix by polynomials of its Gram matrix, which commute: so
    the iteration is done on the small Gram matrices, those of all shapes with as many rows together, and the matrices
    are multiplied once by the product of all polynomials.
    """
    wide = [stack if stack.shape[1] <= stack.shape[2] else stack.mT for stack in stacks]
    grams = [stack @ stack.mT for stack in wide]
    by_rows: dict[int, list[int]] = {}
    for number, gram in enumerate(grams):
        by_rows.setdefault(gram.shape[1], []).append(number)
    found: list[Tensor] = [*stacks]
    for alike in by_rows.values():
        factors = _inverse_root(torch.cat([grams[number] for number in alike]))
        for number, factor in zip(alike, factors.split([len(grams[number]) for number in alike]), strict=True):
            result = factor @ wide[number]
            found[number] = result if wide[number] is stacks[number] else result.mT
    return found


def _inverse_root(grams: Tensor) -> Tensor:
    """What a matrix whose Gram matrix is one of these (N, R, R) is multiplied by to be orthogonalised."""
    norm = grams.diagonal(dim1=1, dim2=2).sum(1).sqrt()[:, None, None] + 1e-7
    gram = grams / norm.square()
    a, b, c = _COEFFICIENTS
    product: Tensor | None = None
    for iteration in range(_ITERATIONS):
        rest = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)  # the polynomial without its constant
        if product is None:
            product = rest.clone()
            product.diagonal(dim1=1, dim2=2).add_(a)
        else:
            product = torch.baddbmm(product, rest, product, beta=a)
        if iteration < _ITERATIONS - 1:
            half = torch.baddbmm(gram, rest, gram, beta=a)
            gram = torch.baddbmm(half, half, rest, beta=a)
    assert product is not None
    return product / norm
