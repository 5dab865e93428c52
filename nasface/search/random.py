"""Random search: the baseline that every other strategy is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasface.search.strategy import Outcome, Proposal, Strategy, require_count
from nasface.space.space import MultipathSpace

# A draw finds a new member with probability (n - k) / n after k of n; this many times the expected draws fail with
# probability below exp(-50).
_PATIENCE = 50


class RandomSearch(Strategy):
    """Unique members, uniformly random over the space, without looking at any penalty.

    Only the minimum matters, so an evaluation may stop once it cannot beat the best one so far.

    Args:
        space: the space; members are its `random_architecture`.
        seed: of everything random, >= 0.
        evaluations: how many members to evaluate; fewer if the space has fewer.

    Raises:
        UserError: a setting is out of its range.
    """

    name = "random"

    def __init__(self, space: MultipathSpace, seed: int = 0, evaluations: int = 200) -> None:
        super().__init__(space, seed)
        self.budget = require_count("evaluations", evaluations)
        self._exhausted = False

    @property
    def settings(self) -> dict[str, Any]:
        return {"seed": self.seed, "evaluations": self.budget}

    @property
    def progress(self) -> tuple[int, int]:
        return self._told, self._told if self._exhausted else self.budget

    def _propose(self) -> Proposal | None:
        if self._told >= self.budget or self._exhausted:
            return None
        left = self.space.count_members() - len(self._known)
        tries = _PATIENCE * -(-(left + len(self._known)) // left) if left > 0 else 0
        for _ in range(tries):
            architecture = self.space.random_architecture(self._rng)
            if architecture.digest not in self._known:
                return Proposal(architecture) if self._best is None else Proposal(architecture, self._best[1])
        self._exhausted = True
        return None

    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        del proposal, outcome  # random search learns nothing

    def _state(self) -> dict[str, Any]:
        return {"exhausted": self._exhausted}

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self._exhausted = bool(state["exhausted"])
