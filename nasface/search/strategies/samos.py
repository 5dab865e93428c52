"""SAMOS: simulated annealing based multi-path one-shot search (the MONAS paper, Algorithm 2 and section IV-B)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nasface.search.registry import register
from nasface.search.strategy import Constraint, Outcome, Proposal, Strategy, require_count
from nasface.space.neighbours import move_probability
from nasface.space.presets import presets_in
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError


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


def acceptance_threshold(current: float, temperature: float, u: float, ratio: float = 1.0) -> float:
    """The penalty below which Algorithm 2 accepts a neighbour: accept if and only if `penalty < threshold`.

    Args:
        current: the current member's penalty.
        temperature: T.
        u: uniform in [0, 1).
        ratio: q, probability of the move back over that of the move; the decision is then Hastings',
            u < q exp(-dp / T), and the threshold current - T ln(u / q).

    Algorithm 2 accepts if dp < 0 or u < exp(-dp / T), with dp = penalty - current and u uniform in [0, 1). Since u < 1
    the first case is contained in the second, and the second is penalty < current - T ln(u). The threshold depends on
    nothing but u, the temperature and the current penalty, so it is known before the neighbour is evaluated.

    Two edges: u = 0 accepts everything (inf), and an equal penalty (dp = 0, exp(0) = 1 > u) is always accepted, also
    where T ln(u) is too small to change `current` in floating point.
    """
    if u == 0.0:
        return math.inf
    if ratio != 1.0:
        return current - temperature * math.log(u / ratio)
    return max(current - temperature * math.log(u), math.nextafter(current, math.inf))


@dataclass
class _Chain:
    """One annealing walk.

    Attributes:
        temperature: of its next decision.
        current: the member whose neighbours are drawn, and its penalty.
        candidate: what is being decided.
        asked: its evaluation was asked by this chain; else it waits for another chain's evaluation of the same member.
        threshold: the penalty from which on the candidate is rejected.
        lowest: the lowest penalty since its start.
        stale: its iterations since then.
        starts: members that it still compares its first one with before it walks.
        walking: the candidate is a neighbour of the current member, or a restart.
    """

    temperature: float
    current: tuple[Architecture, float] | None = None
    candidate: Architecture | None = None
    asked: bool = False
    threshold: float = math.inf
    lowest: float = math.inf
    stale: int = 0
    starts: int = 0
    walking: bool = False


@register
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

    What departs from Algorithm 2; the paper's own is `**PAPER`:

    - the result is the best member that was met, not the one where the walk ends;
    - the temperature is constant and as small as the differences between members (`temperature` 0.1, `factor` 1). The
      paper's 1024 accepts nearly everything for the first 40 of its 200 iterations;
    - the walk begins at the best of `starts` members, the well-known networks of the space (`presets`) among them;
    - the moves are `balanced`: a move that its reverse does not match in probability leads the walk towards members
      with many ways in (smaller ones, in most spaces). The decision takes the ratio of the two probabilities in
      (Hastings, Biometrika 57(1), 1970), so that at any temperature the walk is drawn by penalties alone;
    - a move beyond a limit of cost is drawn again, at once: the walk stays where it is, and no iteration is counted.

    Off by default: several chains, each with a first member and a temperature of its own, that share the iterations and
    what is known; restarts; larger neighbourhoods; and a first temperature that is calibrated. For the last, the first
    `PROBES` iterations accept everything, and T0 becomes the mean rise among them divided by -ln(`acceptance`): the
    temperature at which such a rise is accepted with that probability (Johnson, Aragon, McGeoch and Schevon,
    "Optimization by simulated annealing: an experimental evaluation; part I", Operations Research 37(6), 1989).

    Args:
        space: the space; neighbours are its `random_neighbour`.
        seed: of everything random, >= 0.
        iterations: Algorithm 2's k, of all chains together; all `starts` but the first are among them.
        temperature: the initial temperature, in percent NME.
        factor: the reduce rate, in (0, 1].
        initial: the first member (of the first chain); None draws one uniformly.
        starts: members at the best of which a chain's walk begins; at most a quarter of the iterations goes to them.
        presets: begin the starts with the well-known networks of the space, where they keep the limits.
        balanced: correct the decisions for the moves' probabilities; without effect where `moves` is not 1.
        chains: walks side by side; so many workers can be busy.
        acceptance: share of the rising moves that the calibrated first temperature accepts, in (0, 1); 0 takes
            `temperature`.
        restart_after: iterations of a chain without a lower penalty after which it starts again, from a new random
            member and the first temperature; 0 for never. A restart is one of the iterations.
        moves: random moves from a member to its neighbour.
        constraints: limits that members keep; neighbours beyond them are drawn again.

    Raises:
        UserError: a setting is out of its range.
    """

    name = "samos"
    PROBES: ClassVar[int] = 20
    PAPER: ClassVar[dict[str, Any]] = {
        "temperature": 2.0**10,
        "factor": 0.85,
        "starts": 1,
        "presets": False,
        "balanced": False,
    }

    def __init__(
        self,
        space: MultipathSpace,
        seed: int = 0,
        iterations: int = 200,
        temperature: float = 0.1,
        factor: float = 1.0,
        initial: Architecture | None = None,
        starts: int = 16,
        presets: bool = True,
        balanced: bool = True,
        chains: int = 1,
        acceptance: float = 0.0,
        restart_after: int = 0,
        moves: int = 1,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        super().__init__(space, seed, constraints)
        if not (math.isfinite(temperature) and temperature > 0):
            raise UserError(f"temperature must be above 0, not {temperature!r}")
        if not 0 < factor <= 1:
            raise UserError(f"factor must be above 0 and at most 1, not {factor!r}")
        if not 0 <= acceptance < 1:
            raise UserError(f"acceptance must be at least 0 (off) and below 1, not {acceptance!r}")
        self.iterations = require_count("iterations", iterations)
        self.temperature = float(temperature)
        self.factor = float(factor)
        self.initial = None if initial is None else self._first_member(initial)
        self.starts = require_count("starts", starts)
        self.presets, self.balanced = bool(presets), bool(balanced)
        self.chains = require_count("chains", chains)
        self.acceptance = float(acceptance)
        self.restart_after = restart_after and require_count("restart_after", restart_after)
        self.moves = require_count("moves", moves)
        more = min(self.starts - 1, self.iterations // (4 * self.chains))
        self._chains = [_Chain(self.temperature, starts=more) for _ in range(self.chains)]
        self._steps: list[Step] = []
        self._rises: list[float] = []
        self._calibrated, self._probes = not self.acceptance, 0
        self._first_temperature = self.temperature
        self._next_chain = 0
        self._well_known = list(presets_in(self.space).values()) if self.presets else []
        self._exhausted = False

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | {"initial": self.initial and list(self.initial.codes)}

    @property
    def progress(self) -> tuple[int, int]:
        done = sum(chain.current is not None for chain in self._chains) + len(self._steps)
        return done, done if self._exhausted else self.chains + self.iterations

    @property
    def steps(self) -> tuple[Step, ...]:
        """The iterations so far, in the order of their decisions."""
        return tuple(self._steps)

    @property
    def current(self) -> tuple[Architecture, float] | None:
        """The first chain's member whose neighbours are drawn, and its penalty; None before the first outcome."""
        return self._chains[0].current

    def status(self) -> dict[str, float]:
        """With several chains, temperature and current penalty are the first one's."""
        first = self._chains[0]
        status = super().status() | {"temperature": first.temperature, "iteration": float(len(self._steps))}
        if first.current is not None:
            status["current"] = first.current[1]
        if self._steps:
            status["acceptance"] = sum(step.accepted for step in self._steps) / len(self._steps)
            status["known"] = float(sum(step.known for step in self._steps))
        return status

    def _propose(self) -> Proposal | None:
        """The next candidate that has to be evaluated. Chains take turns; those whose candidate is open wait."""
        idle = 0
        while idle < self.chains:
            chain = self._chains[self._next_chain]
            proposal, moved = self._advance(chain)
            if proposal is not None:
                chain.asked = True
                self._turn()
                return proposal
            # A chain that decided from what is known goes on until it has something to ask, as a single one does.
            if not moved:
                idle += 1
                self._turn()
            else:
                idle = 0
        return None

    def _turn(self) -> None:
        self._next_chain = (self._next_chain + 1) % self.chains

    def _advance(self, chain: _Chain) -> tuple[Proposal | None, bool]:
        """One step of a chain: (what it asks, whether it moved on by itself)."""
        if chain.candidate is None:
            if chain.current is None:
                self._start(chain)
            left = not self._exhausted and len(self._steps) + self._deciding < self.iterations
            if chain.candidate is None and chain.current is not None and left:
                self._pick_candidate(chain)
            if chain.candidate is None:
                return None, False
        candidate = chain.candidate
        if self._is_open(candidate.digest):
            return None, False
        known = self._known.get(candidate.digest)
        if known is None:
            # A balanced decision may reject even the best member so far, which must be known in full.
            best = self._best[1] if self._best else math.inf
            return Proposal(candidate, max(chain.threshold, best)), True
        penalty, complete = known
        if not complete and penalty < chain.threshold:
            return Proposal(candidate), True  # the bound does not decide: this time to the end
        self._decide(chain, penalty, known=True)
        return None, True

    @property
    def _deciding(self) -> int:
        """Iterations that have begun: candidates of chains that have their first member."""
        return sum(chain.candidate is not None and chain.current is not None for chain in self._chains)

    def _start(self, chain: _Chain) -> None:
        """Choose a chain's first member; in a space with fewer members than chains, the best one."""
        first = self.initial if chain is self._chains[0] and self.initial is not None else self._fresh()
        chain.candidate, chain.threshold = first, math.inf
        if first is None and self._best is not None:
            chain.current, chain.lowest = self._best, self._best[1]

    def _fresh(self) -> Architecture | None:
        """A new member: a well-known network where one is left, or drawn."""
        while self._well_known:
            if self._is_new(known := self._well_known.pop(0)):
                return known
        return self._draw()

    def _pick_candidate(self, chain: _Chain) -> None:
        assert chain.current is not None
        if chain.starts:
            chain.starts -= 1
            if (fresh := self._fresh()) is not None:
                chain.candidate, chain.threshold, chain.walking = fresh, chain.current[1], False
                return
        chain.walking = True
        if self.restart_after and chain.stale >= self.restart_after and (fresh := self._draw()) is not None:
            chain.candidate, chain.threshold = fresh, math.inf
            chain.temperature, chain.lowest, chain.stale = self._first_temperature, math.inf, 0
            return
        chain.candidate = self._draw_neighbour(chain.current[0], self.moves) or self._draw()
        self._exhausted = chain.candidate is None
        # u is in [0, 1); it is drawn here, before the evaluation, to know the threshold in advance.
        u = float(self._rng.random())
        chain.threshold = math.inf
        if self._calibrated and chain.candidate is not None:
            ratio = self._move_ratio(chain.current[0], chain.candidate)
            chain.threshold = acceptance_threshold(chain.current[1], chain.temperature, u, ratio)

    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        # A chain that waits for the same member decides in its own turn, from what is then known.
        chain = next(one for one in self._chains if one.asked and one.candidate == proposal.architecture)
        self._decide(chain, float(outcome.penalty), known=False)

    def _decide(self, chain: _Chain, penalty: float, *, known: bool) -> None:
        assert chain.candidate is not None
        candidate, chain.candidate, chain.asked = chain.candidate, None, False
        if chain.current is None:
            chain.current, chain.lowest = (candidate, penalty), penalty
            return
        accepted = penalty < chain.threshold
        if not self._calibrated and chain.walking:
            self._rises += [penalty - chain.current[1]] if penalty > chain.current[1] else []
        if accepted:
            chain.current = (candidate, penalty)
        chain.lowest, chain.stale = (penalty, 0) if penalty < chain.lowest else (chain.lowest, chain.stale + 1)
        self._steps.append(Step(candidate.digest, penalty, accepted, chain.temperature, known))
        if not chain.walking:
            return
        if self._calibrated:
            chain.temperature *= self.factor
            return
        self._probes += 1
        if self._probes >= self.PROBES:
            self._calibrate()

    def _calibrate(self) -> None:
        self._calibrated = True
        if self._rises:
            self._first_temperature = sum(self._rises) / len(self._rises) / -math.log(self.acceptance)
        for chain in self._chains:
            chain.temperature = self._first_temperature

    def _move_ratio(self, start: Architecture, end: Architecture) -> float:
        """How much likelier the way back is than the way from a member to its neighbour; 1 where that is not asked."""
        if not self.balanced or self.moves != 1 or start == end:
            return 1.0
        there = move_probability(start, end)
        return move_probability(end, start) / there if there else 1.0  # drawn anew, not reached by a move

    def _first_member(self, architecture: Architecture) -> Architecture:
        codes = architecture.canonical.codes
        if not self.space.is_member(codes):
            raise UserError(
                f"the initial architecture {architecture} is not a member of {self.space.title}: give one of that space"
            )
        member = Architecture(self.space, codes)
        for constraint in self.constraints:
            if not (value := constraint.measure(member)) <= constraint.limit:
                raise UserError(
                    f"the initial architecture has {constraint.name} {value:g}, above the limit {constraint.limit:g}: "
                    "raise the limit or give another one"
                )
        return member
