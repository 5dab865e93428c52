"""Jobs side by side, in worker processes that do not outlive the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import spawn
from pathlib import Path
from typing import Any, Generic, TypeVar

from nasface.utils import parent_death
from nasface.utils.errors import UserError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Environment variables by which libraries know how many threads to start."""
Job = TypeVar("Job")
Result = TypeVar("Result")

_work: Callable[[Any], Any]  # of this worker


class WorkerPool(Generic[Job, Result]):
    """Worker processes that do one set of jobs after the other; they start with the first and end with the context.

    The workers end with this process, also when that is killed, and are killed when an error passes, or a caller stops
    early: a job must go on from what it has kept.

    Args:
        begin: called once in every worker; returns what does a job there. Picklable where processes are spawned.
        workers: processes, at most; there are no more than jobs.
        threads: CPU threads of each, from its first import on.
        logs: folder in which each worker leaves what it says, worker_<process id>.log; None for this process's output.
        start: "spawn", or "fork" for work that starts at once and shares the arrays of this process, which must have
            no threads of torch or OpenCV then.
        here: does the jobs in this process, one after the other, where only one worker is asked for; None starts one.
        how_to_go_on: said to the user when a worker was killed.
    """

    def __init__(
        self,
        begin: Callable[[], Callable[[Job], Result]],
        workers: int,
        *,
        threads: int = 1,
        logs: Path | None = None,
        start: str = "spawn",
        here: Callable[[Job], Result] | None = None,
        how_to_go_on: str = "the same command goes on, with fewer workers where memory is short",
    ) -> None:
        self._begin, self._workers, self._threads, self._logs, self._start = begin, workers, threads, logs, start
        self._here, self._how_to_go_on = here if workers == 1 else None, how_to_go_on
        self._pool: ProcessPoolExecutor | None = None
        self._others: set[Any] = set()  # processes of this one that are not the pool's

    def __enter__(self) -> WorkerPool[Job, Result]:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self._pool is None:
            return
        if error is not None:
            for process in set(multiprocessing.active_children()) - self._others:
                process.kill()
            # Else the pool waits for the rest of a result that a killed worker was writing: this process could, too.
            with suppress(AttributeError, OSError):
                self._pool._result_queue._writer.close()  # type: ignore[attr-defined]
        self._pool.shutdown(cancel_futures=True)

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Future[Result]]]:
        """Every job as it ends, taken from the front, with its result or the UserError that it raised.

        Raises:
            UserError: a worker was killed.
            Exception: what `begin` or a job raised beside UserError.
        """
        if self._here is not None:
            for job in jobs:
                yield job, _done(self._here, job)
            return
        with _threads_of_children(self._threads), _working_for_this():
            pool = self._started()
            futures: dict[Future[Result], Job] = {}
            try:
                futures |= {pool.submit(_run, job): job for job in jobs}
                for future in as_completed(futures):
                    error = future.exception()
                    if error is not None and not isinstance(error, UserError):
                        raise error
                    yield futures[future], future
            except BrokenProcessPool:
                see = f" (see {self._logs}/worker_*.log)" if self._logs else ""
                killed = f"a worker was killed, perhaps for want of memory{see}"
                raise UserError(f"{killed}: {self._how_to_go_on}") from None
            finally:
                for future in futures:  # of a caller that stops early: they would be done before the next jobs
                    future.cancel()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            if self._logs is not None:
                self._logs.mkdir(parents=True, exist_ok=True)
            self._others = set(multiprocessing.active_children())
            context = multiprocessing.get_context(self._start)
            begin = os.getpid(), self._logs, self._begin
            self._pool = ProcessPoolExecutor(self._workers, context, _begin, begin)
        return self._pool


def _done(work: Callable[[Job], Result], job: Job) -> Future[Result]:
    done: Future[Result] = Future()
    try:
        done.set_result(work(job))
    except UserError as refusal:
        done.set_exception(refusal)
    return done


def run_in_workers(
    begin: Callable[[], Callable[[Job], Result]], jobs: Iterable[Job], workers: int, **settings: Any
) -> Iterator[tuple[Job, Future[Result]]]:
    """One set of jobs in workers of its own; arguments and errors as of `WorkerPool` and its `run`."""
    with WorkerPool(begin, workers, **settings) as pool:
        yield from pool.run(jobs)


@contextmanager
def _threads_of_children(threads: int) -> Iterator[None]:
    """Processes that start inside have so many threads from their first import on, import nothing from the working
    folder, where a random.py may lie (multiprocessing tells them this process's places), and Python keeps to itself
    that it tidied up behind a killed one."""
    warnings = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker:UserWarning")))
    inside = {
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        "PYTHONSAFEPATH": "1",
        "PYTHONWARNINGS": warnings,
    }
    before = {name: os.environ.get(name) for name in inside}
    os.environ.update(inside)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _working_for_this() -> Iterator[None]:
    """Processes that are spawned inside end with this one from their first line on, while they still import."""
    command_line = spawn.get_command_line
    first = f"import runpy; runpy.run_path({parent_death.__file__!r})['work_for']({os.getpid()})"

    def ending(**handles: Any) -> list[str]:
        words = command_line(**handles)
        program = words.index("-c") + 1
        return [*words[:program], f"{first}; {words[program]}", *words[program + 1 :]]

    try:
        spawn.get_command_line = ending
        yield
    finally:
        spawn.get_command_line = command_line


def _begin(parent: int, logs: Path | None, begin: Callable[[], Callable[[Any], Any]]) -> None:
    """Make this process a worker."""
    global _work
    parent_death.work_for(parent)
    if logs is not None:
        sys.stdout = sys.stderr = (logs / f"worker_{os.getpid()}.log").open("a", encoding="utf-8", buffering=1)
    try:
        _work = begin()
    except Exception as error:  # said by the first job: the pool would only say that it is broken
        _work = _Refusal(error)


class _Refusal:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, job: Any) -> Any:
        raise self.error


def _run(job: Any) -> Any:
    return _work(job)
