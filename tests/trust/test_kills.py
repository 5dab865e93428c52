"""Commands that are killed go on exactly: `python -m benchmarks.kills`, at a small size."""

from __future__ import annotations

from benchmarks.kills import kills


def test_a_killed_command_ends_as_an_uninterrupted_one() -> None:
    assert list(kills(1, seed=1, kinds=("faces",))) == [""]
