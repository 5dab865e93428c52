"""One more worker for a search that runs, on this machine or another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nasface.config import experiment_of
from nasface.inference.latency_table import latency_table_of
from nasface.nets.network import channels_last
from nasface.nets.weights import load_supernet
from nasface.pipelines.scoring import make_scorer, make_search_strategy, search_context
from nasface.pipelines.workspace import prepare
from nasface.search.workers import read_about, run_shared, worker_name
from nasface.space.catalogue import load_space
from nasface.utils.errors import UserError


def join_search(
    storage: str,
    study: str | None = None,
    *,
    supernet: str | None = None,
    threads: int = 0,
    accelerator: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[int, int]:
    """Evaluate members for a shared search, which may run on other machines, until it ends.

    Args:
        storage: URL or journal file of the search.
        study: its name; None where the storage holds no other.
        supernet: the weights' file, where this machine has it in another place.
        threads: CPU threads; 0 for the search's.
        accelerator: None for the search's.
        say: is given a line with this worker's name, for the user.

    Returns:
        How many evaluations the search took, and how many of them were made here.

    Raises:
        UserError: there is no such study, it is of another version, or a file that it needs is absent.
    """
    name, about = read_about(storage, study)
    try:
        experiment = experiment_of(about.get("experiment"))
    except UserError as error:
        raise UserError(f"study {name!r} is of another version of nasface ({error}): use the same one") from None
    device = experiment.device
    device = replace(device, threads=threads or device.threads, accelerator=accelerator or device.accelerator)
    experiment = replace(experiment, device=device)
    space = load_space(experiment.space)
    latency = latency_table_of(about["latency"]) if "latency" in about else None
    strategy = make_search_strategy(experiment, space, latency)
    workspace = prepare(experiment, space, test=False)
    network = channels_last(load_supernet(Path(supernet or about["supernet"]), space, experiment.network))
    worker = worker_name()
    say(f"worker   {worker} of study {name}")
    scorer, context = make_scorer(workspace, network), search_context(workspace, network)
    result = run_shared(strategy, scorer, storage, name, context=context, worker=worker)
    own = sum(one.outcome.details.get("worker") == worker for one in result.evaluations)
    return len(result.evaluations), own
