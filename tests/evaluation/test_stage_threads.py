"""Stages that threads prepare, and chunks that follow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from nasface.evaluation.stage_threads import Stage, StageThreads

COUNTS = pytest.mark.parametrize("count", [1, 2, 5])


class Sums:
    """Chunks that sum up what the stages so far have prepared; what was done when is in `log`."""

    def __init__(self, sizes: list[int], chunks: int) -> None:
        self.prepared: list[list[int]] = [[] for _ in sizes]
        self.ended = [False] * len(sizes)
        self.values = [0] * chunks
        self.log: list[tuple[int, int]] = []
        self.stages = [
            Stage([partial(self.prepare, at, n) for n in range(size)], partial(self.end, at))
            for at, size in enumerate(sizes)
        ]

    def prepare(self, stage: int, number: int) -> None:
        assert all(self.ended[:stage]) and not self.ended[stage], "a stage needs those before"
        time.sleep(0.001 * (number % 2))
        self.prepared[stage].append(number)

    def end(self, stage: int) -> None:
        assert not self.ended[stage]
        assert sorted(self.prepared[stage]) == list(range(len(self.stages[stage].tasks)))
        self.ended[stage] = True

    def follow(self, stage: int, chunk: int) -> Tensor | None:
        assert self.ended[stage], "no chunk passes a stage that is not ready"
        self.log.append((stage, chunk))
        self.values[chunk] = 10 * self.values[chunk] + len(self.prepared[stage])
        return torch.tensor(self.values[chunk]) if stage == len(self.stages) - 1 else None


@COUNTS
@pytest.mark.parametrize("sizes", [[1], [3, 0, 2, 1], [0, 0], [9, 9, 9]])
def test_every_chunk_passes_every_stage_in_order(count: int, sizes: list[int]) -> None:
    threads = StageThreads(count)
    for _ in range(20):
        sums = Sums(sizes, 7)
        values = [int(value) for value in threads.run(sums.stages, sums.follow, 7)]
        assert values == [int("".join(map(str, sizes)))] * 7
        assert len(sums.log) == 7 * len(sizes)
        for chunk in range(7):
            assert [stage for stage, of in sums.log if of == chunk] == list(range(len(sizes)))


@COUNTS
def test_values_come_in_the_order_of_the_chunks(count: int) -> None:
    def late(_: int, chunk: int) -> Tensor:
        time.sleep(0.002 * (5 - chunk))
        return torch.tensor(chunk)

    assert [int(value) for value in StageThreads(count).run([Stage([])], late, 6)] == list(range(6))


@COUNTS
def test_a_closed_run_ends_its_threads(count: int) -> None:
    begun: list[int] = []
    closed = threading.Event()

    def double(_: int, chunk: int) -> Tensor:
        begun.append(chunk)
        if chunk > 1:
            assert closed.wait(30)  # no thread gets through another before the caller closes
        return torch.tensor(2 * chunk)

    threads = StageThreads(count)
    values = threads.run([Stage([])], double, 40)
    assert [int(next(values)), int(next(values))] == [0, 2]
    threading.Timer(0.5, closed.set).start()  # close() waits for what has begun
    values.close()
    there = len(begun)
    assert sorted(begun) == list(range(there)) and there <= 2 + count, "what had begun, and no more"
    time.sleep(0.05)
    assert len(begun) == there, "a thread was still at work"
    assert [int(value) for value in threads.run([Stage([])], double, 3)] == [0, 2, 4], "the threads are free again"


def test_threads_work_at_the_same_time_and_without_gradients() -> None:
    both = threading.Barrier(2, timeout=30)
    weight = torch.ones(1, requires_grad=True)

    def meet(_: int, chunk: int) -> Tensor:
        both.wait()
        return chunk * weight

    tasks: list[Callable[[], object]] = [both.wait, both.wait]
    values = list(StageThreads(2).run([Stage(tasks)], meet, 4))
    assert [value.requires_grad for value in values] == [False] * 4


def test_a_chunk_follows_while_a_later_stage_is_prepared() -> None:
    passed = threading.Event()

    def follow(stage: int, _: int) -> Tensor | None:
        passed.set()
        return torch.tensor(1) if stage else None

    def wait() -> None:
        assert passed.wait(30)

    assert len(list(StageThreads(2).run([Stage([]), Stage([wait])], follow, 1))) == 1


@COUNTS
@pytest.mark.parametrize("where", ["task", "end", "chunk"])
def test_a_failure_is_the_callers(count: int, where: str) -> None:
    def fail(*_: object) -> None:
        raise ValueError(f"in {where}")

    def follow(_: int, chunk: int) -> Tensor:
        if where == "chunk" and chunk == 1:
            fail()
        return torch.tensor(chunk)

    stage = Stage([fail if where == "task" else list], fail if where == "end" else list)
    threads = StageThreads(count)
    with pytest.raises(ValueError, match=f"in {where}"):
        list(threads.run([stage], follow, 3))
    assert [int(value) for value in threads.run([Stage([])], lambda _, chunk: torch.tensor(chunk), 2)] == [0, 1]
