"""The table of trained members: its file, what it refuses, and a search on it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from nasface.config import MultipathConfig
from nasface.runs.metrics import read_metrics
from nasface.search.registry import make_strategy
from nasface.search.strategy import Proposal
from nasface.space.catalogue import load_space
from nasface.space.record import load_record
from nasface.space.space import MultipathSpace
from nasface.tabular.evaluator import MemberTableEvaluator
from nasface.tabular.table import COLUMNS, SHORTER, MemberTable, TrainedMember, load_table
from nasface.utils.errors import UserError
from tests.helpers.tiny import Command
from tests.helpers.toy_table import SPACE, toy_table

pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def table() -> MemberTable:
    return toy_table(seeds=2)


def test_the_file_holds_what_was_written(table: MemberTable, tmp_path: Path) -> None:
    import pyarrow.parquet

    path = tmp_path / "table.parquet"
    table.save(path)
    read = load_table(path)
    assert (read.space, read.settings, read.fingerprint) == (table.space, table.settings, table.fingerprint)
    assert read.errors("test") == pytest.approx(table.errors("test"), rel=1e-6)
    assert read.complete and len(read.trainings) == 2 * SPACE.count_members()
    columns = pyarrow.parquet.read_table(path)
    assert tuple(columns.column_names) == COLUMNS
    one = read.by_member[columns["digest"][0].as_py()][0]
    assert columns["val_mean"][0].as_py() == pytest.approx(one.val[3])


def test_a_row_is_its_own_inverse(table: MemberTable) -> None:
    one = table.trainings[5]
    assert TrainedMember.of_row(json.loads(json.dumps(one.row()))) == one


def test_errors_and_noise_by_hand(table: MemberTable) -> None:
    digest = SPACE.member(7).digest
    first, second = table.by_member[digest]
    assert table.errors()[digest] == pytest.approx((first.val[3] + second.val[3]) / 2)
    assert table.errors("test", over_all=True)[digest] == pytest.approx((first.test[4] + second.test[4]) / 2)
    between, seeds = table.noise("test")
    assert seeds == pytest.approx(0.1 / np.sqrt(2))
    assert between == pytest.approx(np.std(list(table.errors("test").values()), ddof=1))
    assert f"between the seeds of a member {seeds:.3f}; tau between seeds +1.000" in table.noise_line("test")
    assert np.isnan(toy_table().noise()[1]) and toy_table().noise_line().endswith("one seed a member")
    assert table.member(digest) == SPACE.member(7)


def test_damaged_files_are_refused(table: MemberTable, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "table.parquet"
    with pytest.raises(UserError, match="does not exist"):
        load_table(path)
    path.write_bytes(b"PAR1 no parquet")
    with pytest.raises(UserError, match="no table of trained members"):
        load_table(path)
    pyarrow.parquet.write_table(pyarrow.table({"x": [1]}), path)
    with pytest.raises(UserError, match="no table of trained members"):
        load_table(path)
    first, second, *others = table.trainings
    for trainings in (
        (replace(first, code=others[0].code), second, *others),  # another member's code
        (replace(first, code="00000000"), *others[1:]),  # no member
        (first, first, second, *others),  # twice
    ):
        replace(table, trainings=trainings).save(path)
        with pytest.raises(UserError, match="no table of trained members"):
            load_table(path)


def test_evaluations_are_looked_up(table: MemberTable) -> None:
    evaluate = MemberTableEvaluator(table)
    member = SPACE.member(11)
    outcome = evaluate(Proposal(member, reject_above=0.0))
    first, second = table.by_member[member.digest]
    assert outcome.complete and outcome.penalty == pytest.approx(np.mean([first.val[3], second.val[3]]))
    assert outcome.details["nme"] == pytest.approx(np.mean([first.val[:3], second.val[:3]], axis=0))
    assert MemberTableEvaluator(table, seed=1)(Proposal(member)).penalty == second.val[3]
    assert evaluate.ranking[0] == min(table.errors(), key=table.errors().__getitem__)
    with pytest.raises(UserError, match="no training of member .* with seed 2"):
        MemberTableEvaluator(table, seed=2)
    with pytest.raises(UserError, match="has 10 of 1056 members of .*go on with"):
        MemberTableEvaluator(toy_table(count=10))


def test_a_strategy_that_sees_all_finds_the_best(table: MemberTable) -> None:
    evaluate = MemberTableEvaluator(table)
    strategy = make_strategy("random", SPACE, evaluations=SPACE.count_members())
    while (proposal := strategy.ask()) is not None:
        strategy.tell(proposal, evaluate(proposal))
    assert strategy.evaluations == SPACE.count_members()
    assert strategy.best[0].digest == evaluate.ranking[0]


def test_agreement_of_two_seeds_by_hand() -> None:
    one, two, three = (replace(toy_table().by_member[SPACE.member(k).digest][0], seed=0) for k in range(3))
    again = [
        replace(member, seed=1, val=(*member.val[:3], value, member.val[4]))
        for member, value in ((one, 2.0), (two, 1.0), (three, 3.0))
    ]
    first = [
        replace(member, val=(*member.val[:3], value, member.val[4]))
        for member, value in ((one, 1.0), (two, 2.0), (three, 3.0))
    ]
    both = replace(toy_table(), trainings=(*first, *again))
    assert both.agreement() == pytest.approx(1 / 3), "two of three pairs in the same order, one reversed"
    assert np.isnan(replace(both, trainings=tuple(first)).agreement())


def test_search_on_a_table(
    table: MemberTable, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table.save("toy.parquet")
    nasface = Command(tmp_path, tmp_path, capsys)
    settings = ("search", "--on", "toy.parquet", "--search.strategy", "random", "--search.iterations", "39")
    result = nasface(*settings, "--run", "one")
    assert result.code == 0, result.errors
    assert not (tmp_path / "best.json").exists(), "it belongs to the search of a supernet"
    best = json.loads((tmp_path / "runs" / "one" / "best.json").read_text())
    summary = json.loads((tmp_path / "runs" / "one" / "summary.json").read_text())
    assert (summary["search"]["evaluations"], summary["search"]["unique"], summary["finished"]) == (40, 40, True)
    assert f"rank {summary['search']['rank']} of 1056" in result.output
    found = load_record(tmp_path / "runs" / "one" / "best.json").architecture.digest
    assert best["scores"]["penalty"] == pytest.approx(table.errors()[found], rel=1e-6)
    assert best["scores"]["test_mean"] == pytest.approx(best["scores"]["penalty"] + 0.5, rel=1e-5)
    # A resume of the finished run adds nothing.
    resumed = nasface(*settings, "--run", "one", "--resume", "true")
    assert resumed.code == 0 and "40 evaluations" in resumed.output
    steps, _ = read_metrics(tmp_path / "runs" / "one")["search/evaluations"]
    assert steps == list(range(40)), "a resume writes no step twice"
    elsewhere = nasface(*settings, "--run", "two", "--output", "found/mine.json")
    assert elsewhere.code == 0 and "found    found/mine.json" in elsewhere.output
    assert load_record(tmp_path / "found" / "mine.json").architecture.digest == found
    for arguments, message in (
        (("--on", "tables"), "--on must be supernet, trainings, table or a .parquet file"),
        (("--on", "bands"), "a search needs all: take --on table"),
        (("--on", "toy.parquet", "--workers", "2"), "--workers is for other searches"),
    ):
        runs = sorted((tmp_path / "runs").iterdir())
        failed = nasface("search", *arguments)
        assert failed.code == 2 and message in failed.line
        assert sorted((tmp_path / "runs").iterdir()) == runs


def test_the_shipped_table() -> None:
    table = load_table("table")
    assert table.space == load_space("table") and table.complete
    assert len(table.by_member) >= 500
    between, _ = table.noise("test")
    assert between > 0.3
    MemberTableEvaluator(table)


def test_the_shipped_bands() -> None:
    """Members of three costs, with two seeds each, in today's sizes; the shorter trainings are of other seeds."""
    table = load_table("bands")
    assert table.settings["network"] == asdict(MultipathConfig()) and table.settings["retrain"]["steps"] == 1800
    for name in SHORTER:
        shorter = load_table(name)
        assert set(shorter.by_member) <= set(table.by_member)
        assert not {one.seed for one in shorter.trainings} & {one.seed for one in table.trainings}
    assert table.space.name == "multipath" and len(table.by_member) == 90 and len(table.trainings) == 180
    for digest, code in ((one.digest, one.code) for one in table.trainings):
        assert table.member(digest).codes == tuple(map(int, code))
    with pytest.raises(UserError, match="has 90 of 1.5e63 members of space multipath"):
        MemberTableEvaluator(table)


def test_small_spaces_can_be_tables() -> None:
    assert toy_table(MultipathSpace("s", layers=2, scales=2)).complete
