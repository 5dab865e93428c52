"""Random search and random sampling: the baselines that every other strategy is compared with."""

from __future__ import annotations

from collections.abc import Sequence

from nasface.search.budget import BudgetedStrategy
from nasface.search.registry import register
from nasface.search.strategy import Constraint, Outcome, Proposal
from nasface.space.space import MultipathSpace


@register
class RandomSearch(BudgetedStrategy):
    """Unique members, uniformly random over the space, without looking at any penalty.

    Only the minimum matters, so an evaluation may stop once it cannot beat the best one so far.
    """

    name = "random"

    def _next(self) -> Proposal | None:
        proposal = self._propose_exact(self._draw())
        if proposal is None or self._best is None:
            return proposal
        return Proposal(proposal.architecture, self._best[1])

    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        del proposal, outcome  # random search learns nothing


@register
class RandomSample(RandomSearch):
    """One uniform draw from the space: what a search has to beat, at hardly any cost.

    Lindauer and Hutter, "Best practices for scientific research on neural architecture search", JMLR 21(243), 2020,
    ask for it beside random search.
    """

    name = "random-sample"

    def __init__(self, space: MultipathSpace, seed: int = 0, constraints: Sequence[Constraint] = ()) -> None:
        super().__init__(space, seed, 1, constraints)
