"""Every reader over damaged files: `python -m benchmarks.fuzz`, at a small size."""

from __future__ import annotations

from benchmarks.fuzz import KINDS, fuzz


def test_damaged_files_are_accepted_or_refused_in_one_line() -> None:
    refused, accepted, violations = fuzz(20 * len(KINDS), seed=1)
    assert not violations and refused > accepted > 0
