"""Trainings side by side, each in a worker process of this machine that holds the faces of its experiment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nasface.config import Experiment
from nasface.pipelines.workspace import Workspace, prepare
from nasface.space.space import MultipathSpace
from nasface.utils.compute_threads import torch_threads
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError
from nasface.utils.worker_pool import Job, WorkerPool


class Training(Protocol):
    """A job that keeps its own result."""

    def train(self, workspace: Workspace) -> object: ...


AnyTraining = TypeVar("AnyTraining", bound=Training)


def side_by_side(
    experiment: Experiment,
    space: MultipathSpace | None,
    folder: Path,
    workers: int,
    function: Callable[[Workspace, Job], Any],
    workspace: Workspace | None = None,
    how_to_go_on: str = "the same command goes on",
) -> WorkerPool[Job, Any]:
    """Workers that each hold the faces of an experiment and give every job to a function.

    Args:
        experiment: settings of the workers; `device.threads` 0 shares the cores among them.
        space: of the workspace; None for the experiment's own.
        folder: of the workers' logs.
        workers: processes.
        function: of a module, so that a worker finds it; is given the worker's workspace and a job.
        workspace: on which one worker does the jobs in this process; None starts it all the same.
        how_to_go_on: said to the user when a worker was killed.
    """
    threads = experiment.device.threads or max(1, available_cores() // workers)
    experiment = replace(experiment, device=replace(experiment.device, threads=threads))
    return WorkerPool(
        partial(_begin, experiment, space, function),
        workers,
        threads=threads,
        logs=folder,
        here=None if workspace is None else partial(_here, function, workspace, threads),
        how_to_go_on=f"{how_to_go_on}, with fewer --workers where memory is short",
    )


def run_side_by_side(
    experiment: Experiment,
    space: MultipathSpace | None,
    folder: Path,
    workers: int,
    function: Callable[[Workspace, Job], Any],
    jobs: Iterable[Job],
    workspace: Workspace | None = None,
    how_to_go_on: str = "the same command goes on",
) -> Iterator[tuple[Job, Future[Any]]]:
    """Every job (picklable, taken from the front) as it ends, with what `function` returned or the UserError that it
    raised; other arguments as of `side_by_side`.

    Raises:
        UserError: a worker was killed.
        Exception: what `function` raised beside UserError.
    """
    with side_by_side(experiment, space, folder, workers, function, workspace, how_to_go_on) as pool:
        yield from pool.run(jobs)


def train_side_by_side(
    experiment: Experiment,
    waiting: Sequence[AnyTraining],
    folder: Path,
    workers: int,
    workspace: Workspace | None = None,
) -> Iterator[tuple[AnyTraining, UserError | None]]:
    """Every training as it ends, and the UserError that ended it, if any; arguments as of `run_side_by_side`.

    Raises:
        UserError: a worker was killed.
    """
    resumes = "the same command with --resume true goes on"
    trained = run_side_by_side(experiment, None, folder, workers, _train, waiting, workspace, resumes)
    for training, future in trained:
        error = future.exception()
        assert error is None or isinstance(error, UserError)  # any other has been raised
        yield training, error


def _begin(
    experiment: Experiment, space: MultipathSpace | None, function: Callable[[Workspace, Job], Any]
) -> Callable[[Job], Any]:
    return partial(function, prepare(experiment, space, test=False))  # tests read theirs when they need them


def _here(function: Callable[[Workspace, Job], Any], workspace: Workspace, threads: int, job: Job) -> Any:
    """Do a job as a worker would: the order of sums, and so the result, may depend on the number of threads."""
    with torch_threads(threads):
        return function(workspace, job)


def _train(workspace: Workspace, training: Training) -> None:
    training.train(workspace)
