"""The members that a search by trainings tries: those that it begins with, and changed copies of the best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from nasface.config import Experiment, HalvingConfig
from nasface.nets.multipath import HPM_BLOCK, IDENTITY, MemberSpec
from nasface.pipelines.member_limits import Limits, widths_of
from nasface.space.neighbours import random_neighbour
from nasface.space.presets import presets_in
from nasface.space.random_members import first_that_fit, members_of_every_density
from nasface.space.space import Architecture, MultipathSpace

_ATTEMPTS = 2_000
_WALKS, _WALK = 20, 300
"""The last of the attempts walk to the limits; greatest number of moves of a walk."""


def draw_members(space: MultipathSpace, experiment: Experiment, rng: np.random.Generator) -> Iterator[MemberSpec]:
    """Random members without end, of every density, and of a random width where the space has several."""
    for architecture in members_of_every_density(space, rng):
        width = int(rng.choice(space.widths)) if space.widths else experiment.network.width
        yield MemberSpec(architecture, replace(experiment.network, width=width))


def draw_candidates(experiment: Experiment, space: MultipathSpace, limits: Limits | None = None) -> list[MemberSpec]:
    """Different random members of every density that keep the search's limits and cost at least `halving.share` of the
    multiply-adds that are allowed; the well-known networks first, where they do, each at the greatest width at which it
    does. With `halving.adapt`, each is there at the next greater width, too, changed until it keeps the limits, and
    those that keep them at none are changed at the width that is nearest.

    Raises:
        UserError: too few are met.
    """
    config, limits = experiment.halving, limits or Limits.of(experiment, space)
    rng = np.random.default_rng([experiment.seed, 0x4A1F])
    known = _well_known(experiment, space, limits)
    drawn = draw_members(space, experiment, rng)
    return first_that_fit(drawn, limits.allow, config.candidates, key_of, _lacking(experiment, limits), known)


def _lacking(experiment: Experiment, limits: Limits) -> str:
    """What too few members do, and the remedy."""
    config, search = experiment.halving, experiment.search
    constraints = next(iter(limits.most.values()))
    leading = "latency" if search.max_latency else "macs"
    others = [f"search.max_{limit.name}" for limit in constraints if limit.name != leading]
    kept = " and ".join(f"{limit.name} <= {limit.limit:g}" for limit in constraints) or "what they are asked for"
    remedy = f"raise {' or '.join(others)}, or lower search.max_{leading}" if others else f"raise search.max_{leading}"
    return (
        f"have {kept}, and no less than {config.share:g} of the {leading} (halving.share), and"
        f" {config.candidates} (halving.candidates) are to begin: {remedy}, or lower halving.share or"
        " halving.candidates"
    )


def _well_known(experiment: Experiment, space: MultipathSpace, limits: Limits) -> Iterator[MemberSpec]:
    """The space's well-known networks that keep the limits, or are brought to them."""
    sizes = [replace(experiment.network, width=width) for width in reversed(widths_of(space, experiment))]
    for number, preset in enumerate(presets_in(space).values()):
        members = [MemberSpec(preset, size) for size in sizes]
        widest = next((place for place, member in enumerate(members) if limits.allow(member)), None)
        if widest is not None:
            yield members[widest]
        if experiment.halving.adapt and widest != 0:
            near = members[widest - 1] if widest else min(members, key=lambda member: abs(limits.off(member)))
            adapted = _within(limits, near, np.random.default_rng([experiment.seed, 0xADA, number]))
            if limits.allow(adapted):
                yield adapted


def key_of(member: MemberSpec) -> str:
    """What tells a member from others: its digest, and its width where the space has several."""
    return f"{member.digest}@{member.config.width}" if member.architecture.space.widths else member.digest


def draw_children(
    config: HalvingConfig, limits: Limits, ranked: Sequence[MemberSpec], rng: np.random.Generator
) -> list[MemberSpec]:
    """`halving.children` new members, each some random moves from one of the best, which take turns; fewer where the
    space or the limits leave no more. `ranked` are all members so far, best first.

    Most children are near: m moves are drawn with a probability that falls as 1/m, so that a few are far without a
    number to tune (Doerr et al., "Fast genetic algorithms", GECCO 2017, whose power is 1.5).

    Where the space has several widths, half of the children are of another than their parents. Further moves, each to
    a cost nearer to the limits, bring them within these; so they do where too few others keep the limits.
    """
    known, parents = {key_of(member) for member in ranked}, ranked[: config.parents]
    found: dict[str, MemberSpec] = {}
    nearness = 1 / np.arange(1, config.moves + 1)
    nearness /= nearness.sum()
    for attempt in range(_ATTEMPTS):
        if len(found) == config.children:
            break
        parent = parents[attempt % len(parents)]
        width = _other_width(parent, rng)
        moves = 1 + rng.choice(config.moves, p=nearness)
        child = MemberSpec(random_neighbour(parent.architecture, rng, moves), replace(parent.config, width=width))
        if width != parent.config.width or attempt >= _ATTEMPTS - _WALKS:
            child = _within(limits, child, rng)
        if key_of(child) not in known and limits.allow(child):
            found.setdefault(key_of(child), child)
    return list(found.values())


def _other_width(parent: MemberSpec, rng: np.random.Generator) -> int:
    """Every second time the next width above or below, where there is one; else the parent's."""
    widths = parent.architecture.space.widths or (parent.config.width,)
    if len(widths) == 1 or rng.random() < 0.5:
        return parent.config.width
    place = widths.index(parent.config.width)
    return int(rng.choice([widths[near] for near in (place - 1, place + 1) if 0 <= near < len(widths)]))


def _within(limits: Limits, member: MemberSpec, rng: np.random.Generator) -> MemberSpec:
    """A member within the limits, if one is met: HPM blocks are exchanged for identities, or the reverse, which leaves
    all ways through the network; then random moves follow by which the limits are never missed by more."""
    member = _with_other_blocks(limits, member, rng)
    off = limits.off(member)
    for _ in range(_WALK):
        if off == 0:
            break
        near = replace(member, architecture=random_neighbour(member.architecture, rng))
        if abs(now := limits.off(near)) <= abs(off):
            member, off = near, now
    return member


def _with_other_blocks(limits: Limits, member: MemberSpec, rng: np.random.Generator) -> MemberSpec:
    """The member with random blocks fewer, where it costs too much, or more, where it costs too little, until it keeps
    the limits, or as near to them as that brings it."""
    off = limits.off(member)
    old, new = (HPM_BLOCK, IDENTITY) if off > 0 else (IDENTITY, HPM_BLOCK)
    space, codes = member.architecture.space, list(member.architecture.canonical.codes)
    for place in rng.permutation([place for place, code in enumerate(codes) if code == old]):
        if off == 0:
            break
        near = replace(member, architecture=Architecture(space, (*codes[:place], new, *codes[place + 1 :])))
        if (now := limits.off(near)) * off >= 0:  # not beyond the limits on the other side
            member, off, codes[place] = near, now, new
    return member
