"""Jobs side by side, each in a worker process of this machine that holds the faces of its experiment."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nasface.config import Experiment
from nasface.pipelines.workspace import Workspace, prepare
from nasface.space.space import MultipathSpace
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError

Job = TypeVar("Job")
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

_workspace: Workspace | None = None  # of this worker


class Training(Protocol):
    """A job that keeps its own result."""

    def train(self, workspace: Workspace) -> object: ...


AnyTraining = TypeVar("AnyTraining", bound=Training)


def run_side_by_side(
    experiment: Experiment,
    space: MultipathSpace | None,
    folder: Path,
    workers: int,
    function: Callable[[Workspace, Job], Any],
    jobs: Iterable[Job],
    how_to_go_on: str = "the same command goes on",
) -> Iterator[tuple[Job, Future[Any]]]:
    """Every job as it ends, with what `function` returned or the UserError that it raised.

    The workers end with this process, also when that is killed, and are killed when the caller stops early: a job
    must go on from what it has kept.

    Args:
        experiment: settings of the workers; `device.threads` 0 shares the cores among them.
        space: of the workspace; None for the experiment's own.
        folder: where each worker leaves what it says, worker_<process id>.log.
        workers: processes.
        function: of a module, so that a worker finds it; is given the worker's workspace and a job.
        jobs: picklable, taken from the front.
        how_to_go_on: said to the user when a worker was killed.

    Raises:
        UserError: a worker was killed.
        Exception: what `function` raised beside UserError.
    """
    threads = experiment.device.threads or max(1, available_cores() // workers)
    experiment = replace(experiment, device=replace(experiment.device, threads=threads))
    folder.mkdir(parents=True, exist_ok=True)
    # A forked process would inherit torch's threads in an unknown state.
    context = multiprocessing.get_context("spawn")
    with _threads_of_children(threads):
        pool = ProcessPoolExecutor(workers, context, _begin, (experiment, space, folder))
        try:
            futures = {pool.submit(_run, function, job): job for job in jobs}
            for future in as_completed(futures):
                error = future.exception()
                if error is not None and not isinstance(error, UserError):
                    raise error
                yield futures[future], future
        except BrokenProcessPool:
            raise UserError(
                f"a worker was killed, perhaps for want of memory (see {folder}/worker_*.log): "
                f"{how_to_go_on}, with fewer --workers where memory is short"
            ) from None
        except BaseException:
            for process in multiprocessing.active_children():
                process.kill()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def train_side_by_side(
    experiment: Experiment,
    waiting: Sequence[AnyTraining],
    folder: Path,
    workers: int,
    how_to_go_on: str = "the same command with --resume true goes on",
) -> Iterator[tuple[AnyTraining, UserError | None]]:
    """Every training as it ends, and the UserError that ended it, if any; arguments as of `run_side_by_side`.

    Raises:
        UserError: a worker was killed.
    """
    for training, future in run_side_by_side(experiment, None, folder, workers, _train, waiting, how_to_go_on):
        yield training, future.exception()


@contextmanager
def _threads_of_children(threads: int) -> Iterator[None]:
    """Processes that start inside have so many threads from their first import on."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin(experiment: Experiment, space: MultipathSpace | None, folder: Path) -> None:
    """Make this process a worker: it ends with its parent, speaks to a file and holds the faces."""
    global _workspace
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt at the keyboard is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    log = (folder / f"worker_{os.getpid()}.log").open("a", encoding="utf-8", buffering=1)
    sys.stdout = sys.stderr = log
    _workspace = prepare(experiment, space)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(function: Callable[[Workspace, Job], Any], job: Job) -> Any:
    return function(_workspace, job)


def _train(workspace: Workspace, training: Training) -> None:
    training.train(workspace)
