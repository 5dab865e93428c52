"""Chunks of faces that threads compute side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait

import torch
from torch import Tensor

from nasface.utils.compute_threads import compute_threads


class ChunkThreads:
    """Computes as many chunks side by side as PyTorch has threads.

    Each has one thread, so that no operation is divided: the results are those of one thread, bit for bit.

    Args:
        count: threads, PyTorch's own number; one computes where the caller does.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = compute_threads(count) if count > 1 else None

    def map(self, function: Callable[[int], Tensor], numbers: Sequence[int]) -> Iterator[Tensor]:
        """The function's values in the order of its numbers; once the caller wants no more, at most `count` - 1 are
        computed in vain."""
        if self._pool is None:
            yield from map(function, numbers)
            return
        waiting, begun = iter(numbers), deque[Future[Tensor]]()
        function = torch.inference_mode()(function)
        try:
            for number in waiting:
                begun.append(self._pool.submit(function, number))
                if len(begun) == self.count:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            wait(begun)
