"""Which members are measured, and that each is once."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasface.config import MultipathConfig
from nasface.inference import member_latencies
from nasface.inference.latency_table import LatencyTable
from nasface.inference.member_latencies import MemberLatencies
from nasface.nets.multipath import MemberSpec
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError

SPACE = MultipathSpace("toy", 3, 2)
CONFIG = MultipathConfig(width=8, head_width=16)
MEMBER = Architecture(SPACE, (2, 1, 1, 0, 2, 0, 1, 0))


def foretold(milliseconds: float) -> LatencyTable:
    kinds = {f"{a} {b} {code}": 0.0 for a in (0, 1) for b in (0, 1) for code in (1, 2)}
    return LatencyTable(kinds, milliseconds, (0.0, 1.0, 0.0), error=0.1, worst=0.25)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[MemberSpec]:
    met: list[MemberSpec] = []
    monkeypatch.setattr(member_latencies, "measured_latency", lambda member: met.append(member) or 7.0)
    return met


# Off by a quarter of what was measured, a forecast of 4.9 ms is one of 3.92 to 6.53, and the limits are 3 and 8.
@pytest.mark.parametrize(
    ("forecast", "found"),
    [(2.2, 2.2), (2.3, 7.0), (3.7, 7.0), (4.9, 4.9), (5.9, 5.9), (6.1, 7.0), (9.9, 7.0), (10.1, 10.1)],
)
def test_only_those_near_a_limit_are_measured(
    tmp_path: Path, measured: list[MemberSpec], forecast: float, found: float
) -> None:
    latencies = MemberLatencies(foretold(forecast), CONFIG, (3.0, 8.0), tmp_path / "latency.jsonl")
    assert latencies.milliseconds(MEMBER, 1000) == found
    assert measured == ([MemberSpec(MEMBER, CONFIG)] if found == 7.0 else [])


def test_a_search_that_goes_on_does_not_measure_again(tmp_path: Path, measured: list[MemberSpec]) -> None:
    path = tmp_path / "latency.jsonl"
    for _ in range(2):
        latencies = MemberLatencies(foretold(8.0), CONFIG, (8.0,), path)
        assert latencies.milliseconds(MEMBER, 1000) == latencies.measured(MEMBER) == 7.0
    assert len(measured) == 1
    other = Architecture(SPACE, (1, 1, 1, 0, 2, 0, 1, 0))
    latencies.measured(other)
    assert len(measured) == 2 and len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize("line", ["x", "[]", '{"ms": 1}', '{"digest": "a", "ms": null}'])
def test_a_damaged_record_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "latency.jsonl"
    path.write_text(f'{{"digest": "a", "ms": 1.5}}\n{line}\n')
    with pytest.raises(UserError, match=r"latency.jsonl, line 2 is damaged .*: remove the line, then --resume"):
        MemberLatencies(foretold(8.0), CONFIG, (8.0,), path)
