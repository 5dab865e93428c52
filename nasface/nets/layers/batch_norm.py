"""Batch norm with the ReLU behind it, of one network and of several children."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasface.nets.layers.batch_norm_cpu import BatchNorm, Running
from nasface.utils.thread_team import has_team

_FEWEST = 2**15
"""Values from which on the compiled loops are faster than PyTorch's: below, what a call of theirs takes outweighs."""


def batch_norm(norm: nn.BatchNorm2d, x: Tensor, relu: bool = False) -> Tensor:
    """`norm(x)` of maps (B, C, H, W), and where `relu` the ReLU of it: in training on a CPU by compiled loops
    (`batch_norm_cpu`) where they are faster. The results differ by rounding."""
    if has_loops(norm, x):
        return _apply(norm, x, relu, Running.of(norm))
    x = norm(x)
    return F.relu(x, inplace=True) if relu else x  # in place: less memory passes through the caches


class Layers(nn.Sequential):
    """Modules in a row; a batch norm takes the ReLU behind it (`batch_norm`)."""

    def forward(self, x: Tensor) -> Tensor:
        norm: nn.BatchNorm2d | None = None  # whose turn is when it is known what follows
        for module in self:
            if norm is not None:
                relu = type(module) is nn.ReLU
                x, norm = batch_norm(norm, x, relu), None
                if relu:
                    continue
            if type(module) is nn.BatchNorm2d:
                norm = module
            else:
                x = module(x)
        return x if norm is None else batch_norm(norm, x)


def each_normalised(norm: nn.BatchNorm2d, features: Sequence[Tensor], relu: bool = False) -> list[Tensor]:
    """Batch norm of several children's features (B, C, H, W), each with its own batch's statistics, and where `relu`
    the ReLU of it; running statistics are neither used nor changed."""
    return [_normalised(norm, x, relu) for x in features]


def _normalised(norm: nn.BatchNorm2d, x: Tensor, relu: bool) -> Tensor:
    if _compiled(norm, x):
        return _apply(norm, x, relu, None)
    x = F.batch_norm(x, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)
    return F.relu(x, inplace=True) if relu else x


def _apply(norm: nn.BatchNorm2d, x: Tensor, relu: bool, running: Running | None) -> Tensor:
    found = BatchNorm.apply(x, norm.weight, norm.bias, norm.eps, relu, running)
    assert isinstance(found, Tensor)
    return found


def has_loops(norm: nn.BatchNorm2d, x: Tensor) -> bool:
    """Whether `batch_norm` of these maps is compiled loops'."""
    return bool(norm.training and norm.momentum and norm.track_running_stats) and _compiled(norm, x)


def _compiled(norm: nn.BatchNorm2d, x: Tensor) -> bool:
    """Whether the compiled loops take these maps. A subclass of Tensor, and one on `meta`, stands for values that are
    not there; a single value has no statistics, which PyTorch says."""
    return (
        norm.affine
        and type(x) is Tensor
        and x.device.type == "cpu"
        and x.dtype == norm.weight.dtype == torch.float32
        and x.is_contiguous(memory_format=torch.channels_last)
        and x.numel() > max(x.shape[1], _FEWEST - 1)
        and not torch.compiler.is_compiling()
        and (torch.get_num_threads() == 1 or has_team())
    )
