"""Chunks that threads compute side by side."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor

from nasface.evaluation.chunk_threads import ChunkThreads


@pytest.mark.parametrize("count", [1, 2, 5])
def test_values_come_in_order_and_few_in_vain(count: int) -> None:
    begun: list[int] = []

    def double(number: int) -> Tensor:
        begun.append(number)
        return torch.tensor(2 * number)

    values = ChunkThreads(count).map(double, range(1, 9))
    assert [int(next(values)), int(next(values))] == [2, 4]
    values.close()
    assert len(begun) < 2 + count and set(begun) == set(range(1, len(begun) + 1))
    assert [int(value) for value in ChunkThreads(count).map(double, range(1, 9))] == list(range(2, 18, 2))


def test_threads_work_at_the_same_time_and_without_gradients() -> None:
    both = threading.Barrier(2, timeout=30)
    weight = torch.ones(1, requires_grad=True)

    def meet(number: int) -> Tensor:
        both.wait()
        return number * weight

    values = list(ChunkThreads(2).map(meet, range(4)))
    assert [value.requires_grad for value in values] == [False] * 4


def test_a_failing_chunk_is_the_callers() -> None:
    def fail(number: int) -> Tensor:
        raise ValueError(f"chunk {number}")

    with pytest.raises(ValueError, match="chunk 0"):
        list(ChunkThreads(2).map(fail, range(3)))
