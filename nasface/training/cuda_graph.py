"""A network's training pass as CUDA graphs.

The multi-path networks are many small operations: a GPU waits for their launches more than it computes. A graph
launches all of a pass at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nasface.nets.uv_output import UVOutput


class _Output(nn.Module):
    """A network's output as tensors alone, which is what can be captured."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        output = self.network.output(image)
        return (output.maps,) if output.heatmaps is None else (output.maps, output.heatmaps)


def graphed_output(network: nn.Module, example: Tensor) -> Callable[[Tensor], UVOutput]:
    """`network.output` in training mode, forward and backward, as two CUDA graphs.

    Args:
        network: on a GPU, in training mode, and on it to stay.
        example: images (B, 3, S, S); those of later calls have the same shape and memory layout.
    """
    state = {name: buffer.clone() for name, buffer in network.named_buffers()}
    passes: Any = torch.cuda.make_graphed_callables(_Output(network), (example.detach().clone(),))
    with torch.no_grad():
        for name, buffer in network.named_buffers():  # what the passes before a capture have added up
            buffer.copy_(state[name])
    return lambda image: UVOutput(*passes(image))
