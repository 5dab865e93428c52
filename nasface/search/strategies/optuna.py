"""Optuna's samplers as strategies: `optuna/tpe`, `optuna/cmaes` and so on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, ClassVar

import optuna

from nasface.search.black_box import BlackBoxSearch
from nasface.search.strategy import Strategy
from nasface.space.space import OPERATIONS
from nasface.utils.errors import UserError

Make = Callable[[int, int], optuna.samplers.BaseSampler]

# name: (sampler of a seed and a number of first random members, the package that it needs, whether it can minimise
# several objectives).
_SAMPLERS: dict[str, tuple[Make, str | None, bool]] = {
    "random": (lambda seed, _: optuna.samplers.RandomSampler(seed=seed), None, True),
    "tpe": (lambda seed, startup: optuna.samplers.TPESampler(n_startup_trials=startup, seed=seed), None, True),
    "cmaes": (lambda seed, startup: optuna.samplers.CmaEsSampler(n_startup_trials=startup, seed=seed), "cmaes", False),
    "gp": (lambda seed, startup: optuna.samplers.GPSampler(n_startup_trials=startup, seed=seed), None, True),
    "nsga2": (lambda seed, _: optuna.samplers.NSGAIISampler(population_size=20, seed=seed), None, True),
    "nsga3": (lambda seed, _: optuna.samplers.NSGAIIISampler(population_size=20, seed=seed), None, True),
    "qmc": (lambda seed, _: optuna.samplers.QMCSampler(scramble=True, seed=seed), None, True),
    "bruteforce": (lambda seed, _: optuna.samplers.BruteForceSampler(seed=seed), None, True),
}


class OptunaSearch(BlackBoxSearch):
    """A sampler of Optuna in a study in memory; every connection is an integer parameter from 0 (none) over 1
    (identity) to 2 (HPM), an order of what they cost.

    Akiba et al., "Optuna: a next-generation hyperparameter optimization framework", KDD 2019.
    """

    sampler: ClassVar[str]

    def _make_sampler(self) -> None:
        make, package, several = _SAMPLERS[self.sampler]
        if package is not None and find_spec(package) is None:
            raise UserError(f"{self.name} needs the package {package}: pip install 'nasface[samplers]'")
        if len(self.objectives) > 1 and not several:
            raise UserError(f"{self.name} minimises one objective: give objectives penalty, or take optuna/nsga3")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with _quiet():
            sampler = make(int(self._rng.integers(2**31)), max(1, self.startup))
            self._study = optuna.create_study(directions=["minimize"] * len(self.objectives), sampler=sampler)
        top = len(OPERATIONS) - 1
        self._distributions = {
            f"c{place:03d}": optuna.distributions.IntDistribution(0, top) for place in range(self.space.num_connections)
        }
        self._ended = False

    def _suggest(self) -> tuple[optuna.Trial, list[int]] | None:
        if self._ended:
            return None
        with _quiet():
            trial = self._study.ask(self._distributions)
        return trial, [int(trial.params[name]) for name in self._distributions]

    def _impose(self, codes: Sequence[int]) -> optuna.Trial:
        self._study.enqueue_trial(dict(zip(self._distributions, map(int, codes), strict=True)))
        with _quiet():
            return self._study.ask(self._distributions)

    def _report(self, handle: optuna.Trial, values: Sequence[float]) -> None:
        with _quiet():
            try:
                self._study.tell(handle, list(values))
            except RuntimeError as error:
                # A sampler that has covered everything stops the study, which only its own loop understands.
                if "Study.stop" not in str(error):
                    raise
                self._ended = True


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings that a sampler is experimental or falls back to independent sampling."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _strategy(sampler: str) -> type[Strategy]:
    text = f"Optuna's {sampler} sampler over the coded space; see `OptunaSearch`."
    attributes: dict[str, Any] = {"name": f"optuna/{sampler}", "sampler": sampler, "__doc__": text}
    if sampler == "gp":
        attributes["suggestions"] = 5  # half a second each
    return type(f"Optuna_{sampler}", (OptunaSearch,), attributes)


OPTUNA_STRATEGIES = tuple(_strategy(sampler) for sampler in _SAMPLERS)
