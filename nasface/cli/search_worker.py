"""`nasface search-worker`."""

from __future__ import annotations

from functools import partial

from jsonargparse.typing import NonNegativeInt

from nasface.cli.command import Command
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
    from nasface.pipelines.join_search import join_search

    if not storage:
        raise UserError("--storage is missing: give the URL or the journal file that the search was started with")
    say = partial(print, flush=True)
    every, own = join_search(storage, study, supernet=supernet, threads=threads, accelerator=accelerator, say=say)
    print(f"search   {every} evaluations, {own} of them here")


COMMAND = Command(search_worker)
