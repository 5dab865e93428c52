"""`nasface sweep`."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from jsonargparse.typing import NonNegativeInt, PositiveInt

from nasface.cli.command import Command
from nasface.config import LogConfig
from nasface.utils.errors import UserError, os_reason, reason_of
from nasface.utils.run_files import run_folder


def sweep(
    file: str,
    workers: PositiveInt = 1,
    count: PositiveInt | None = None,
    seed: NonNegativeInt = 0,
    where: Literal["auto", "wandb", "here"] = "auto",
    runs: str = "runs",
    run: str | None = None,
    resume: bool = False,
) -> None:
    """Run a W&B sweep file, by W&B's agents or on this machine.

    Args:
        file: sweep file, such as experiments/sweeps/quick.yaml.
        workers: runs side by side.
        count: most runs to start now; where empty, as many as the file allows.
        seed: random seed of the samplers on this machine.
        where: wandb, here, or auto: W&B with an account, unless WANDB_MODE is offline.
        runs: folder of the runs.
        run: id of the sweep, its folder under runs/; made from time and file where empty.
        resume: continue the newest unfinished sweep of this file (or the one of --run).
    """
    from nasface.sweeps.sweep_file import load_sweep
    from nasface.sweeps.sweep_folder import open_sweep_folder

    content = load_sweep(file)
    online = _online(where)
    check_command(content, deep=not online)
    about = {"seed": seed} if not online else {}
    folder = open_sweep_folder(content, Path(runs), run, resume, **about)
    _check_place(folder, online)
    try:
        _go_on(content, folder, online, workers, count, seed)
    except Exception as error:
        with suppress(UserError, OSError):  # the error itself is to be said
            folder.update(failed=reason_of(error))
        raise


def _check_place(folder: Any, online: bool) -> None:
    """Refuse to go on with a sweep elsewhere than where it began."""
    if online and folder.has_trials():
        raise UserError(f"{folder.folder} is a sweep of this machine: go on with --where here, or start a new one")
    if not online and folder.status().get("wandb"):
        raise UserError(f"{folder.folder} is a sweep on W&B: go on with it there, or start a new one")


def _go_on(content: Any, folder: Any, online: bool, workers: int, count: int | None, seed: int) -> None:
    from nasface.sweeps.agents import run_wandb_sweep

    place = "Weights & Biases" if online else "this machine"
    print(f"sweep    {folder.folder} on {place}: {content.method}, {len(content.parameters)} parameter(s)", flush=True)
    if online:
        name = run_wandb_sweep(content, folder, LogConfig().project, workers, count)
        folder.update(finished=count is None)
        print(f"results  https://wandb.ai/{name.replace(name.split('/')[-1], 'sweeps/' + name.split('/')[-1])}")
        return
    _run_here(content, folder, workers, count, seed)


def _run_here(content: Any, folder: Any, workers: int, count: int | None, seed: int) -> None:
    from nasface.sweeps.local import run_local_sweep
    from nasface.sweeps.outcome import best_of, next_command, sweep_table, write_best, write_table

    seed = folder.status().get("seed", seed)
    trials, total = run_local_sweep(content, folder, workers, count, seed)
    write_table(folder.path("runs.csv"), content, trials)
    folder.update(finished=total)
    print(f"\n{sweep_table(content, trials)}\n\ntable    {folder.path('runs.csv')}")
    best = best_of(content, trials)
    if best is not None:
        path = folder.path("best.yaml")
        write_best(path, content, best)
        print(f"best     {path}: {content.metric.name} {best.values[0]:.4g}, run {best.number}")
        print(f"next     {next_command(best, path)}")


def _online(where: str) -> bool:
    """Whether W&B shall run the sweep."""
    if where != "auto":
        return where == "wandb"
    if os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun"):
        return False  # without W&B's slow import
    from nasface.tracking.wandb import goes_online

    return goes_online("give --where here")


def check_command(content: Any, deep: bool = True) -> None:
    """Refuse a wrong setting before any run is started: of every value that the sweep lists, and the ends of its
    ranges.

    Args:
        content: the sweep.
        deep: also what only this machine can tell, such as an architecture's file.
    """
    from nasface.cli.parser import read_arguments
    from nasface.sweeps.command_line import command_line, nasface_arguments
    from nasface.sweeps.samplers import example_values

    with TemporaryDirectory() as folder:
        for values in example_values(content.parameters):
            arguments = nasface_arguments(command_line(content, values, Path(folder)))
            if arguments is None:
                return
            try:
                command, given = read_arguments(arguments)
                if given.get("run"):
                    run_folder("", given["run"])  # complains of what is no id
                if deep:
                    command.check(**given)
            except (UserError, OSError) as error:
                why = f"{error.filename}: {os_reason(error)}" if isinstance(error, OSError) else error
                raise UserError(f"{content.path}: its command is refused: {why}") from None


COMMAND = Command(sweep)
