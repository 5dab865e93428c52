"""Local search: go to a better neighbour until there is none, then start again somewhere else."""

from __future__ import annotations

from collections.abc import Sequence

from nasface.search.budget import BudgetedStrategy
from nasface.search.registry import register
from nasface.search.strategy import Outcome, Proposal
from nasface.space.neighbours import neighbours
from nasface.space.space import Architecture


@register
class LocalSearch(BudgetedStrategy):
    """White, Nolen and Savani, "Exploring the loss landscape in neural architecture search", UAI 2021, with the first
    improvement instead of the best: a member of a multi-path space has hundreds of neighbours.

    The neighbours of the current member are tried in a random order; the first one that is better becomes the current
    one. When none is better, the search starts again from a uniformly random new member. Only a better penalty
    matters, so an evaluation may stop at the current one's.
    """

    name = "local"

    _current: tuple[Architecture, float] | None = None
    _untried: Sequence[Architecture] = ()  # neighbours of the current member, the next one last

    def status(self) -> dict[str, float]:
        status = super().status()
        return status if self._current is None else status | {"current": self._current[1]}

    def _next(self) -> Proposal | None:
        while self._current is not None and self._untried:
            *self._untried, neighbour = self._untried
            if self._is_new(neighbour):
                return Proposal(neighbour, self._current[1])
        if self._open:
            return None  # one of them may be better: the current member is no local minimum yet
        self._current = None
        return self._propose_exact(self._draw())

    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        penalty = float(outcome.penalty)
        if not outcome.complete or (self._current is not None and not penalty < self._current[1]):
            return
        self._current = (proposal.architecture, penalty)
        around = list(neighbours(proposal.architecture))
        self._untried = [around[place] for place in self._rng.permutation(len(around))]
