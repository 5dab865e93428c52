"""Members in bands of cost: a sample in which a score can be judged among networks that cost the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nasface.space.presets import presets_in
from nasface.space.random_members import first_that_fit, members_of_every_density
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError

TOLERANCE = 0.1
"""Greatest relative difference of a member's multiply-adds from its band's."""


def band_of(macs: float, bands: Sequence[float]) -> float | None:
    """The band that so many multiply-adds lie in, the nearest of several; None outside of all."""
    nearest = min(bands, key=lambda band: abs(macs - band))
    return nearest if abs(macs - nearest) <= TOLERANCE * nearest else None


def banded_members(
    space: MultipathSpace, macs: Callable[[Architecture], float], bands: Sequence[float], count: int
) -> list[Architecture]:
    """`count` different members of each band, the bands taking turns, so that a part of the list is a smaller sample.

    The well-known networks come first where they lie in a band, then random members of every density. The same members
    whenever it is called.

    Raises:
        UserError: a band is hardly met, or bands overlap.
    """
    ordered = sorted(bands)
    if any(low * (1 + TOLERANCE) >= high * (1 - TOLERANCE) for low, high in zip(ordered, ordered[1:], strict=False)):
        raise UserError(f"--bands overlap: they reach {100 * TOLERANCE:g} % to either side; give them further apart")

    def draw(band: float) -> list[Architecture]:
        drawn = members_of_every_density(space, np.random.default_rng([space.layers, space.scales, 0xBA2D]))
        lacking = (
            f"are in the band of {band:g} multiply-adds, not {count}: give another --bands, another network.width or"
            " fewer --members"
        )
        return first_that_fit(
            drawn,
            lambda member: band_of(macs(member), bands) == band,
            count,
            lambda member: member.digest,
            lacking,
            presets_in(space).values(),
        )

    return [member for row in zip(*map(draw, bands), strict=True) for member in row]
