"""Pictures made or read on several cores."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import cv2

from nasface.utils.worker_pool import Job, Result, run_in_workers

_FORKS = "fork" in multiprocessing.get_all_start_methods()


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
    workers = max(1, min(workers, len(jobs)))
    # Forked as a DataLoader's workers are: they start at once, with everything imported.
    start = "fork" if _FORKS else "spawn"
    with _one_opencv_thread():
        for _, future in run_in_workers(partial(_begin, work), jobs, workers, start=start, here=work):
            yield future.result()


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """OpenCV's threads end before any process forks: a child would wait for threads that it does not have."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _begin(work: Callable[[Job], Result]) -> Callable[[Job], Result]:
    if not _FORKS:  # a forked process has one thread from its parent
        cv2.setNumThreads(1)
    return work
