"""Members in bands of cost: a sample in which a score can be judged among networks that cost the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from nasface.space.presets import presets_in
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError

TOLERANCE = 0.1
"""Greatest relative difference of a member's multiply-adds from its band's."""
_DRAWS = 20_000


def band_of(macs: float, bands: Sequence[float]) -> float | None:
    """The band that so many multiply-adds lie in, the nearest of several; None outside of all."""
    nearest = min(bands, key=lambda band: abs(macs - band))
    return nearest if abs(macs - nearest) <= TOLERANCE * nearest else None


def banded_members(
    space: MultipathSpace, macs: Callable[[Architecture], float], bands: Sequence[float], count: int
) -> list[Architecture]:
    """`count` different members of each band, the bands taking turns, so that a part of the list is a smaller sample.

    The well-known networks come first where they lie in a band. The others are drawn uniformly at a density of their
    own, each as often as another, from chains (one connection a gap) to half of all connections: a uniform draw of all
    members would meet one density only. The same members whenever it is called.

    Raises:
        UserError: a band is hardly met, or bands overlap.
    """
    ordered = sorted(bands)
    if any(low * (1 + TOLERANCE) >= high * (1 - TOLERANCE) for low, high in zip(ordered, ordered[1:], strict=False)):
        raise UserError(f"--bands overlap: they reach {100 * TOLERANCE:g} % to either side; give them further apart")
    found: dict[float, dict[str, Architecture]] = {band: {} for band in bands}

    def take(member: Architecture) -> None:
        band = band_of(macs(member), bands)
        if band is not None and len(found[band]) < count:
            found[band].setdefault(member.digest, member)

    for preset in presets_in(space):
        take(preset)
    rng = np.random.default_rng([space.layers, space.scales, 0xBA2D])
    for member in itertools.islice(members_of_every_density(space, rng), _DRAWS):
        if all(len(members) == count for members in found.values()):
            break
        take(member)
    for band, members in found.items():
        if len(members) < count:
            raise UserError(
                f"the band of {band:g} multiply-adds was met {len(members)} times in {_DRAWS} draws, not {count}:"
                " give another --bands, another network.width or fewer --members"
            )
    rows = zip(*(found[band].values() for band in bands), strict=True)
    return [member for row in rows for member in row]


def members_of_every_density(space: MultipathSpace, rng: np.random.Generator) -> Iterator[Architecture]:
    """Random members without end, each drawn uniformly at a density of its own: from chains (one connection a gap) to
    half of all connections, in turn."""
    low, high = space.connections or (1, space.scales**2)
    densities = range(low, min(high, max(low, space.scales**2 // 2)) + 1)
    for drawn in itertools.cycle([replace(space, drawn=(density, density)) for density in densities]):
        yield Architecture(space, drawn.random_architecture(rng).codes)
