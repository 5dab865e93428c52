"""Python threads that compute chunks of faces side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

import torch
from torch import Tensor


class ChunkThreads:
    """Computes chunks side by side, with one of PyTorch's threads each.

    Operations on a chunk are too small for several threads: two cores that share each of them gain a quarter, two
    chunks side by side nearly all. Since no operation is divided, the results are those of one thread, bit for bit.

    Args:
        count: threads; one computes where the caller does.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, initializer=partial(torch.set_num_threads, 1)) if count > 1 else None

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
