"""Strategies that evaluate a given number of new members: all but SAMOS, whose budget is iterations."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from nasface.search.strategy import Constraint, Proposal, Strategy, require_count
from nasface.space.space import Architecture, MultipathSpace


class BudgetedStrategy(Strategy):
    """A strategy that ends after `evaluations` outcomes, or earlier when the space has no further member.

    Args:
        space: the space of the members.
        seed: of everything random, >= 0.
        evaluations: how many members to evaluate; fewer if the space has fewer.
        constraints: limits that members keep.

    Raises:
        UserError: a setting is out of its range.
    """

    def __init__(
        self, space: MultipathSpace, seed: int = 0, evaluations: int = 200, constraints: Sequence[Constraint] = ()
    ) -> None:
        super().__init__(space, seed, constraints)
        self.budget = require_count("evaluations", evaluations)
        self._exhausted = False

    @abstractmethod
    def _next(self) -> Proposal | None:
        """As `_propose`, within the budget; an end of the space is told by `self._exhausted = True`."""

    @property
    def progress(self) -> tuple[int, int]:
        return self._told, self._told + len(self._open) if self._exhausted else self.budget

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | {"evaluations": self.budget}

    def _propose(self) -> Proposal | None:
        if self._exhausted or self._told + len(self._open) >= self.budget:
            return None
        return self._next()

    def _propose_exact(self, architecture: Architecture | None) -> Proposal | None:
        """A proposal whose exact penalty is wanted; no member is the end of the space."""
        if architecture is None:
            self._exhausted = True
            return None
        return Proposal(architecture)
