"""Strategies on a table: curves by hand, budgets that are kept, and a verdict that tells luck from skill."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import strategies
from benchmarks.strategies import (
    Curves,
    chosen,
    incumbent_table,
    incumbents,
    make,
    p_value,
    ranked,
    regret_table,
    verdicts,
)
from nasface.search.strategy import Outcome, Proposal
from nasface.tabular.evaluator import MemberTableEvaluator
from nasface.tabular.table import MemberTable
from nasface.utils.errors import UserError
from tests.helpers.toy_table import toy_table


@pytest.fixture(scope="module")
def table() -> MemberTable:
    return toy_table()


class Counting(MemberTableEvaluator):
    """Notes what it is asked."""

    def __init__(self, table: MemberTable) -> None:
        super().__init__(table)
        self.seen: list[float] = []

    def __call__(self, proposal: Proposal) -> Outcome:
        outcome = super().__call__(proposal)
        self.seen.append(outcome.penalty)
        return outcome


@pytest.mark.parametrize("name", ["random", "samos", "local", "samos, calibrated T0"])
def test_incumbents_are_running_minima(table: MemberTable, name: str) -> None:
    evaluate = Counting(table)
    best = incumbents(make(name, table, seed=2, evaluations=30), evaluate, 30)
    assert best.shape == (30,) and len(evaluate.seen) <= 30
    expected = np.minimum.accumulate(evaluate.seen)
    assert np.array_equal(best[: len(expected)], expected) and (best[len(expected) :] == expected[-1]).all()


def test_one_draw_goes_on_as_a_flat_line(table: MemberTable) -> None:
    best = incumbents(make("random-sample", table, 0, 20), MemberTableEvaluator(table), 20)
    assert len(set(best)) == 1


def curves(name: str, *rows: list[float]) -> Curves:
    return Curves(name, np.array(rows), np.zeros(len(rows)), 0.01)


def test_tables_by_hand() -> None:
    good, bad = curves("good", [3.0, 2.0], [4.0, 2.0]), curves("bad", [5.0, 5.0], [6.0, 4.0])
    assert [one.name for one in ranked([bad, good])] == ["good", "bad"]
    lines = incumbent_table([bad, good]).splitlines()
    assert lines[2].split()[:4] == ["good", "2.000", "±", "0.000"]
    assert lines[3].split()[:4] == ["bad", "4.500", "±", "0.707"]
    lines = regret_table([bad, good], least=2.0).splitlines()
    assert lines[2].split() == ["good", "0.000", "2", "of", "2"]
    assert lines[3].split() == ["bad", "2.500", "0", "of", "2"]


def test_verdicts_tell_luck_from_skill() -> None:
    rng = np.random.default_rng(0)
    base = 5 + rng.normal(size=(40, 10))
    random = Curves("random", base, np.zeros(40), 0.0)
    skilled = Curves("skilled", base - 1 + 0.1 * rng.normal(size=base.shape), np.zeros(40), 0.0)
    lucky = Curves("lucky", base + rng.normal(size=base.shape), np.zeros(40), 0.0)
    (line,) = verdicts([random, skilled, lucky])
    assert line.startswith("after 10: best skilled") and "better than random search: skilled; worse: none" in line
    assert p_value(np.zeros(5)) == 1.0


def test_every_strategy_can_be_named() -> None:
    assert {"samos", "random", "local", "optuna/tpe", *strategies.VARIANTS} <= set(chosen([]))
    assert "optuna/gp" not in chosen([]) and chosen(["optuna/gp"]) == ["optuna/gp"]
    with pytest.raises(UserError, match="unknown strategy 'samoa'"):
        chosen(["samoa"])


def test_runs_differ_by_seed_and_repeat_in_other_processes(table: MemberTable) -> None:
    ((first,), none) = strategies.run_strategies(["evolution"], table, 3, 15, workers=2)
    assert none == [] and len({tuple(row) for row in first.best}) == 3
    evaluate = MemberTableEvaluator(table)
    again = [strategies.run_search("evolution", evaluate, seed, 15) for seed in range(3)]
    assert np.array_equal(first.best, [one.best for one in again])
    assert first.test.tolist() == [one.test for one in again]
    assert set(first.test) <= set(table.errors("test").values())


def test_a_strategy_that_cannot_run_lets_the_others_run(table: MemberTable) -> None:
    (curves, absent) = strategies.run_strategies(["nni/marble", "random"], table, 2, 5, workers=1)
    assert [one.name for one in curves] == ["random"] and len(absent) == 1 and "left out: " in absent[0]


def test_the_command(
    table: MemberTable, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    table.save(tmp_path / "toy.parquet")
    arguments = ["--table", str(tmp_path / "toy.parquet"), "--seeds", "3", "--runs", str(tmp_path)]
    assert strategies.main([*arguments, "--evaluations", "25", "--strategies", "samos", "random"]) == 0
    output = capsys.readouterr().out
    record = json.loads((tmp_path / "benchmarks" / "strategies.json").read_text())
    assert record["marks"] == [10, 20, 25] and {one["name"] for one in record["strategies"]} == {"samos", "random"}
    for one in record["strategies"]:
        assert f"{one['mean'][0]:.3f} ± {one['sd'][0]:.3f}" in output
        assert one["regret"] == pytest.approx([value - record["least"] for value in one["mean"]])
    assert "<svg" in (tmp_path / "benchmarks" / "strategies.svg").read_text()
    with pytest.raises(UserError, match="at least 2"):
        strategies.main([*arguments, "--seeds", "1"])
    with pytest.raises(UserError, match="workers must be"):
        strategies.main([*arguments, "--workers", "-1"])

    def absent(*_: object, **__: object) -> tuple[list[Curves], list[str]]:
        return [], ["left out: it needs the package x"]

    monkeypatch.setattr(strategies, "run_strategies", absent)
    with pytest.raises(UserError, match="no strategy could run: left out: it needs the package x"):
        strategies.main([*arguments, "--strategies", "samos"])
