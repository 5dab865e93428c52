"""The evolutionary search of Single Path One-Shot: generations of mutants and crossovers of the best so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasface.search.budget import BudgetedStrategy
from nasface.search.coding import project
from nasface.search.registry import register
from nasface.search.strategy import Constraint, Outcome, Proposal, require_count
from nasface.space.space import OPERATIONS, Architecture, MultipathSpace
from nasface.utils.errors import UserError

_TRIES = 100


@register
class SPOSEvolution(BudgetedStrategy):
    """Guo et al., "Single path one-shot neural architecture search with uniform sampling", ECCV 2020, algorithm 1.

    The first generation is random. Each further one holds `population` / 2 mutants (of a random one of the `top` best
    members so far, every connection drawn again with probability `mutation`) and as many crossovers (of a random pair
    of them, each connection from either), and random members where these yield too few new ones. A code that is no
    member stands for the nearest one. Generations are told apart only by what they were bred from: with several
    workers the next one waits for the last outcome of the one before.

    Args beside those of `BudgetedStrategy` (the paper's 20 generations of 50 are 1000 evaluations):
        population: members of a generation.
        top: members that breed.
        mutation: probability that a connection is drawn again.
    """

    name = "spos"

    def __init__(
        self,
        space: MultipathSpace,
        seed: int = 0,
        evaluations: int = 200,
        population: int = 50,
        top: int = 10,
        mutation: float = 0.1,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        super().__init__(space, seed, evaluations, constraints)
        self.population = require_count("population", population)
        self.top = require_count("top", top)
        if not 0 < mutation <= 1:
            raise UserError(f"mutation must be above 0 and at most 1, not {mutation!r}")
        self.mutation = float(mutation)
        self._elite: list[tuple[Architecture, float]] = []
        self._asked = 0  # members of the current generation that were handed out
        self._parents: list[Architecture] = []

    def _next(self) -> Proposal | None:
        if self._asked == self.population:
            if self._open:
                return None
            self._asked, self._parents = 0, [architecture for architecture, _ in self._elite]
        proposal = self._propose_exact(self._breed())
        self._asked += proposal is not None
        return proposal

    def _breed(self) -> Architecture | None:
        if self._parents:
            breed = self._mutant if self._asked < self.population // 2 else self._crossover
            for _ in range(_TRIES):
                if self._is_new(child := breed()):
                    return child
        return self._draw()

    def _mutant(self) -> Architecture:
        codes = self._parent()
        drawn = self._rng.integers(len(OPERATIONS), size=len(codes))
        return project(self.space, np.where(self._rng.random(len(codes)) < self.mutation, drawn, codes).tolist())

    def _crossover(self) -> Architecture:
        first, second = self._parent(), self._parent()
        return project(self.space, np.where(self._rng.random(len(first)) < 0.5, first, second).tolist())

    def _parent(self) -> np.ndarray:
        return np.array(self._parents[int(self._rng.integers(len(self._parents)))].codes)

    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        self._elite.append((proposal.architecture, float(outcome.penalty)))
        self._elite = sorted(self._elite, key=lambda member: member[1])[: self.top]
