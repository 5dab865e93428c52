"""Members in bands of cost: as many of each, of every density, the well-known ones among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nasface.config import MultipathConfig
from nasface.evaluation.costs import MemberCosts
from nasface.space.presets import PRESETS, load_preset
from nasface.space.space import MultipathSpace
from nasface.tabular.bands import TOLERANCE, band_of, banded_members
from nasface.tabular.build import build_jobs
from nasface.utils.errors import UserError

SPACE = MultipathSpace("toy", 5, 3)
COSTS = MemberCosts(SPACE, MultipathConfig(input_size=32, map_size=16, width=8, head_width=8))


def test_every_band_is_full_and_the_list_is_always_the_same() -> None:
    rng = np.random.default_rng(0)
    drawn = sorted(
        COSTS.macs(replace(SPACE, drawn=(k, k)).random_architecture(rng)) for k in (2, 3, 4) for _ in range(20)
    )
    bands = [drawn[15], drawn[15] * 1.4]
    members = banded_members(SPACE, COSTS.macs, bands, 12)
    assert len({one.digest for one in members}) == 24
    for place, member in enumerate(members):
        assert abs(COSTS.macs(member) / bands[place % 2] - 1) <= TOLERANCE, "bands take turns"
    assert members == banded_members(SPACE, COSTS.macs, bands, 12)
    assert all(member.space == SPACE for member in members)
    assert len({sum(code > 0 for code in member.codes) for member in members}) > 4, "one density only"


def test_well_known_networks_come_first() -> None:
    space = MultipathSpace("multipath", 10, 4)
    costs = MemberCosts(space, MultipathConfig())
    known = {name: load_preset(name).canonical for name in PRESETS}
    band = costs.macs(known["hourglass"])
    members = banded_members(space, costs.macs, [band], 4)
    assert members[0].digest == known["hourglass"].digest
    assert known["hrnet"].digest not in {one.digest for one in members}


def test_bands_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasface.space.random_members.DRAWS", 500)
    with pytest.raises(UserError, match="overlap"):
        banded_members(SPACE, COSTS.macs, [1e6, 1.1e6], 2)
    with pytest.raises(UserError, match="^0 of 500 random members are in the band of 1 multiply-adds, not 2: give"):
        banded_members(SPACE, COSTS.macs, [1.0], 2)
    with pytest.raises(UserError, match="--members"):
        build_jobs(SPACE, 0, [0], [1e6], COSTS.macs)
    assert band_of(109, [100, 200]) == 100 and band_of(111, [100, 200]) is None and band_of(181, [100, 200]) == 200
