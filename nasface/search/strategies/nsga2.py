"""NSGA-II: a population that moves towards the Pareto front of several objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasface.search.budget import BudgetedStrategy
from nasface.search.coding import project
from nasface.search.objectives import crowding, fronts, objective_values, require_objectives
from nasface.search.registry import register
from nasface.search.strategy import Constraint, Outcome, Proposal, require_count
from nasface.space.neighbours import random_neighbour
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError

_TRIES = 100


@register
class NSGA2(BudgetedStrategy):
    """Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE
    Transactions on Evolutionary Computation 6(2), 2002.

    The first `population` members are uniformly random. A generation has as many children: parents win binary
    tournaments (lower front, then more room around), a child takes each connection from either parent with probability
    `crossover` (else it is the first parent), stands for the nearest member, and makes one random move. Parents and
    children together are cut to the best `population`. With several workers a generation waits for the last outcome of
    the one before.

    Args beside those of `BudgetedStrategy`:
        population: members of a generation.
        crossover: probability of having two parents.
        objectives: what is minimised: `penalty` first, then names of the evaluations' costs.
    """

    name = "nsga2"

    def __init__(
        self,
        space: MultipathSpace,
        seed: int = 0,
        evaluations: int = 200,
        population: int = 20,
        crossover: float = 0.9,
        objectives: Sequence[str] = ("penalty",),
        constraints: Sequence[Constraint] = (),
    ) -> None:
        super().__init__(space, seed, evaluations, constraints)
        self.population = require_count("population", population)
        self.crossover = float(crossover)
        if not 0 <= self.crossover <= 1:
            raise UserError(f"crossover must be a probability from 0 to 1, not {crossover!r}")
        self.objectives = require_objectives(objectives)
        self._parents: list[tuple[Architecture, list[float]]] = []
        self._children: list[tuple[Architecture, list[float]]] = []
        self._asked = 0

    def _next(self) -> Proposal | None:
        if self._asked == self.population:
            if self._open:
                return None
            self._select()
        proposal = self._propose_exact(self._child() if self._parents else self._draw())
        self._asked += proposal is not None
        return proposal

    def _select(self) -> None:
        """The best of parents and children by front, within the last front by crowding distance."""
        both = self._parents + self._children
        order = np.lexsort((-self._room(both), self._ranks(both)))
        self._parents, self._children, self._asked = [both[place] for place in order[: self.population]], [], 0

    def _ranks(self, members: list[tuple[Architecture, list[float]]]) -> np.ndarray:
        return fronts(np.array([values for _, values in members]))

    def _room(self, members: list[tuple[Architecture, list[float]]]) -> np.ndarray:
        values, ranks = np.array([values for _, values in members]), self._ranks(members)
        room = np.zeros(len(members))
        for rank in range(ranks.max() + 1):
            room[ranks == rank] = crowding(values[ranks == rank])
        return room

    def _child(self) -> Architecture | None:
        ranks, room = self._ranks(self._parents), self._room(self._parents)
        for _ in range(_TRIES):
            first, second = self._winner(ranks, room), self._winner(ranks, room)
            child = first
            if self._rng.random() < self.crossover:
                mask = self._rng.random(len(first.codes)) < 0.5
                child = project(self.space, np.where(mask, first.codes, second.codes).tolist())
            child = random_neighbour(child, self._rng)
            if self._is_new(child):
                return child
        return self._draw()

    def _winner(self, ranks: np.ndarray, room: np.ndarray) -> Architecture:
        places = self._rng.integers(len(self._parents), size=2)
        return self._parents[min(places, key=lambda place: (ranks[place], -room[place]))][0]

    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        self._children.append((proposal.architecture, objective_values(self.objectives, outcome)))
