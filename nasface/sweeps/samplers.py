"""W&B's methods and early termination as Optuna's samplers and pruners."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler

from nasface.sweeps.sweep_file import EarlyTermination, Parameter, SweepFile


class _Grid(GridSampler):
    """Optuna's, for asking and telling: its own wants to stop a loop that there is not."""

    def after_trial(self, *_: Any) -> None:
        pass


def make_sampler(sweep: SweepFile, seed: int, number: int, total: int, workers: int) -> BaseSampler:
    """The sampler of one run.

    A sampler is made anew for every run, with a seed that hangs on the run's number: a resumed sweep then draws what
    it would have drawn without the interruption.

    Args:
        sweep: `grid` becomes GridSampler, `random` RandomSampler, `bayes` TPESampler.
        seed: of the sweep.
        number: of the run.
        total: runs of the sweep; a quarter of them, 3 to 10, are random before TPE has a model.
        workers: runs at the same time; TPE then takes those that are not finished for bad ones.
    """
    if sweep.method == "grid":
        # The seed orders the grid, so it must stay the same; what has been run is left out by Optuna.
        drawn = {one.name: one.distribution.optuna for one in sweep.parameters}
        # A grid's parameters are lists of values, or constants.
        lists = {name: list(one.choices) for name, one in drawn.items() if isinstance(one, CategoricalDistribution)}
        return _Grid(lists, seed)
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if sweep.method == "random":
        return RandomSampler(seed=own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant_liar is experimental
        return TPESampler(seed=own, n_startup_trials=min(10, max(3, total // 4)), constant_liar=workers > 1)


def make_pruner(early: EarlyTermination | None) -> BasePruner:
    """The pruner of a sweep: HyperbandPruner, or with `strict` its most eager bracket alone.

    Hyperband (Li et al., JMLR 2018) spreads the runs over brackets, of which each begins at a later band.
    """
    if early is None:
        return NopPruner()
    if early.strict:
        return SuccessiveHalvingPruner(min_resource=early.first, reduction_factor=early.eta)
    last = "auto" if early.last is None else early.last
    return HyperbandPruner(min_resource=early.first, max_resource=last, reduction_factor=early.eta)


def draw(trial: optuna.Trial, parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    """The values of a run; what it has been given before stays."""
    values = {}
    for parameter in parameters:
        name, distribution = parameter.name, parameter.distribution.optuna
        drawn: Any = None
        if isinstance(distribution, optuna.distributions.CategoricalDistribution):
            drawn = trial.suggest_categorical(name, distribution.choices)
        elif isinstance(distribution, optuna.distributions.IntDistribution):
            drawn = trial.suggest_int(name, distribution.low, distribution.high)
        elif isinstance(distribution, optuna.distributions.FloatDistribution):
            drawn = trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
        values[name] = parameter.distribution.value(drawn)
    return values


def example_values(parameters: tuple[Parameter, ...]) -> list[dict[str, Any]]:
    """Values that runs could have: each that a parameter lists, and the ends of each range, with the first ones of all
    others."""
    listed = {one.name: one.distribution.examples() for one in parameters}
    first = {name: values[0] for name, values in listed.items()}
    return [first, *({**first, name: value} for name, values in listed.items() for value in values[1:])]
