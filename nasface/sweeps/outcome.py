"""What a sweep has found: a table of its runs, and the best one's settings for `--experiment`."""

from __future__ import annotations

import csv
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace
from optuna.trial import FrozenTrial, TrialState

from nasface.config import Experiment, flat
from nasface.report.tables import NOTHING, duration, text_table
from nasface.runs.run import settings_file
from nasface.sweeps.command_line import nasface_arguments, nested_values
from nasface.sweeps.local import run_of, values_of
from nasface.sweeps.sweep_file import SweepFile
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write, write_text
from nasface.utils.yaml_files import load_yaml

_STATES = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "cut off",
}


def ranked(sweep: SweepFile, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The runs, the best first, then those that were stopped or failed."""
    sign = -1 if sweep.metric and sweep.metric.maximize else 1

    def key(trial: FrozenTrial) -> tuple[bool, float, int]:
        complete = trial.state == TrialState.COMPLETE
        return not complete, sign * trial.values[0] if complete else 0.0, trial.number

    return sorted(trials, key=key)


def best_of(sweep: SweepFile, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The best complete run; None without one, or without a metric."""
    first = ranked(sweep, trials)[:1]
    return first[0] if first and first[0].state == TrialState.COMPLETE and sweep.metric else None


def sweep_table(sweep: SweepFile, trials: Sequence[FrozenTrial]) -> str:
    """One line a run: number, state, metric, the values that were varied, time."""
    varied = [one.name for one in sweep.parameters if one.distribution.optuna is not None]
    name = sweep.metric.name if sweep.metric else "metric"
    body = [
        [
            str(trial.number),
            _STATES.get(trial.state, NOTHING),
            _figure(_result(sweep, trial)),
            *(_figure(values_of(trial).get(parameter)) for parameter in varied),
            duration(trial.user_attrs["seconds"]) if "seconds" in trial.user_attrs else NOTHING,
        ]
        for trial in ranked(sweep, trials)
    ]
    return text_table(["run", "state", name, *varied, "time"], body)


def write_table(path: Path, sweep: SweepFile, trials: Sequence[FrozenTrial]) -> None:
    """The same with all digits, as CSV, with each run's folder and what went wrong."""
    names = [one.name for one in sweep.parameters]
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        metric = sweep.metric.name if sweep.metric else "metric"
        writer.writerow(["run", "state", metric, *names, "seconds", "folder", "error"])
        for trial in ranked(sweep, trials):
            values = [values_of(trial).get(name) for name in names]
            about = [trial.user_attrs.get(key) for key in ("seconds", "run", "error")]
            writer.writerow([trial.number, _STATES.get(trial.state, ""), _result(sweep, trial), *values, *about])


def _result(sweep: SweepFile, trial: FrozenTrial) -> float | None:
    if sweep.metric is None:
        return None
    if trial.state == TrialState.COMPLETE:
        return trial.values[0]
    return list(trial.intermediate_values.values())[-1] if trial.intermediate_values else None


def _figure(value: Any) -> str:
    if value is None:
        return NOTHING
    return f"{value:.4g}" if isinstance(value, float) and math.isfinite(value) else str(value)


# The best configuration ----------------------------------------------------------------------------------------------


def write_best(path: Path, sweep: SweepFile, best: FrozenTrial) -> dict[str, Any]:
    """Write the settings of the best run as an experiment: those of its run where it was one of nasface, else the
    sweep's values alone.

    Returns:
        Values that are no settings of an experiment, such as `arch`; they must be given beside `--experiment`.
    """
    assert sweep.metric is not None  # or no run would be the best
    dotted = Namespace()
    for name, value in flat(nested_values(sweep.parameters, values_of(best))).items():
        dotted[name] = value
    values, known = dotted.as_dict(), vars(Experiment())
    experiment = {name: value for name, value in values.items() if name in known}
    beside = {name: value for name, value in values.items() if name not in known}
    run = run_of(best)
    if run is not None:
        experiment = _recorded(run)
    elif beside:
        experiment, beside = values, {}
    head = f"# The best of the sweep {sweep.path.name}: {sweep.metric.name} {best.values[0]:.6g}, run {best.number}"
    head += f" ({run})" if run else ""
    extra = "".join(f"# with --{name}={value}\n" for name, value in beside.items())
    write_text(path, f"{head}\n{extra}{yaml.safe_dump(experiment, sort_keys=False)}")
    return beside


def next_command(best: FrozenTrial, path: Path) -> str:
    """A command that takes the best run's settings from their file."""
    arguments = nasface_arguments(best.user_attrs.get("command", []))
    if arguments is None:
        return f"use {path}"
    known = vars(Experiment())
    words, waiting = ["nasface"], iter(arguments)
    for word in waiting:
        name, equals, _ = word.removeprefix("--").partition("=")
        inside = word.startswith("--") and (name in ("experiment", "config") or name.split(".")[0] in known)
        if not inside:
            words.append(word)
        elif not equals:
            next(waiting, None)
    return shlex.join([*words, "--experiment", str(path)])


def _recorded(run: Path) -> dict[str, Any]:
    """The settings of a run of nasface, but where its results went."""
    try:
        settings = load_yaml(settings_file(run))
    except UserError as error:
        raise UserError(f"{settings_file(run)} cannot be read ({error}): the best run's settings are lost") from None
    default = Experiment()
    return {name: value for name, value in settings.items() if name != "output" or value == default.output}
