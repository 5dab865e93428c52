"""Trainings side by side, each in a process of its own on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from nasface.config import Experiment
from nasface.cores import available_cores
from nasface.errors import UserError
from nasface.workflow import Workspace, prepare


class Training(Protocol):
    """What a worker is given: picklable, and it keeps its own result."""

    def train(self, workspace: Workspace) -> object: ...


AnyTraining = TypeVar("AnyTraining", bound=Training)

_workspace: Workspace | None = None  # of this worker


def train_side_by_side(
    experiment: Experiment, waiting: Sequence[AnyTraining], folder: Path, workers: int
) -> Iterator[tuple[AnyTraining, UserError | None]]:
    """Every training as it ends, and the UserError that ended it, if any.

    Args:
        experiment: common settings; `device.threads` 0 shares the cores among the workers.
        waiting: what to train, taken from the front.
        folder: where each worker leaves what it says, worker_<process id>.log.
        workers: processes.

    Raises:
        UserError: a worker was killed.
    """
    threads = experiment.device.threads or max(1, available_cores() // workers)
    experiment = replace(experiment, device=replace(experiment.device, threads=threads))
    # A forked process would inherit torch's threads in an unknown state.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _begin, (experiment, folder))
    try:
        futures: dict[Future[None], AnyTraining] = {pool.submit(_train, training): training for training in waiting}
        for future in as_completed(futures):
            error = future.exception()
            if error is not None and not isinstance(error, UserError):
                raise error
            yield futures[future], error
    except BrokenProcessPool:
        raise UserError(
            f"a worker was killed, perhaps for want of memory (see {folder}/worker_*.log): "
            "the same command with --resume true goes on, with fewer --workers where memory is short"
        ) from None
    except BaseException:
        # A training goes on from its last checkpoint: nothing has to be waited for.
        for process in multiprocessing.active_children():
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(experiment: Experiment, folder: Path) -> None:
    """Make this process a worker: it ends with its parent, speaks to a file and holds the faces."""
    global _workspace
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt at the keyboard is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    log = (folder / f"worker_{os.getpid()}.log").open("a", encoding="utf-8", buffering=1)
    sys.stdout = sys.stderr = log
    _workspace = prepare(experiment, None)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _train(training: Training) -> None:
    training.train(_workspace)
