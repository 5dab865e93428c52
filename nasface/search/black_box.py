"""Samplers of other packages over the coded space, where a member is a list of numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from nasface.search.budget import BudgetedStrategy
from nasface.search.coding import project
from nasface.search.objectives import objective_values, require_objectives
from nasface.search.strategy import Constraint, Outcome, Proposal
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError


class BlackBoxSearch(BudgetedStrategy):
    """A sampler that suggests an operation for every connection, not knowing which codes are members.

    A suggestion stands for the nearest member (`nasface.search.coding`). One that is known already is answered from
    memory, one beyond a limit with more than the worst value so far, and neither is evaluated; after some of
    these in a row, and at the start, members are drawn uniformly and made known to the sampler.

    Args beside those of `BudgetedStrategy`:
        startup: members drawn uniformly before the sampler is asked.
        objectives: what is minimised: `penalty` alone, or with names of the evaluations' costs.

    Raises:
        UserError: a setting is out of its range, or the sampler's package is not installed.
    """

    def __init__(
        self,
        space: MultipathSpace,
        seed: int = 0,
        evaluations: int = 200,
        startup: int = 10,
        objectives: Sequence[str] = ("penalty",),
        constraints: Sequence[Constraint] = (),
    ) -> None:
        super().__init__(space, seed, evaluations, constraints)
        if isinstance(startup, bool) or not isinstance(startup, int) or startup < 0:
            raise UserError(f"startup must be a whole number >= 0, not {startup!r}")
        self.startup = startup
        self.objectives = require_objectives(objectives)
        self._handles: dict[str, Any] = {}
        self._values: dict[str, list[float]] = {}
        self._make_sampler()

    # Suggestions in a row that stand for no new member, after which one is drawn at random.
    suggestions: ClassVar[int] = 30

    # What a sampler defines ------------------------------------------------------------------------------------------

    @abstractmethod
    def _make_sampler(self) -> None:
        """A fresh sampler, seeded by `seed`."""

    @abstractmethod
    def _suggest(self) -> tuple[Any, list[int]] | None:
        """(handle, codes) of the sampler's next suggestion; None when it has no more."""

    @abstractmethod
    def _impose(self, codes: Sequence[int]) -> Any:
        """The handle of a member that the sampler did not suggest."""

    @abstractmethod
    def _report(self, handle: Any, values: Sequence[float]) -> None:
        """Give the sampler the objectives' values of a suggestion, lower is better."""

    # The loop --------------------------------------------------------------------------------------------------------

    def _next(self) -> Proposal | None:
        if self._told + len(self._open) >= self.startup:
            for _ in range(self.suggestions):
                suggestion = self._suggest()
                if suggestion is None:
                    break
                handle, codes = suggestion
                member = project(self.space, codes)
                if self._is_new(member):
                    return self._hold(member, handle)
                self._answer(handle, member)
        drawn = self._draw()
        return self._propose_exact(None) if drawn is None else self._hold(drawn, self._impose(drawn.codes))

    def _hold(self, member: Architecture, handle: Any) -> Proposal | None:
        self._handles[member.digest] = handle
        return self._propose_exact(member)

    def _answer(self, handle: Any, member: Architecture) -> None:
        """Answer a suggestion that is not evaluated. What an open member will score is unknown: as the worst."""
        worst = [max(column) for column in zip(*self._values.values(), strict=True)] or [1.0] * len(self.objectives)
        excess = self._excess(member)
        self._report(handle, self._values.get(member.digest, [value * (1 + excess) for value in worst]))

    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        digest = proposal.architecture.digest
        values = objective_values(self.objectives, outcome)
        self._values[digest] = values
        self._report(self._handles.pop(digest), values)
