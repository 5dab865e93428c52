"""Optuna's samplers as strategies: `optuna/tpe`, `optuna/cmaes` and so on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from nasface.search.black_box import BlackBoxSearch
from nasface.search.registry import register
from nasface.space.space import OPERATIONS
from nasface.utils.errors import UserError

if TYPE_CHECKING:  # half a second that only a search with one of these samplers should cost
    import optuna


# The class of each in optuna.samplers, and what it is made with beside a seed.
_SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("RandomSampler", {}),
    "tpe": ("TPESampler", {}),
    "cmaes": ("CmaEsSampler", {}),
    "gp": ("GPSampler", {}),
    "nsga2": ("NSGAIISampler", {"population_size": 20}),
    "nsga3": ("NSGAIIISampler", {"population_size": 20}),
    "qmc": ("QMCSampler", {"scramble": True}),
    "bruteforce": ("BruteForceSampler", {}),
}
_MOST_CODES = 3**25  # it keeps a tree of those that it has met
_STARTING = ("tpe", "cmaes", "gp")  # they take the number of first random members


class OptunaSearch(BlackBoxSearch):
    """A sampler of Optuna in a study in memory; every connection is an integer parameter from 0 (none) over 1
    (identity) to 2 (HPM), an order of what they cost.

    Akiba et al., "Optuna: a next-generation hyperparameter optimization framework", KDD 2019.
    """

    sampler: ClassVar[str]

    def _make_sampler(self) -> None:
        import optuna

        name, settings = _SAMPLERS[self.sampler]
        if self.sampler == "cmaes":
            if find_spec("cmaes") is None:
                raise UserError(f"{self.name} needs the package cmaes: pip install 'nasface[samplers]'")
            if len(self.objectives) > 1:
                raise UserError(f"{self.name} minimises one objective: give objectives penalty, or take optuna/nsga3")
        if self.sampler == "bruteforce" and len(OPERATIONS) ** self.space.num_connections > _MOST_CODES:
            raise UserError(
                f"{self.name} cannot enumerate {self.space.title}: it has {len(OPERATIONS)}^"
                f"{self.space.num_connections} codes; take another strategy, or a small space such as `table`"
            )
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        settings = settings | {"seed": int(self._rng.integers(2**31))}
        if self.sampler in _STARTING:
            settings["n_startup_trials"] = max(1, self.startup)
        with warnings.catch_warnings(action="ignore"):  # a sampler is experimental, or falls back
            sampler = getattr(optuna.samplers, name)(**settings)
            self._study = optuna.create_study(directions=["minimize"] * len(self.objectives), sampler=sampler)
        top = len(OPERATIONS) - 1
        self._distributions: dict[str, optuna.distributions.BaseDistribution] = {
            f"c{place:03d}": optuna.distributions.IntDistribution(0, top) for place in range(self.space.num_connections)
        }
        self._ended = False

    def _suggest(self) -> tuple[optuna.Trial, list[int]] | None:
        if self._ended:
            return None
        with warnings.catch_warnings(action="ignore"):
            trial = self._study.ask(self._distributions)
        return trial, [int(trial.params[name]) for name in self._distributions]

    def _impose(self, codes: Sequence[int]) -> optuna.Trial:
        self._study.enqueue_trial(dict(zip(self._distributions, map(int, codes), strict=True)))
        with warnings.catch_warnings(action="ignore"):
            return self._study.ask(self._distributions)

    def _report(self, handle: optuna.Trial, values: Sequence[float]) -> None:
        with warnings.catch_warnings(action="ignore"):
            try:
                self._study.tell(handle, list(values))
            except RuntimeError as error:
                # A sampler that has covered everything stops the study, which only its own loop understands.
                if "Study.stop" not in str(error):
                    raise
                self._ended = True


def _register(sampler: str) -> None:
    text = f"Optuna's {sampler} sampler over the coded space; see `OptunaSearch`."
    attributes: dict[str, Any] = {"name": f"optuna/{sampler}", "sampler": sampler, "__doc__": text}
    if sampler == "gp":
        attributes["suggestions"] = 5  # half a second each
    register(type(f"Optuna_{sampler}", (OptunaSearch,), attributes))


for _sampler in _SAMPLERS:
    _register(_sampler)
