"""Jobs side by side, in worker processes that do not outlive the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import spawn
from pathlib import Path
from typing import Any, TypeVar

from nasface.utils import parent_death
from nasface.utils.errors import UserError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Environment variables by which libraries know how many threads to start."""
Job = TypeVar("Job")
Result = TypeVar("Result")

_work: Callable[[Any], Any]  # of this worker


def run_in_workers(
    begin: Callable[[], Callable[[Job], Result]],
    jobs: Iterable[Job],
    workers: int,
    *,
    threads: int = 1,
    logs: Path | None = None,
    start: str = "spawn",
    here: Callable[[Job], Result] | None = None,
    how_to_go_on: str = "the same command goes on, with fewer workers where memory is short",
) -> Iterator[tuple[Job, Future[Result]]]:
    """Every job as it ends, with its result or the UserError that it raised.

    The workers end with this process, also when that is killed, and are killed when the caller stops early: a job
    must go on from what it has kept.

    Args:
        begin: called once in every worker; returns what does a job there. Picklable where processes are spawned.
        jobs: picklable, taken from the front.
        workers: processes.
        threads: CPU threads of each, from its first import on.
        logs: folder in which each worker leaves what it says, worker_<process id>.log; None for this process's output.
        start: "spawn", or "fork" for work that starts at once and shares the arrays of this process, which must have
            no threads of torch or OpenCV then.
        here: does the jobs in this process, one after the other, where only one worker is asked for; None starts one.
        how_to_go_on: said to the user when a worker was killed.

    Raises:
        UserError: a worker was killed.
        Exception: what `begin` or a job raised beside UserError.
    """
    if workers == 1 and here is not None:
        for job in jobs:
            done: Future[Result] = Future()
            try:
                done.set_result(here(job))
            except UserError as refusal:
                done.set_exception(refusal)
            yield job, done
        return
    if logs is not None:
        logs.mkdir(parents=True, exist_ok=True)
    others = set(multiprocessing.active_children())
    with _threads_of_children(threads), _working_for_this():
        context = multiprocessing.get_context(start)
        pool = ProcessPoolExecutor(workers, context, _begin, (os.getpid(), logs, begin))
        try:
            futures = {pool.submit(_run, job): job for job in jobs}
            for future in as_completed(futures):
                error = future.exception()
                if error is not None and not isinstance(error, UserError):
                    raise error
                yield futures[future], future
        except BrokenProcessPool:
            see = f" (see {logs}/worker_*.log)" if logs else ""
            raise UserError(f"a worker was killed, perhaps for want of memory{see}: {how_to_go_on}") from None
        except BaseException:
            for process in set(multiprocessing.active_children()) - others:
                process.kill()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


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
