"""Stages of a computation that threads prepare, and chunks of faces that follow through them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from nasface.utils.compute_threads import compute_threads


@dataclass(frozen=True)
class Stage:
    """What is to be done before chunks may pass a stage.

    Attributes:
        tasks: independent of each other, the long ones first; none needs anything but the stages before.
        end: what follows all of them.
    """

    tasks: Sequence[Callable[[], object]]
    end: Callable[[], object] = lambda: None


Follow = Callable[[int, int], Tensor | None]
"""(stage, chunk) -> what the chunk is after the stage; called for every stage, and the last one's value is the
chunk's."""


class StageThreads:
    """Prepares stages one after the other, while chunks follow, on as many threads as PyTorch has.

    Each thread computes alone, so that no operation is divided: the results are those of one thread, bit for bit.
    Several threads compute in `torch.inference_mode`; one is the caller's, and computes as the caller does.

    Args:
        count: threads, PyTorch's own number; one computes where the caller does.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = compute_threads(count) if count > 1 else None

    def run(self, stages: Sequence[Stage], follow: Follow, chunks: int) -> Generator[Tensor, None, None]:
        """The chunks 0, 1, ... after the last stage, which is at least the first, in their order.

        Threads do not wait for the caller, who closes the iterator when no more is wanted.
        """
        if not stages:
            raise ValueError("no stage")
        if self._pool is None:
            yield from _one_by_one(stages, follow, chunks)
            return
        plan = _Plan(stages, chunks)
        begun: list[Future[None]] = []
        try:
            for _ in range(self.count):
                begun.append(self._pool.submit(_work, plan, follow))
                begun[-1].add_done_callback(plan.ended)
            for chunk in range(chunks):
                yield plan.result(chunk)
        finally:
            plan.stop()
            wait(begun)


def _one_by_one(stages: Sequence[Stage], follow: Follow, chunks: int) -> Iterator[Tensor]:
    for stage in stages:
        for task in stage.tasks:
            task()
        stage.end()
    for chunk in range(chunks):
        for number in range(len(stages)):
            value = follow(number, chunk)
        assert value is not None  # the last stage's
        yield value


class _Piece(NamedTuple):
    """Stages that a chunk is to pass."""

    chunk: int
    stages: range


@dataclass
class _Plan:
    """What has been done, and what may be done next; shared by the threads.

    Attributes:
        ready: stages that are prepared.
        begun, done: tasks of the stage that is being prepared.
        passed: stages that each chunk has passed.
        busy: chunks on which a thread is at work.
        results: chunks after the last stage; None once they are taken.
    """

    stages: Sequence[Stage]
    chunks: int
    ready: int = 0
    begun: int = 0
    done: int = 0
    passed: list[int] = field(init=False)
    busy: set[int] = field(default_factory=set)
    results: dict[int, Tensor | None] = field(default_factory=dict)
    error: BaseException | None = None
    stopped: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.passed = [0] * self.chunks

    def next(self) -> Callable[[], object] | _Piece | None:
        """A task, or stages for a chunk to pass; None where nothing is left. Waits where there is neither.

        Preparing goes first, then the chunk that the caller waits for.
        """
        with self.changed:
            while not self.stopped and len(self.results) < self.chunks:
                if self.ready < len(self.stages) and self.begun < len(self.tasks):
                    self.begun += 1
                    return self.tasks[self.begun - 1]
                for chunk, passed in enumerate(self.passed):
                    if passed < self.ready and chunk not in self.busy:
                        self.busy.add(chunk)
                        return _Piece(chunk, range(passed, self.ready))
                self.changed.wait()
        return None

    @property
    def tasks(self) -> Sequence[Callable[[], object]]:
        """Those of the stage that is being prepared; where it has none, one that does nothing."""
        return self.stages[self.ready].tasks or [lambda: None]

    def finished_task(self) -> None:
        with self.changed:
            self.done += 1
            if self.done < len(self.tasks):
                return
        self.stages[self.ready].end()
        with self.changed:
            self.ready, self.begun, self.done = self.ready + 1, 0, 0
            self.changed.notify_all()

    def finished_piece(self, piece: _Piece, value: Tensor | None) -> None:
        with self.changed:
            self.busy.discard(piece.chunk)
            self.passed[piece.chunk] = piece.stages.stop
            if piece.stages.stop == len(self.stages):
                assert value is not None  # the last stage's
                self.results[piece.chunk] = value
            self.changed.notify_all()

    def ended(self, work: Future[None]) -> None:
        """A thread's work has ended; where it failed, the others' ends, and the caller has the first error."""
        error = work.exception()
        if error is not None:
            with self.changed:
                self.error = self.error or error
            self.stop()

    def stop(self) -> None:
        with self.changed:
            self.stopped = True
            self.changed.notify_all()

    def result(self, chunk: int) -> Tensor:
        """A chunk after the last stage, when it is there."""
        with self.changed:
            self.changed.wait_for(lambda: chunk in self.results or self.error)
            if self.error:
                raise self.error
            value, self.results[chunk] = self.results[chunk], None
        assert value is not None  # each is asked for once
        return value


@torch.inference_mode()
def _work(plan: _Plan, follow: Follow) -> None:
    """Do what may be done next until nothing is left."""
    while (item := plan.next()) is not None:
        if not isinstance(item, _Piece):
            item()
            plan.finished_task()
            continue
        for stage in item.stages:
            if plan.stopped:
                return
            value = follow(stage, item.chunk)
        plan.finished_piece(item, value)
