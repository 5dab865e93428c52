"""NNI's in-process tuners as strategies: `nni/tpe`, `nni/evolution` and so on (extra `nni`)."""

from __future__ import annotations

import importlib
import logging
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from nasface.search.black_box import BlackBoxSearch
from nasface.search.registry import register
from nasface.space.space import OPERATIONS
from nasface.utils.errors import UserError

# Not among them: gp (its optimizer calls fail with SciPy 1.17), metis (it draws random numbers in threads), and those
# that need packages of their own (anneal: hyperopt, smac, dngo) or train over a trial's life (pbt, ppo).
_TUNERS = {"tpe": "TpeTuner", "random": "RandomTuner", "gridsearch": "GridSearchTuner", "evolution": "EvolutionTuner"}
_SEEDED = ("tpe", "random")  # they take their seed as an argument


class NNISearch(BlackBoxSearch):
    """A tuner of NNI 3.0 (github.com/microsoft/nni, nni/algorithms/hpo) without its server: made, asked and told in
    this process. Every connection is a choice of its operation.

    Members that the tuner did not suggest reach it by `import_data`, where it has that.
    """

    tuner: ClassVar[str]

    def _make_sampler(self) -> None:
        if len(self.objectives) > 1:
            raise UserError(f"{self.name} minimises one objective: give objectives penalty, or take nsga2")
        if find_spec("nni") is None:
            raise UserError(f"{self.name} needs the package nni: pip install 'nasface[nni]'")
        seed = int(self._rng.integers(2**31))
        self._python_random = random.Random(seed).getstate()
        self._numpy_random = np.random.RandomState(seed).get_state()
        self._names = [f"c{place:03d}" for place in range(self.space.num_connections)]
        self._asked = 0
        space = {name: {"_type": "choice", "_value": list(range(len(OPERATIONS)))} for name in self._names}
        with self._own_randomness():
            module = importlib.import_module(f"nni.algorithms.hpo.{self.tuner}_tuner")
            seeds = {"seed": seed} if self.tuner in _SEEDED else {}
            self._tuner = getattr(module, _TUNERS[self.tuner])(optimize_mode="minimize", **seeds)
            self._tuner.update_search_space(space)
            if self.tuner == "evolution":
                # Its generator is made inside, without a seed: begin the population again with one.
                self._tuner.random_state.seed(seed)
                self._tuner.population = []
                for _ in range(self._tuner.population_size):
                    self._tuner._random_generate_individual()

    def _suggest(self) -> tuple[Any, list[int]] | None:
        from nni import NoMoreTrialError

        self._asked += 1
        try:
            with self._own_randomness():
                parameters = self._tuner.generate_parameters(self._asked)
        except NoMoreTrialError:
            return None
        return (self._asked, parameters), [int(parameters[name]) for name in self._names]

    def _impose(self, codes: Sequence[int]) -> Any:
        return None, dict(zip(self._names, map(int, codes), strict=True))

    def _report(self, handle: Any, values: Sequence[float]) -> None:
        number, parameters = handle
        with self._own_randomness():
            if number is None:
                self._tuner.import_data([{"parameter": parameters, "value": values[0]}])
                return
            self._tuner.receive_trial_result(number, parameters, values[0])
            self._tuner.trial_end(number, True)

    @contextmanager
    def _own_randomness(self) -> Iterator[None]:
        """Some tuners draw from Python's and numpy's global generators: lend them states of this strategy."""
        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
        random.setstate(self._python_random)
        np.random.set_state(self._numpy_random)  # noqa: NPY002
        logging.getLogger("nni").setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings(action="ignore"):
                yield
        finally:
            self._python_random, self._numpy_random = random.getstate(), np.random.get_state()  # noqa: NPY002
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def _register(tuner: str) -> None:
    text = f"NNI's {tuner} tuner over the coded space; see `NNISearch`."
    register(type(f"NNI_{tuner}", (NNISearch,), {"name": f"nni/{tuner}", "tuner": tuner, "__doc__": text}))


for _tuner in _TUNERS:
    _register(_tuner)
