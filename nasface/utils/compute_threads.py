"""The threads that compute: PyTorch's own, and Python threads side by side."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import torch


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Within the block, PyTorch divides an operation among so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def compute_threads(count: int) -> ThreadPoolExecutor:
    """Several Python threads, each of which computes with its share of PyTorch's threads.

    Operations on small tensors gain little from several threads; independent ones on a thread each gain nearly all.
    What belongs to a thread (`torch.inference_mode`, autocast) is to be entered in each.
    """
    share = max(1, torch.get_num_threads() // count)
    return ThreadPoolExecutor(count, initializer=partial(torch.set_num_threads, share))
