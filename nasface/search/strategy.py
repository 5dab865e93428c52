"""What a search strategy is: it proposes members of a space and learns their penalties. It knows nothing of networks.

Lower is better, everywhere: a penalty is an error (NME in percent), and `best` is the smallest one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from nasface.errors import UserError
from nasface.space.architecture import Architecture
from nasface.space.space import MultipathSpace


@dataclass(frozen=True)
class Proposal:
    """A member to evaluate.

    Attributes:
        architecture: canonical member of the space.
        reject_above: an evaluation that is certain to end at this penalty or a higher one may stop and tell the lower
            bound that it has proven. `math.inf`: the exact penalty is wanted.
    """

    architecture: Architecture
    reject_above: float = math.inf


@dataclass(frozen=True)
class Outcome:
    """What an evaluation found.

    Attributes:
        penalty: NME in percent, lower is better; of a stopped evaluation the proven lower bound (>= its
            `reject_above`).
        complete: False when the evaluation stopped early.
        details: anything that JSON can hold. Names that the reports know: "nme" (the three yaw bins' NME in percent),
            "nme_all" (over all images) and "saved" (share of the plain evaluations' work not done so far, 0..1).
    """

    penalty: float
    complete: bool = True
    details: Mapping[str, Any] = field(default_factory=dict)


class Strategy(ABC):
    """Base of all strategies: strict bookkeeping around two small methods, `_propose` and `_learn`.

    The caller alternates `ask` and `tell`. Until its outcome is told, `ask` repeats the open proposal, so that a state
    saved between the two loses nothing. Given the same space, settings (seed included) and outcomes, a strategy
    proposes the same members: this is what a resume by replay rests on. All randomness comes from `_rng`.
    """

    name: ClassVar[str]

    def __init__(self, space: MultipathSpace, seed: int) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise UserError(f"seed must be a whole number >= 0, not {seed!r}")
        self.space = space
        self.seed = seed
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._open: Proposal | None = None
        self._best: tuple[Architecture, float] | None = None
        # digest -> (penalty, complete): exact penalties, and lower bounds of the members whose evaluation stopped
        # early.
        self._known: dict[str, tuple[float, bool]] = {}
        self._told = 0

    # What a strategy defines -----------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Every setting, seed included, as JSON can hold it: what a resumed study is checked against."""

    @property
    @abstractmethod
    def progress(self) -> tuple[int, int]:
        """(done, total) in the strategy's own unit; done == total when `ask` has nothing more to propose."""

    @abstractmethod
    def _propose(self) -> Proposal | None:
        """The next member to evaluate, or None at the end. Must never loop without bound."""

    @abstractmethod
    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        """Take in the outcome of the open proposal; `best` and `_known` are up to date already."""

    def _state(self) -> dict[str, Any]:
        """What a subclass has to remember beyond the base's fields, as JSON can hold it."""
        return {}

    def _load_state(self, state: Mapping[str, Any]) -> None:
        """Inverse of `_state`."""
        del state  # the base remembers nothing here

    def status(self) -> dict[str, float]:
        """Finite numbers worth logging; a name is absent as long as it has no value."""
        status = {"evaluations": float(self._told)}
        if self._best is not None:
            status["incumbent"] = self._best[1]
        return status

    # What the caller uses --------------------------------------------------------------------------------------------

    @property
    def best(self) -> tuple[Architecture, float] | None:
        """The member with the lowest complete penalty so far (the first of equals), or None."""
        return self._best

    @property
    def evaluations(self) -> int:
        """Outcomes told so far, stopped ones included."""
        return self._told

    def ask(self) -> Proposal | None:
        """The member to evaluate next; None when the budget or the space is exhausted."""
        if self._open is None:
            self._open = self._propose()
        return self._open

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Give the outcome of the open proposal.

        Raises:
            ValueError: nothing was asked, another member was asked, the penalty is not finite, or a stopped evaluation
                did not reach its `reject_above`.
        """
        if self._open is None:
            raise ValueError("tell without ask: there is no open proposal")
        if proposal != self._open:
            raise ValueError(
                f"told {proposal.architecture.digest} (reject_above {proposal.reject_above}), but asked for "
                f"{self._open.architecture.digest} (reject_above {self._open.reject_above})"
            )
        digest, penalty = proposal.architecture.digest, float(outcome.penalty)
        if not math.isfinite(penalty):
            raise ValueError(f"the penalty of {digest} is {penalty}")
        if not outcome.complete and not penalty >= proposal.reject_above:
            raise ValueError(f"{digest} was stopped at {penalty}, below its threshold {proposal.reject_above}")
        self._known[digest] = (penalty, outcome.complete)
        if outcome.complete and (self._best is None or penalty < self._best[1]):
            self._best = (proposal.architecture, penalty)
        self._told += 1
        self._open = None
        self._learn(proposal, outcome)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the strategy remembers, open proposal included, as JSON can hold it."""
        return {
            "strategy": self.name,
            "settings": self.settings,
            "rng": self._rng.bit_generator.state,
            "open": None
            if self._open is None
            else {
                "codes": _codes(self._open.architecture),
                "reject_above": None if math.isinf(self._open.reject_above) else self._open.reject_above,
            },
            "best": None if self._best is None else {"codes": _codes(self._best[0]), "penalty": self._best[1]},
            "known": {digest: list(entry) for digest, entry in self._known.items()},
            "told": self._told,
            "own": self._state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `state_dict` was called on a strategy of the same class, space and settings.

        Raises:
            UserError: the state is of another strategy or of other settings.
        """
        for key, mine in (("strategy", self.name), ("settings", self.settings)):
            if state.get(key) != mine:
                raise UserError(f"the search state is of {key} {state.get(key)!r}, not {mine!r}: use its own settings")
        self._rng.bit_generator.state = state["rng"]
        opened, best = state["open"], state["best"]
        self._open = None
        if opened is not None:
            bound = opened["reject_above"]
            self._open = Proposal(self._architecture(opened["codes"]), math.inf if bound is None else float(bound))
        self._best = None if best is None else (self._architecture(best["codes"]), float(best["penalty"]))
        self._known = {digest: (float(penalty), bool(done)) for digest, (penalty, done) in state["known"].items()}
        self._told = int(state["told"])
        self._load_state(state["own"])

    def _architecture(self, codes: list[int]) -> Architecture:
        return Architecture(self.space, tuple(codes))


def _codes(architecture: Architecture) -> list[int]:
    return [int(code) for code in architecture.codes]


def require_count(name: str, value: object) -> int:
    """`value` as a whole number >= 1.

    Raises:
        UserError: it is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{name} must be a whole number >= 1, not {value!r}")
    return value
