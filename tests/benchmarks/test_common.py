"""What benchmarks share: where their figures go."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.common import Option, parse

OPTIONS = (Option("count", int, 3, "how many"),)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "runs/benchmarks/mine.json"),
        (["--runs", "elsewhere"], "elsewhere/benchmarks/mine.json"),
        (["--runs", "elsewhere", "--json", "own.json"], "own.json"),
    ],
)
def test_figures_go_beside_the_runs_unless_a_file_is_named(arguments: list[str], expected: str) -> None:
    own = parse("A benchmark.", OPTIONS, arguments, "mine").own
    assert own["json"] == Path(expected) and own["count"] == 3


def test_a_benchmark_without_figures_has_no_file_of_them() -> None:
    assert "json" not in parse("A benchmark.", OPTIONS, []).own
