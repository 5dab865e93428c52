"""A sweep on this machine: every run a process, its values drawn by Optuna, its record in a journal file."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from nasface.search.storage import open_storage, storage_errors
from nasface.sweeps.command_line import command_line
from nasface.sweeps.run_process import RunProcess
from nasface.sweeps.samplers import draw, make_pruner, make_sampler
from nasface.sweeps.sweep_file import SweepFile
from nasface.sweeps.sweep_folder import STUDY, SweepFolder
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError, without_passwords
from nasface.utils.progress import stage_bar

_PAUSE = 0.1  # seconds between polls of the processes
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_HOPELESS = 3  # so many runs that fail before one succeeds end a sweep


@dataclass
class _Running:
    trial: optuna.Trial
    process: RunProcess
    told: int = 0
    pruned: bool = field(default=False)


def run_local_sweep(
    sweep: SweepFile, folder: SweepFolder, workers: int = 1, count: int | None = None, seed: int = 0
) -> tuple[list[FrozenTrial], bool]:
    """Run a sweep to its end, or `count` runs of it; a second call goes on where the first was ended.

    A run's values are kept with its trial (user attributes `values`, `command`, `run`, `seconds`, `error`); its state
    is COMPLETE, PRUNED where it was stopped early, or FAIL. Runs that were cut off with the sweep are run again.

    Args:
        sweep: the file.
        folder: its records.
        workers: runs at the same time.
        count: most runs of this call; None for as many as the file has.
        seed: of all that is drawn.

    Returns:
        All trials, by number, and whether the sweep is finished; it is not where `count` has ended it.

    Raises:
        UserError: the sweep has no end, its first runs all fail, or none logs the metric.
    """
    with open_storage(folder.path(STUDY)) as store, storage_errors(folder.path(STUDY)):
        study = optuna.create_study(
            study_name=folder.folder.name,
            storage=store,
            load_if_exists=True,
            direction="maximize" if sweep.metric and sweep.metric.maximize else "minimize",
            pruner=make_pruner(sweep.early_terminate),
        )
        most, limits = sweep.most_runs, [sweep.most_runs] if sweep.most_runs else []
        if count:
            limits.append(len(study.get_trials(deepcopy=False, states=_FINISHED)) + count)
        if not limits:
            raise UserError(f"{sweep.path}: method {sweep.method} has no end: give run_cap in the file, or --count")
        loop = _Loop(sweep, folder, study, workers, min(limits), seed)
        trials = loop.run()
        return trials, loop.target_reached() or (most is not None and loop.finished() >= most)


class _Loop:
    """One process that starts the runs, reads what they log, and tells Optuna."""

    def __init__(
        self, sweep: SweepFile, folder: SweepFolder, study: optuna.Study, workers: int, total: int, seed: int
    ) -> None:
        self.sweep, self.folder, self.study = sweep, folder, study
        self.workers, self.total, self.seed = workers, total, seed
        self.running: list[_Running] = []
        self.cut_off = [trial for trial in study.get_trials(deepcopy=False) if not trial.state.is_finished()]

    def run(self) -> list[FrozenTrial]:
        with stage_bar(f"sweep {self.sweep.path.stem}", self.total, self.finished()) as bar:
            try:
                while self._fill() or self.running:
                    time.sleep(_PAUSE)
                    for one in list(self.running):
                        self._look(one)
                    bar.set_postfix_str(self._best(), refresh=False)
                    bar.update(self.finished() - bar.n)
            finally:
                RunProcess.stop(*(one.process for one in self.running))
        return self.study.get_trials(deepcopy=False)

    def finished(self) -> int:
        """How many runs have ended."""
        return sum(trial.state.is_finished() for trial in self.study.get_trials(deepcopy=False))

    def _best(self) -> str:
        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return f"best {self.study.best_value:.4g}" if complete and self.sweep.metric else ""

    def _fill(self) -> bool:
        """Start runs as long as there is room; whether any was started."""
        started = False
        while len(self.running) < self.workers and (trial := self._next()) is not None:
            self.running.append(self._start(trial))
            started = True
        return started

    def _next(self) -> optuna.Trial | None:
        if self.target_reached():
            return None
        cut_off = self.cut_off.pop(0) if self.cut_off else None
        number = cut_off.number if cut_off else len(self.study.get_trials(deepcopy=False))
        if number >= self.total:
            return None
        self.study.sampler = make_sampler(self.sweep, self.seed, number, self.total, self.workers)
        return optuna.Trial(self.study, cut_off._trial_id) if cut_off else self.study.ask()

    def target_reached(self) -> bool:
        """Whether a run was as good as the metric's target."""
        metric = self.sweep.metric
        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return metric is not None and any(metric.reached(trial.values[0]) for trial in complete)

    def _start(self, trial: optuna.Trial) -> _Running:
        values = draw(trial, self.sweep.parameters)
        records = self.folder.run(trial.number)
        words = command_line(self.sweep, values, records)
        trial.set_user_attr("values", values)
        trial.set_user_attr("command", [without_passwords(word) for word in words])
        threads = max(1, available_cores() // self.workers)
        metric = self.sweep.metric.name if self.sweep.metric else None
        return _Running(trial, RunProcess(words, records, metric, threads))

    def _look(self, one: _Running) -> None:
        code = one.process.poll()
        for step in range(one.told, len(one.process.values)):
            one.trial.report(one.process.values[step], step + 1)
            one.told = step + 1
            if code is None and not one.pruned and one.trial.should_prune():
                one.pruned = True
        if one.pruned:
            RunProcess.stop(one.process)
        if code is not None or one.pruned:
            self.running.remove(one)
            self._end(one, code)

    def _end(self, one: _Running, code: int | None) -> None:
        process, metric = one.process, self.sweep.metric
        one.trial.set_user_attr("seconds", round(process.seconds, 1))
        one.trial.set_user_attr("run", str(process.run) if process.run else None)
        if one.pruned:
            self.study.tell(one.trial, state=TrialState.PRUNED)
        elif code:
            self._fail(one, f"exit code {code}: {process.last_line()}")
        elif metric and not process.values:
            logged = ", ".join(sorted(process.names)) or "nothing"
            self._fail(one, f"it never logged {metric.name}; it logged {logged}")
        elif metric and not math.isfinite(process.values[-1]):
            self._fail(one, f"{metric.name} is {process.values[-1]}")
        else:
            self.study.tell(one.trial, process.values[-1] if metric else 0.0)

    def _fail(self, one: _Running, reason: str) -> None:
        one.trial.set_user_attr("error", reason)
        self.study.tell(one.trial, state=TrialState.FAIL)
        trials = self.study.get_trials(deepcopy=False)
        failed = sum(trial.state == TrialState.FAIL for trial in trials)
        if failed >= min(_HOPELESS, self.total) and failed == sum(trial.state.is_finished() for trial in trials):
            raise UserError(f"the first {failed} run(s) failed, the last with {reason} (see {one.process.log})")


def values_of(trial: FrozenTrial) -> dict[str, Any]:
    """The values of a trial's parameters."""
    return trial.user_attrs.get("values", {})


def run_of(trial: FrozenTrial) -> Path | None:
    """The folder of the run of nasface that a trial was."""
    run = trial.user_attrs.get("run")
    return Path(run) if run else None
