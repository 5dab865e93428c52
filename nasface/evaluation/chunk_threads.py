"""Chunks of faces that threads compute side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from itertools import islice
from typing import TypeVar

import torch

from nasface.utils.compute_threads import compute_threads, torch_threads

Item = TypeVar("Item")
Value = TypeVar("Value")


class ChunkThreads:
    """Computes as many chunks side by side as PyTorch has threads.

    Each has one thread, so that no operation is divided: the results are those of one thread, bit for bit.

    Args:
        count: threads, PyTorch's own number; one computes where the caller does.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = compute_threads(count) if count > 1 else None

    def map(
        self, function: Callable[[Item], Value], items: Sequence[Item], first: Callable[[], object] | None = None
    ) -> Iterator[Value]:
        """The function's values in the order of its items; once the caller wants no more, at most `count` - 1 are
        computed in vain.

        Args:
            function: of one item.
            items: a chunk or several each.
            first: is called once, by the caller's thread. With several threads the first `count` - 1 items are begun
                before it: they wait for what they need of it.
        """
        first = first or (lambda: None)
        if self._pool is None:
            first()
            yield from map(function, items)
            return
        waiting, begun = iter(items), deque[Future[Value]]()
        function = torch.inference_mode()(function)
        try:
            begun.extend(self._pool.submit(function, item) for item in islice(waiting, self.count - 1))
            with torch_threads(1):
                first()
            for item in waiting:
                begun.append(self._pool.submit(function, item))
                if len(begun) == self.count:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            wait(begun)
