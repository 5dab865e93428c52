"""A run: one folder in which a command keeps its settings, checkpoints, results and costs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nasface.config import Experiment, current_settings, flat, recorded_settings
from nasface.utils.errors import UserError, reason_of, without_passwords
from nasface.utils.files import write_json
from nasface.utils.held_folders import free_folders, hold_first, hold_folder
from nasface.utils.run_files import (
    files_of_runs,
    nearest_run,
    new_folder,
    read_summary,
    run_folder,
    settings_file,
    summary_file,
)
from nasface.utils.yaml_files import load_yaml

# These change where results go or how fast they come, not what they are.
_FREE_ON_RESUME = ("runs", "output", "log.", "device.", "search.storage", "halving.workers", "finalists.workers")
_arguments: ContextVar[Sequence[str]] = ContextVar("arguments", default=())
_opened: list[Run] = []
"""Runs that this process's command writes to."""
# The run of a training that Lightning itself starts in several processes: they begin with the first one's command line.
_JOINED = "NASFACE_RUN"


@contextmanager
def started_by(arguments: Sequence[str]) -> Iterator[None]:
    """Within the block, new runs keep these words after `nasface` on the command line, and why the block failed; what
    is opened there is free for other processes afterwards."""
    token = _arguments.set(arguments)
    _opened.clear()
    try:
        yield
    except Exception as error:
        _keep_reason(error)
        raise
    finally:
        _arguments.reset(token)
        _opened.clear()
        free_folders()


def _keep_reason(error: Exception) -> None:
    """Write into the runs that are not finished why they will not be."""
    for run in _opened:
        with suppress(UserError, OSError):  # the error itself is to be said
            if not run.read_summary().get("finished"):
                run.update_summary(failed=reason_of(error))


def is_first_process() -> bool:
    """Whether this is the first process of a training, or the only one; torchrun, Lightning and SLURM number them."""
    return not any(int(os.environ.get(name) or 0) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def end_other_processes() -> None:
    """End all processes of a training but the first: what follows is done once."""
    if not is_first_process():
        raise SystemExit(0)


@dataclass(frozen=True)
class Run:
    """A run's folder: runs/<id>. In a training of several processes the first one writes it."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    def read_summary(self) -> dict[str, Any]:
        """What the run has said of itself so far."""
        return read_summary(self.folder)

    def update_summary(self, **values: Any) -> None:
        """Add values to summary.json; mappings such as `costs` are merged."""
        if not is_first_process():
            return
        if not self.folder.is_dir():
            raise UserError(f"{self.folder} was removed while it was in use: start the command again")
        summary = self.read_summary()
        for key, value in values.items():
            summary[key] = {**summary.get(key, {}), **value} if isinstance(value, dict) else value
        write_json(summary_file(self.folder), summary)

    @contextmanager
    def timed(self, cost: str) -> Iterator[Callable[[], None]]:
        """Add the block's wall time to a cost of the run, in seconds; that of a block that fails or is interrupted,
        too. The block is given a function that writes the time so far, which a kill then leaves."""
        start, before = time.perf_counter(), self.read_summary().get("costs", {}).get(cost, 0.0)

        def write() -> None:
            self.update_summary(costs={cost: round(before + time.perf_counter() - start, 1)})

        try:
            yield write
        except BaseException:
            with suppress(UserError, OSError):  # what ended the block is to be said
                write()
            raise
        write()


def open_run(
    command: str, experiment: Experiment, label: str, resume: bool, run_id: str | None, init: str = "scratch"
) -> Run:
    """A new run, or with `resume` the newest unfinished one of the same command and settings.

    Args:
        command: `search`, `retrain`, ...
        label: a few letters for the id, such as the space's name.
        run_id: use this id.
        init: the weights that a training begins from; one that began from others is not resumed.

    Raises:
        UserError: nothing to resume, settings that differ from the run's, a new run's id that is taken, a run that
            another command is writing to, or one of several processes that does not know the id.
    """
    runs = Path(experiment.runs)
    if not is_first_process():
        return _joined(runs, run_id)
    began = {"command": command, "label": label, "init": init}
    run = _resumed(runs, experiment, began, run_id) if resume else _new(runs, experiment, began, run_id)
    if not hold_folder(run.folder):
        raise UserError(f"another command is writing to {run.folder}: wait for it, or choose another --run")
    if run.read_summary().get("failed"):
        run.update_summary(failed="")
    _opened.append(run)
    os.environ[_JOINED] = run.id
    return run


def _joined(runs: Path, run_id: str | None) -> Run:
    run_id = run_id or os.environ.get(_JOINED)
    if not run_id:
        raise UserError("several processes train one network, but which run is it? give --run NAME")
    return Run(runs / run_id)


def _new(runs: Path, experiment: Experiment, began: dict[str, str], run_id: str | None) -> Run:
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{began['command']}-{began['label']}"
    summary: dict[str, Any] = {**began, "finished": False}
    if words := _arguments.get():
        summary["arguments"] = [without_passwords(word) for word in words]
    contents = {
        settings_file("").name: yaml.safe_dump(recorded_settings(experiment), sort_keys=False),
        summary_file("").name: json.dumps(summary, indent=2) + "\n",
    }
    return Run(new_folder(runs, run_id, name, contents, "run "))


def _resumed(runs: Path, experiment: Experiment, began: dict[str, str], run_id: str | None) -> Run:
    command = began["command"]
    if run_id:
        run = Run(run_folder(runs, run_id))
        if not settings_file(run.folder).exists():
            raise UserError(
                f"there is no run {run.folder} to resume: start it without --resume{nearest_run(run.folder)}"
            )
        recorded = _began(run.read_summary(), began)
        if (other := recorded["command"]) != command:
            raise UserError(f"run {run.folder} is of nasface {other}: give one of nasface {command}")
        for name, words in (("label", "is of"), ("init", "began from the weights")):
            if recorded[name] != began[name]:
                raise UserError(f"run {run.folder} {words} {recorded[name]}, not {began[name]}: resume it with its own")
        if difference := _difference(run, experiment):
            raise UserError(f"run {run.folder} was started with other settings ({difference}): resume it with its own")
        return run

    def waits(folder: Path) -> bool:
        run = Run(folder)
        summary = run.read_summary()
        same = _began(summary, began | {"command": "", "label": ""}) == began
        return same and not summary.get("finished") and not _difference(run, experiment)

    if found := hold_first((path.parent for path in files_of_runs(runs, settings_file(""))), waits):
        return Run(found)
    raise UserError(f"{runs} holds no unfinished {command} run of these settings: start it without --resume")


def _began(summary: dict[str, Any], missing: dict[str, str]) -> dict[str, str]:
    """What a run is, beside its settings; what it does not say, as one of a former version, is `missing`'s."""
    return {name: str(summary.get(name, value)) for name, value in missing.items()}


def _difference(run: Run, experiment: Experiment) -> str:
    """The first setting in which the run differs, as `name: old, now new`; empty where none does."""
    try:
        recorded = load_yaml(settings_file(run.folder))
    except UserError as error:
        raise UserError(f"{settings_file(run.folder)} cannot be read ({error}): start a new run") from None
    if not isinstance(recorded, dict):
        raise UserError(f"{settings_file(run.folder)} cannot be read (no mapping of settings): start a new run")
    # A setting that the version of then did not have is at its default.
    old = flat(recorded_settings(Experiment())) | flat(current_settings(recorded))
    new = flat(recorded_settings(experiment))
    for key in sorted(old.keys() | new.keys()):
        if not key.startswith(_FREE_ON_RESUME) and old.get(key) != new.get(key):
            return f"{key}: {old.get(key)}, now {new.get(key)}"
    return ""
