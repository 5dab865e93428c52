"""`nasface search-worker`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from jsonargparse.typing import NonNegativeInt

from nasface.cli.command import Command
from nasface.config import Experiment, experiment_of
from nasface.space.catalogue import load_space
from nasface.utils.errors import UserError


def search_worker(
    storage: str | None = None,
    study: str | None = None,
    supernet: str | None = None,
    threads: NonNegativeInt = 0,
    accelerator: str | None = None,
) -> None:
    """Join a search of several workers.

    Args:
        storage: Optuna storage URL or journal file of the search, as `nasface search` prints.
        study: name of the study, the search's run id; not needed for the only one.
        supernet: the search's supernet.pt, where this machine has it in another place.
        threads: CPU threads; 0 for the experiment's.
        accelerator: cpu, gpu or auto; the experiment's where empty.
    """
    from nasface.pipelines import search as pipeline
    from nasface.pipelines.supernet import load_trained_supernet
    from nasface.pipelines.workspace import prepare
    from nasface.search.workers import read_about, run_shared, worker_name

    if not storage:
        raise UserError("--storage is missing: give the URL or the journal file that the search was started with")
    name, about = read_about(storage, study)
    try:
        experiment = experiment_of(about.get("experiment"))
    except UserError as error:
        raise UserError(f"study {name!r} is of another version of nasface ({error}): use the same one") from None
    experiment = _with_device(experiment, threads, accelerator)
    space = load_space(experiment.space)
    strategy = pipeline.make_search_strategy(experiment, space)
    workspace = prepare(experiment, space)
    network = load_trained_supernet(Path(supernet or about["supernet"]), space, experiment)
    worker = worker_name()
    print(f"worker   {worker} of study {name}", flush=True)
    scorer = pipeline.make_scorer(workspace, network)
    context = pipeline.search_context(experiment, network)
    result = run_shared(strategy, scorer, storage, name, context=context, worker=worker)
    own = sum(one.outcome.details.get("worker") == worker for one in result.evaluations)
    print(f"search   {len(result.evaluations)} evaluations, {own} of them here")


def _with_device(experiment: Experiment, threads: int, accelerator: str | None) -> Experiment:
    device = experiment.device
    if threads:
        device = replace(device, threads=threads)
    if accelerator:
        device = replace(device, accelerator=accelerator)
    return replace(experiment, device=device)


COMMAND = Command(search_worker)
