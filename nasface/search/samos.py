"""SAMOS: simulated annealing based multi-path one-shot search (the MONAS paper, Algorithm 2 and section IV-B)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from nasface.errors import UserError
from nasface.search.strategy import Outcome, Proposal, Strategy, require_count
from nasface.space.architecture import Architecture
from nasface.space.space import MultipathSpace


@dataclass(frozen=True)
class Step:
    """One of Algorithm 2's iterations.

    Attributes:
        digest: of the neighbour that was considered.
        penalty: its penalty in percent, or the lower bound at which it was rejected.
        accepted: it became the current member.
        temperature: at the decision, before the update.
        known: it was decided from an earlier evaluation, without a new one.
    """

    digest: str
    penalty: float
    accepted: bool
    temperature: float
    known: bool


def acceptance_threshold(current: float, temperature: float, u: float) -> float:
    """The penalty below which Algorithm 2 accepts a neighbour: accept if and only if `penalty < threshold`.

    Algorithm 2 accepts if dp < 0 or u < exp(-dp / T), with dp = penalty - current and u uniform in [0, 1). Since u < 1
    the first case is contained in the second, and the second is penalty < current - T ln(u). The threshold depends on
    nothing but u, the temperature and the current penalty, so it is known before the neighbour is evaluated.

    Two edges: u = 0 accepts everything (inf), and an equal penalty (dp = 0, exp(0) = 1 > u) is always accepted, also
    where T ln(u) is too small to change `current` in floating point.
    """
    if u == 0.0:
        return math.inf
    return max(current - temperature * math.log(u), math.nextafter(current, math.inf))


class SAMOS(Strategy):
    """Algorithm 2. Each iteration draws one neighbour of the current member, decides, then cools: T <- factor * T.

    The first member (uniformly random, or `initial`) is evaluated before the iterations and is not one of them. The
    random number of a decision is drawn before the evaluation, so that a proposal carries the penalty from which on it
    is certain to be rejected; every decision is the same comparison, `penalty < threshold`, whether the evaluation was
    complete or stopped, so both give the same trajectory.

    A neighbour that was met before still is one iteration, but its penalty is looked up. Where only a lower bound is
    known (its evaluation stopped early) and the bound reaches the new threshold, it is rejected on that; otherwise it
    is evaluated once more, to the end. Hence a member has at most one complete evaluation, and at most one stopped one
    before.

    Args:
        space: the space; neighbours are its `random_neighbour`.
        seed: of everything random, >= 0.
        iterations: Algorithm 2's k.
        temperature: the initial temperature, in percent NME.
        factor: the reduce rate, in (0, 1].
        initial: the first member; None draws one uniformly.

    Raises:
        UserError: a setting is out of its range.
    """

    name = "samos"

    def __init__(
        self,
        space: MultipathSpace,
        seed: int = 0,
        iterations: int = 200,
        temperature: float = 2.0**10,
        factor: float = 0.85,
        initial: Architecture | None = None,
    ) -> None:
        super().__init__(space, seed)
        if not (math.isfinite(temperature) and temperature > 0):
            raise UserError(f"temperature must be above 0, not {temperature!r}")
        if not 0 < factor <= 1:
            raise UserError(f"factor must be above 0 and at most 1, not {factor!r}")
        self.iterations = require_count("iterations", iterations)
        self.initial_temperature = float(temperature)
        self.factor = float(factor)
        self.initial = None if initial is None else _member(space, initial)
        self._temperature = self.initial_temperature
        self._current: tuple[Architecture, float] | None = None
        self._threshold = math.inf
        self._steps: list[Step] = []

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "iterations": self.iterations,
            "temperature": self.initial_temperature,
            "factor": self.factor,
            "initial": None if self.initial is None else [int(code) for code in self.initial.codes],
        }

    @property
    def progress(self) -> tuple[int, int]:
        return int(self._current is not None) + len(self._steps), 1 + self.iterations

    @property
    def steps(self) -> tuple[Step, ...]:
        """The iterations so far, in order."""
        return tuple(self._steps)

    @property
    def current(self) -> tuple[Architecture, float] | None:
        """The member whose neighbours are drawn, and its penalty; None before the first outcome."""
        return self._current

    def status(self) -> dict[str, float]:
        status = super().status() | {"temperature": self._temperature, "iteration": float(len(self._steps))}
        if self._current is not None:
            status["current"] = self._current[1]
        if self._steps:
            status["acceptance"] = sum(step.accepted for step in self._steps) / len(self._steps)
            status["known"] = float(sum(step.known for step in self._steps))
        return status

    def _propose(self) -> Proposal | None:
        if self._current is None:
            first = self.space.random_architecture(self._rng) if self.initial is None else self.initial
            return Proposal(first)
        while len(self._steps) < self.iterations:
            neighbour = self.space.random_neighbour(self._current[0], self._rng)
            # u is in [0, 1); it is drawn here, before the evaluation, to know the threshold in advance.
            self._threshold = acceptance_threshold(self._current[1], self._temperature, float(self._rng.random()))
            known = self._known.get(neighbour.digest)
            if known is None:
                return Proposal(neighbour, self._threshold)
            penalty, complete = known
            if not complete and penalty < self._threshold:
                return Proposal(neighbour)  # the bound does not decide: this time to the end
            self._decide(neighbour, penalty, known=True)
        return None

    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        if self._current is None:
            self._current = (proposal.architecture, float(outcome.penalty))
        else:
            self._decide(proposal.architecture, float(outcome.penalty), known=False)

    def _decide(self, neighbour: Architecture, penalty: float, *, known: bool) -> None:
        accepted = penalty < self._threshold
        if accepted:
            self._current = (neighbour, penalty)
        self._steps.append(Step(neighbour.digest, penalty, accepted, self._temperature, known))
        self._temperature *= self.factor

    def _state(self) -> dict[str, Any]:
        current = self._current
        return {
            "temperature": self._temperature,
            "current": None
            if current is None
            else {"codes": [int(code) for code in current[0].codes], "penalty": current[1]},
            "threshold": None if math.isinf(self._threshold) else self._threshold,
            "steps": [list(astuple(step)) for step in self._steps],
        }

    def _load_state(self, state: Mapping[str, Any]) -> None:
        current, threshold = state["current"], state["threshold"]
        self._temperature = float(state["temperature"])
        self._current = None
        if current is not None:
            self._current = (self._architecture(current["codes"]), float(current["penalty"]))
        self._threshold = math.inf if threshold is None else float(threshold)
        self._steps = [Step(*step) for step in state["steps"]]


def _member(space: MultipathSpace, architecture: Architecture) -> Architecture:
    codes = architecture.canonical.codes
    if not space.is_member(codes):
        raise UserError(
            f"the initial architecture {architecture} is not a member of {space.title}: give one of that space"
        )
    return Architecture(space, codes)
