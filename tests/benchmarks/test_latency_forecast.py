"""The benchmark of forecast latencies."""

from __future__ import annotations

import pytest

from benchmarks import latency_forecast
from benchmarks.latency_forecast import Foretold, forecasts, members_to_measure, summary
from nasface.config import MultipathConfig
from nasface.inference.latency_table import LatencyTable
from nasface.nets.multipath import MemberSpec
from nasface.space.catalogue import load_space
from nasface.space.presets import PRESETS

SPACE = load_space("multipath")
CONFIG = MultipathConfig(input_size=32, map_size=32, width=8, head_width=8)


def test_members_are_the_well_known_ones_and_different_random_ones() -> None:
    names, members = zip(*members_to_measure(SPACE, 5), strict=True)
    assert set(names[:3]) == set(PRESETS) and names[3:] == tuple(f"random {number}" for number in range(1, 6))
    assert len({member.digest for member in members}) == 8


def test_each_is_foretold_by_the_table_and_measured_as_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[MemberSpec] = []
    monkeypatch.setattr(latency_forecast, "measured_latency", lambda spec: measured.append(spec) or 2.0)
    kinds = [f"{start} {end} {operation}" for start in range(4) for end in range(4) for operation in (1, 2)]
    table = LatencyTable(dict.fromkeys(kinds, 0.0), 1.0, (0.0, 1.0, 0.0), 0.0, 0.0)
    found = forecasts(table, SPACE, CONFIG, 2)
    assert [one.foretold for one in found] == [1.0] * 5 and all(spec.config == CONFIG for spec in measured)
    assert [one.macs for one in found] == [spec.cost()[1] for spec in measured]
    assert all(one.off == -0.5 for one in found)


def test_the_furthest_comes_first() -> None:
    told = summary([Foretold("near", 1e6, 1.0, 1.0), Foretold("far", 2e6, 0.8, 1.0), Foretold("off", 2e6, 1.1, 1.0)])
    assert [line.split()[0] for line in told.splitlines()[2:5]] == ["far", "off", "near"]
    assert told.endswith("3 members: off by 10.0% in the mean, 20.0% at most")
