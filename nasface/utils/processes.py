"""Work on several cores by processes that do not outlive their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

import cv2

from nasface.utils.errors import UserError

_FORKS = "fork" in multiprocessing.get_all_start_methods()
Job = TypeVar("Job")
Result = TypeVar("Result")

_work: Callable[[Any], Any]
"""In a worker: what it does."""


def in_processes(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """Yield work(job) of every job, in the order in which they end.

    OpenCV has one thread in each process: pictures as small as faces only lose by being split. Where processes fork,
    `work` reaches them as it is, so that the arrays it holds are shared; elsewhere it must be picklable.

    Args:
        work: gives the picklable result of a picklable job.
        jobs: what to do.
        workers: processes; with 1 the work is done in this one.

    Raises:
        UserError: a process was killed. What `work` raises is raised here.
    """
    workers = min(workers, len(jobs))
    with _one_opencv_thread():
        if workers <= 1:
            yield from map(work, jobs)
        else:
            yield from _in_pool(work, jobs, workers)


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """OpenCV's threads end before any process forks: a child would wait for threads that it does not have."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _in_pool(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    # Forked as a DataLoader's workers are: they start at once, with everything imported.
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("fork" if _FORKS else None), _start, (os.getpid(), work)
    )
    try:
        for future in as_completed([pool.submit(_do, job) for job in jobs]):
            yield future.result()
    except BrokenProcessPool:
        raise UserError("a worker process was killed, for want of memory as a rule: give fewer workers") from None
    finally:
        # After an error or Ctrl-C the jobs still queued are not worth waiting for.
        pool.shutdown(cancel_futures=True)


def _start(parent: int, work: Callable[[Any], Any]) -> None:
    """Begin a worker: one thread, and no life beyond its parent's, which may be killed."""
    global _work
    _work = work
    if not _FORKS:  # a forked process has one thread from its parent
        cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _do(job: Any) -> Any:
    return _work(job)
