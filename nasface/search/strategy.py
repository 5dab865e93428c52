"""What a search strategy is: it proposes members of a space and learns their penalties. It knows nothing of networks.

Lower is better, everywhere: a penalty is an error (NME in percent), and `best` is the smallest one.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from nasface.space.neighbours import random_neighbour
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError

# A draw finds a new member with probability (n - k) / n after k of n; this many times the expected draws fail with
# probability below exp(-50).
_PATIENCE = 50
# Uniform draws before a member within the constraints is looked for by going downhill, and the steps of such a walk.
_DRAWS, _WALKS, _WALK = 1000, 20, 400
_NEIGHBOURS = 200


@dataclass(frozen=True)
class Constraint:
    """An upper limit on what a member costs, cheap enough to be checked before any evaluation.

    Attributes:
        name: such as `macs`.
        limit: greatest value that is allowed, in the measure's unit.
        measure: a member's value.
    """

    name: str
    limit: float
    measure: Callable[[Architecture], float]


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
            "costs" maps what the member costs (macs, ...) to numbers: the further objectives of a search for several.
    """

    penalty: float
    complete: bool = True
    details: Mapping[str, Any] = field(default_factory=dict)


class Strategy(ABC):
    """Base of all strategies: strict bookkeeping around two small methods, `_propose` and `_learn`.

    One worker alternates `ask` and `tell`: until its outcome is told, `ask` repeats the open proposal, so that a state
    saved between the two loses nothing. Several workers take further members by `ask_another` and tell in any order.
    Given the same space, settings (seed included) and the same sequence of asks and outcomes, a strategy proposes the
    same members: this is what a resume by replay rests on. All randomness comes from `_rng`.

    Args:
        space: the space of the members.
        seed: of everything random, >= 0.
        constraints: limits that every proposed member keeps.
    """

    name: ClassVar[str]

    def __init__(self, space: MultipathSpace, seed: int, constraints: Sequence[Constraint] = ()) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise UserError(f"seed must be a whole number >= 0, not {seed!r}")
        self.space = space
        self.seed = seed
        self.constraints = tuple(constraints)
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._open: list[Proposal] = []
        self._best: tuple[Architecture, float] | None = None
        # digest -> (penalty, complete): exact penalties, and lower bounds of the members whose evaluation stopped
        # early.
        self._known: dict[str, tuple[float, bool]] = {}
        # digest -> the constraint that a drawn member broke.
        self._rejected: dict[str, str] = {}
        self._told = 0
        self._history: list[list[Any]] = []  # see `state_dict`

    # What a strategy defines -----------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def progress(self) -> tuple[int, int]:
        """(done, total) in the strategy's own unit; done == total when `ask` has nothing more to propose."""

    @abstractmethod
    def _propose(self) -> Proposal | None:
        """The next member to evaluate, none of the open ones; None at the end, or as long as the next one depends on
        the outcomes of open ones. Must never loop without bound."""

    @abstractmethod
    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        """Take in the outcome of a proposal; `best`, `_known` and `_open` are up to date already."""

    def _settings(self) -> dict[str, Any]:
        """Every setting but the base's, as JSON can hold it: the arguments of `__init__`, each kept under its name."""
        own = inspect.signature(type(self)).parameters.keys() - {"space", "seed", "constraints"}
        values = {name: getattr(self, name) for name in sorted(own) if hasattr(self, name)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def status(self) -> dict[str, float]:
        """Finite numbers worth logging; a name is absent as long as it has no value."""
        status = {"evaluations": float(self._told)}
        if self.constraints:
            status["rejected"] = float(len(self._rejected))
        if self._best is not None:
            status["incumbent"] = self._best[1]
        return status

    # What the caller uses --------------------------------------------------------------------------------------------

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting, seed and limits included, as JSON can hold it: what a resumed study is checked against."""
        limits = {constraint.name: constraint.limit for constraint in self.constraints}
        return {"seed": self.seed, **self._settings(), **({"constraints": limits} if limits else {})}

    @property
    def best(self) -> tuple[Architecture, float] | None:
        """The member with the lowest complete penalty so far (the first of equals), or None."""
        return self._best

    @property
    def evaluations(self) -> int:
        """Outcomes told so far, stopped ones included."""
        return self._told

    @property
    def open(self) -> tuple[Proposal, ...]:
        """What was asked and not told yet, oldest first."""
        return tuple(self._open)

    @property
    def rejected(self) -> dict[str, int]:
        """How many members each constraint has kept from being evaluated."""
        names = list(self._rejected.values())
        return {constraint.name: names.count(constraint.name) for constraint in self.constraints}

    def ask(self) -> Proposal | None:
        """The member to evaluate next, the same one until it is told; None when the budget or the space is
        exhausted."""
        return self._open[0] if self._open else self.ask_another()

    def ask_another(self) -> Proposal | None:
        """A member to evaluate beside the open ones. None: with open proposals, wait until one of them is told;
        without, the budget or the space is exhausted."""
        self._history.append(["ask"])
        proposal = self._propose()
        if proposal is not None:
            self._open.append(proposal)
        return proposal

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Give the outcome of an open proposal.

        Raises:
            ValueError: nothing was asked, another member was asked, the penalty is not finite, or a stopped evaluation
                did not reach its `reject_above`.
        """
        if not self._open:
            raise ValueError("tell without ask: there is no open proposal")
        if proposal not in self._open:
            asked = ", ".join(f"{one.architecture.digest} (reject_above {one.reject_above})" for one in self._open)
            raise ValueError(
                f"told {proposal.architecture.digest} (reject_above {proposal.reject_above}), but asked for {asked}"
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
        self._history.append(["tell", self._open.index(proposal), penalty, outcome.complete, dict(outcome.details)])
        self._open.remove(proposal)
        self._learn(proposal, outcome)

    def state_dict(self) -> dict[str, Any]:
        """Everything that was asked and told, open proposals included, as JSON can hold it."""
        return {"strategy": self.name, "settings": self.settings, "history": list(self._history)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `state_dict` was called on a strategy of the same class, space and settings: a fresh one
        is asked and told it all again.

        Raises:
            UserError: the state is of another strategy or of other settings.
            ValueError: this strategy was asked already.
        """
        if self._history:
            raise ValueError("a state needs a fresh strategy: it is asked and told everything again")
        for key, mine in (("strategy", self.name), ("settings", self.settings)):
            if state.get(key) != mine:
                raise UserError(f"the search state is of {key} {state.get(key)!r}, not {mine!r}: use its own settings")
        for kind, *told in state["history"]:
            if kind == "ask":
                self.ask_another()
            else:
                place, penalty, complete, details = told
                self.tell(self._open[place], Outcome(penalty, complete, details))

    # What strategies draw from ---------------------------------------------------------------------------------------

    def _admits(self, architecture: Architecture) -> bool:
        """Whether a member keeps all limits; one that does not is counted."""
        digest = architecture.digest
        if digest in self._known:
            return True
        if digest not in self._rejected:
            broken = next((one for one in self.constraints if not one.measure(architecture) <= one.limit), None)
            if broken is None:
                return True
            self._rejected[digest] = broken.name
        return False

    def _is_open(self, digest: str) -> bool:
        return any(one.architecture.digest == digest for one in self._open)

    def _is_new(self, architecture: Architecture) -> bool:
        """Whether a member may be proposed: never evaluated, not open, within the limits."""
        digest = architecture.digest
        return digest not in self._known and not self._is_open(digest) and self._admits(architecture)

    def _draw(self) -> Architecture | None:
        """A new member, uniform over those that the space draws at random, and over all others when none of these is
        left; None when there is none at all.

        Where limits are so tight that uniform draws meet none, members come from random walks that only go towards the
        limits, and are no longer uniform.

        Raises:
            UserError: no member within the limits was found at all.
        """
        if self._left() > 0:
            if found := self._draw_of(self.space):
                return found
            if self.space.drawn and not self.constraints and (found := self._draw_of(replace(self.space, drawn=None))):
                return Architecture(self.space, found.codes)
        if not self.constraints:
            return None
        found = self._walk_to_limits()
        if found is None and not self._known and not self._open:
            limits = " and ".join(f"{one.name} <= {one.limit:g}" for one in self.constraints)
            raise UserError(f"no member of {self.space.title} with {limits} was found: raise the limit")
        return found

    def _draw_of(self, space: MultipathSpace) -> Architecture | None:
        """A new member that a space draws. One that is left is missed with a probability below exp(-50)."""
        drawable = space.count_canonical(space.drawn or space.connections)
        tries = _PATIENCE * -(-drawable // max(1, drawable - (self.space.count_members() - self._left())))
        for _ in range(min(tries, _DRAWS) if self.constraints else tries):
            architecture = space.random_architecture(self._rng)
            if self._is_new(architecture):
                return architecture
        return None

    def _left(self) -> int:
        """How many members were neither evaluated nor rejected, and are not open."""
        open_ones = sum(one.architecture.digest not in self._known for one in self._open)
        return self.space.count_members() - len(self._known) - len(self._rejected) - open_ones

    def _walk_to_limits(self) -> Architecture | None:
        for _ in range(_WALKS):
            if self._left() <= 0:
                return None
            current = self.space.random_architecture(self._rng)
            excess = self._excess(current)
            for _ in range(_WALK):
                neighbour = random_neighbour(current, self._rng)
                if (next_excess := self._excess(neighbour)) <= excess:
                    current, excess = neighbour, next_excess
                if self._is_new(neighbour):
                    return neighbour
        return None

    def _excess(self, architecture: Architecture) -> float:
        """By how much a member breaks the limits, 0 within them."""
        return sum(max(0.0, one.measure(architecture) / one.limit - 1) for one in self.constraints)

    def _draw_neighbour(self, architecture: Architecture, moves: int = 1) -> Architecture | None:
        """A random neighbour within the limits, known ones included; None where none was met."""
        for _ in range(_NEIGHBOURS if self.constraints else 1):
            neighbour = random_neighbour(architecture, self._rng, moves)
            if self._admits(neighbour):
                return neighbour
        return None

    def _draw_new_neighbour(self, architecture: Architecture, moves: int = 1) -> Architecture | None:
        """A new member a few random moves away; as many more moves away as it takes, at last anywhere."""
        for more in range(_PATIENCE):
            neighbour = random_neighbour(architecture, self._rng, moves + more // 10)
            if self._is_new(neighbour):
                return neighbour
        return self._draw()


def require_count(name: str, value: object) -> int:
    """`value` as a whole number >= 1.

    Raises:
        UserError: it is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{name} must be a whole number >= 1, not {value!r}")
    return value
