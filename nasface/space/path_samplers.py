"""Path samplers: which child networks of the supernet one training step sees.

`MNUS` is multi-path networks unbiased sampling (MONAS, Algorithm 1, Eq. 5-8, Fig. 2); `UniformPaths` is the baseline
without its constraints. A sampler is a pure function of (seed, step): every process, and every run that resumes, sees
the same children.

Another package adds one by `@register_path_sampler("name")` over a class that takes (space, children, seed), in a
module that its entry point in `nasface.path_samplers` names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np

from nasface.space.space import OPERATIONS, MultipathSpace
from nasface.space.topologies import MAX_DRAWS, Draws, Stuck, draw_topology
from nasface.utils.errors import UserError
from nasface.utils.registry import Registry

CHOICES = len(OPERATIONS) - 1  # operations that a connection can have when it is present
MAX_CHILDREN = 64

# Streams of random numbers that must not meet, although they come from one seed.
_TOPOLOGY, _OPERATIONS, _ORDER, _UNIFORM, _TRIAL = range(5)


class PathSampler(Protocol):
    """What training needs of a sampler."""

    @property
    def space(self) -> MultipathSpace: ...

    @property
    def children(self) -> int:
        """K: at most so many children a step."""
        ...

    def sample(self, step: int) -> np.ndarray:
        """The children of a step: codes, int8 of shape (at most `children`, num_connections), each valid (Eq. 8) and
        reaching the output."""
        ...


M = TypeVar("M", bound=Callable[..., Any])

PATH_SAMPLERS: Registry[Callable[..., PathSampler]] = Registry("path sampler", "nasface.path_samplers", __name__)


def register_path_sampler(name: str) -> Callable[[M], M]:
    """Make a sampler known under a name; decorates its class.

    Raises:
        ValueError: the name is taken.
    """

    def register(sampler: M) -> M:
        PATH_SAMPLERS.add(name, sampler)
        return sampler

    return register


def make_path_sampler(name: str, space: MultipathSpace, children: int, seed: int, **settings: Any) -> PathSampler:
    """The sampler of a name, with those of the settings that it takes.

    Raises:
        UserError: the name is unknown, or the sampler refuses its settings.
    """
    make = PATH_SAMPLERS.get(name)
    known = inspect.signature(make).parameters
    return make(space, children, seed, **{key: value for key, value in settings.items() if key in known})


@register_path_sampler("uniform")
@dataclass(frozen=True)
class UniformPaths:
    """K independent members of the space a step, each uniform over the canonical ones that the space draws from (its
    `drawn`).

    Args:
        space: the space.
        children: K.
        seed: not negative.
    """

    space: MultipathSpace
    children: int
    seed: int

    def __post_init__(self) -> None:
        _check(self.children, self.seed)

    def sample(self, step: int) -> np.ndarray:
        rng = _generator(self.seed, _UNIFORM, step)
        return np.array([self.space.random_architecture(rng).codes for _ in range(self.children)], dtype=np.int8)


@register_path_sampler("mnus")
@dataclass(frozen=True)
class MNUS:
    """Multi-path networks unbiased sampling.

    Within a gap every connection is taken by the same number r of the K children (Eq. 7), the children's numbers of
    connections in the gap differ by at most one, no child takes a connection whose source is inactive in it (Eq. 8),
    and every child reaches the output. Over every window of as many draws of a connection as there are operations,
    each operation is drawn once.

    r of the inner gaps is drawn per step from `repeats`, so that supernet training meets several densities: a block
    of len(repeats) steps uses each of them once. The outer gaps follow from it:

    - first gap: `first_repeats`, or half of the children and at least r + 1 (Fig. 2: 2 of K = 4), so that the next
      gap is free to vary; more where the children would otherwise have too few active nodes for the next gap;
    - last gap: `last_repeats`, or r too, more where each child would otherwise have no connection (r D >= K).

    Args:
        space: the space (its range of connections is not used: `repeats` and K say how dense the children are).
        children: K.
        seed: not negative.
        repeats: the values of r; those greater than K count as K.
        first_repeats: r of the first gap, None for the rule above; K where it is greater.
        last_repeats: r of the last gap, None for the rule above; K where it is greater.

    Raises:
        UserError: no set of K children satisfies the constraints with these settings.
    """

    space: MultipathSpace
    children: int
    seed: int
    repeats: tuple[int, ...] = (1, 2)
    first_repeats: int | None = None
    last_repeats: int | None = None

    def __post_init__(self) -> None:
        _check(self.children, self.seed)
        if (
            isinstance(self.repeats, str | int)
            or not self.repeats
            or any(type(r) is not int or r < 1 for r in self.repeats)
        ):
            raise UserError(f"repeats must be a list of whole numbers of at least 1, not {self.repeats!r}")
        object.__setattr__(self, "repeats", tuple(min(r, self.children) for r in self.repeats))
        for name in ("first_repeats", "last_repeats"):
            value = getattr(self, name)
            if value is None:
                continue
            if type(value) is not int or value < 1:
                raise UserError(f"{name} must be a whole number of at least 1, not {value!r}")
            object.__setattr__(self, name, min(value, self.children))
        for repeats in sorted(set(self.repeats)):
            self._check_feasible(repeats)

    def sample(self, step: int) -> np.ndarray:
        """The children of a step, int8 of shape (children, num_connections)."""
        rng = _generator(self.seed, _TOPOLOGY, step)
        plan = self.plan(step)
        holders = np.array(draw_topology(self.space, self.children, plan, Draws(rng)), dtype=np.uint64)
        bits = holders >> np.arange(self.children, dtype=np.uint64)[:, None] & np.uint64(1)
        return self._deal_operations(bits.astype(bool), step, rng)

    def plan(self, step: int) -> tuple[int, ...]:
        """r of every gap in a step: by how many children each connection of the gap is taken."""
        order = self._order(step // len(self.repeats))
        return self._plan(order[step % len(self.repeats)])

    def draws_before(self, step: int) -> tuple[int, ...]:
        """How often each connection of every gap was taken in the steps 0..step-1."""
        blocks, place = divmod(step, len(self.repeats))
        plans = [self._plan(r) for r in self.repeats]
        begun = [self._plan(r) for r in self._order(blocks)[:place]]
        return tuple(
            blocks * sum(plan[gap] for plan in plans) + sum(plan[gap] for plan in begun)
            for gap in range(self.space.layers)
        )

    def _order(self, block: int) -> list[int]:
        """The order in which a block of steps uses the repeats."""
        keys = _hash(self._keys[_ORDER], np.uint64(block), np.arange(len(self.repeats), dtype=np.uint64))
        return [self.repeats[i] for i in np.argsort(keys, kind="stable")]

    def _plan(self, repeats: int) -> tuple[int, ...]:
        last = self.last_repeats or max(repeats, _ceil_div(self.children, self.space.scales))
        first = self.first_repeats or self._default_first(repeats, last)
        return (first, *[repeats] * (self.space.layers - 2), last)

    def _default_first(self, repeats: int, last: int) -> int:
        scales, children = self.space.scales, self.children
        # What a child must be able to take in the gap after the first, and what an active node there lets it take.
        needed, each = (repeats * scales**2, scales) if self.space.layers > 2 else (last * scales, 1)
        first = max(_ceil_div(children, 2), _ceil_div(children, scales), min(repeats + 1, children))
        while first < children and first * scales // children * each < _ceil_div(needed, children):
            first += 1
        return first

    def _check_feasible(self, repeats: int) -> None:
        scales, children, plan = self.space.scales, self.children, self._plan(repeats)
        if self.space.layers > 2 and repeats * scales**2 < children:
            least = _ceil_div(children, scales**2)
            raise UserError(
                f"repeats {repeats} leaves some of {children} children without a connection: "
                f"use at least {least}, or fewer children"
            )
        for name, value in (("first_repeats", plan[0]), ("last_repeats", plan[-1])):
            if value * scales < children:
                least = _ceil_div(children, scales)
                raise UserError(
                    f"{name} {value} leaves some of {children} children without a connection: use at least {least}"
                )
        try:
            # Settings that need many draws would be stuck in some step of a long training.
            for trial in range(5):
                draws = Draws(_generator(trial, _TRIAL, repeats))
                draw_topology(self.space, children, plan, draws, attempts=MAX_DRAWS // 20)
        except Stuck:
            raise UserError(
                f"first_repeats {plan[0]}, repeats {repeats} and last_repeats {plan[-1]} fit no {children} children of"
                f" {self.space.title}: use first_repeats {children}, or none, and a smaller last_repeats, or none"
            ) from None

    @cached_property
    def _keys(self) -> np.ndarray:
        return np.random.SeedSequence([self.seed, _OPERATIONS]).generate_state(8, np.uint64)

    def _deal_operations(self, taken: np.ndarray, step: int, rng: np.random.Generator) -> np.ndarray:
        """Codes (K, connections) for the taken connections (bool, same shape): the next operations of each
        connection's windows, dealt to the children that take it in random order."""
        sizes = [np.prod(self.space.gap_shape(gap)) for gap in range(self.space.layers)]
        before = np.repeat(np.array(self.draws_before(step), dtype=np.int64), sizes)
        turn = np.where(taken, rng.random(taken.shape), 2.0).argsort(axis=0).argsort(axis=0)
        window, place = np.divmod(before + turn, CHOICES)
        connection = np.arange(taken.shape[1], dtype=np.uint64)
        keys = _hash(
            self._keys[_OPERATIONS],
            connection[:, None],
            window.astype(np.uint64)[..., None],
            np.arange(CHOICES, dtype=np.uint64),
        )
        order = keys.argsort(axis=-1, kind="stable")
        operation = 1 + np.take_along_axis(order, place[..., None], axis=-1)[..., 0]
        return np.where(taken, operation, 0).astype(np.int8)


@dataclass(frozen=True)
class WholeFirst:
    """One child that takes every connection for the first steps, and the children of another sampler after them.

    Source: progressive shrinking (Cai et al., "Once-for-all", ICLR 2020) trains the largest network before smaller
    ones. The operations of its connections are dealt as those of `MNUS`.

    Args:
        then: the sampler of the later steps, which count on.
        whole: how many steps come first.
        seed: of the operations.
    """

    then: PathSampler
    whole: int
    seed: int

    @property
    def space(self) -> MultipathSpace:
        return self.then.space

    @property
    def children(self) -> int:
        return self.then.children

    @cached_property
    def _first(self) -> MNUS:
        return MNUS(self.space, 1, self.seed, repeats=(1,))

    def sample(self, step: int) -> np.ndarray:
        return (self._first if step < self.whole else self.then).sample(step)


def _generator(seed: int, stream: int, step: int) -> np.random.Generator:
    if step < 0:
        raise ValueError(f"steps count from 0, not {step}")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, stream, step])))


def _hash(key: np.uint64, *words: np.ndarray | np.uint64) -> np.ndarray:
    """Random 64-bit numbers as a function of a key and of words (broadcast together): the splitmix64 finaliser after
    every word."""
    state = np.asarray(key)
    with np.errstate(over="ignore"):
        for word in words:
            state = (state ^ word) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return state


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def _check(children: int, seed: int) -> None:
    if type(children) is not int or not 1 <= children <= MAX_CHILDREN:
        raise UserError(f"children must be a whole number from 1 to {MAX_CHILDREN}, not {children!r}")
    if type(seed) is not int or seed < 0:
        raise UserError(f"seed must be a whole number of at least 0, not {seed!r}")
