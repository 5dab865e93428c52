"""Regularized evolution: the oldest member of the population dies, not the worst."""

from __future__ import annotations

from collections.abc import Sequence

from nasface.search.budget import BudgetedStrategy
from nasface.search.registry import register
from nasface.search.strategy import Constraint, Outcome, Proposal, require_count
from nasface.space.space import Architecture, MultipathSpace


@register
class RegularizedEvolution(BudgetedStrategy):
    """Real, Aggarwal, Huang and Le, "Regularized evolution for image classifier architecture search", AAAI 2019,
    algorithm 1.

    The first `population` members are uniformly random. Then each new member is a random neighbour of the best of
    `sample` members drawn from the population, and takes the place of the oldest. It never looks at a member twice: a
    child that is known already is drawn again, a little further away each time.

    Args beside those of `BudgetedStrategy`:
        population: the paper's P.
        sample: the paper's S, the tournament's size.
    """

    name = "evolution"

    def __init__(
        self,
        space: MultipathSpace,
        seed: int = 0,
        evaluations: int = 200,
        population: int = 20,
        sample: int = 5,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        super().__init__(space, seed, evaluations, constraints)
        self.population = require_count("population", population)
        self.sample = require_count("sample", sample)
        self._living: list[tuple[Architecture, float]] = []

    def _next(self) -> Proposal | None:
        if not self._living or self._told + len(self._open) < self.population:
            return self._propose_exact(self._draw())
        drawn = self._rng.integers(len(self._living), size=self.sample)
        parent = min((self._living[place] for place in drawn), key=lambda member: member[1])
        return self._propose_exact(self._draw_new_neighbour(parent[0]))

    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        self._living.append((proposal.architecture, float(outcome.penalty)))
        del self._living[: -self.population]
