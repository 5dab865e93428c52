"""Predictors within bands of cost, against tables whose answers are known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bands
from nasface.tabular.table import MemberTable
from nasface.utils.errors import UserError
from nasface.utils.files import write_json
from tests.helpers.toy_table import toy_table


def banded(seeds: int = 2) -> MemberTable:
    """60 members in two bands of about 1e6 and 2e6 multiply-adds."""
    table = toy_table(seeds=seeds, count=60)
    places = {digest: place for place, digest in enumerate(table.by_member)}
    trainings = [
        replace(one, macs=int((1 + places[one.digest] % 2) * 1e6 + places[one.digest]), parameters=100)
        for one in table.trainings
    ]
    return MemberTable(table.space, tuple(trainings), table.settings | {"bands": [1e6, 2e6]})


def test_members_go_to_their_bands() -> None:
    table = banded()
    found = bands.bands_of(table)
    assert {band: len(members) for band, members in found.items()} == {"1 M": 30, "2 M": 30}
    assert all(table.by_member[one][0].macs < 1.5e6 for one in found["1 M"])
    assert list(bands.bands_of(toy_table(count=30))) == ["all"]


def test_the_spread_of_members_is_without_that_of_seeds() -> None:
    table = toy_table(seeds=2, count=400)
    rng = np.random.default_rng(0)
    true = {digest: rng.normal(10, 0.6) for digest in table.by_member}
    noisy = [replace(one, val=(0.0, 0.0, 0.0, true[one.digest] + rng.normal(0, 0.5), 0.0)) for one in table.trainings]
    members, seeds = bands.spread(MemberTable(table.space, tuple(noisy), table.settings), list(table.by_member))
    assert members == pytest.approx(0.6, rel=0.12) and seeds == pytest.approx(0.5, rel=0.12)
    only_noise = [replace(one, val=(0.0, 0.0, 0.0, 10 + rng.normal(0, 0.5), 0.0)) for one in table.trainings]
    members, _ = bands.spread(MemberTable(table.space, tuple(only_noise), table.settings), list(table.by_member))
    assert members < 0.15
    assert math.isnan(bands.spread(toy_table(count=30), list(toy_table(count=30).by_member))[1])


def test_a_predictor_that_knows_and_one_that_counts() -> None:
    table = banded()
    digests = list(table.by_member)
    errors = table.errors()
    perfect = bands.judged(table, errors, digests)
    assert perfect is not None
    least = min(errors, key=errors.get)
    assert (perfect["members"], perfect["regret"]) == (60, 0)
    assert (perfect["tau"], perfect["beyond"]) == (pytest.approx(1), pytest.approx(1))
    tests = [table.errors("test")[digest] for digest in digests]
    assert perfect["test"] == pytest.approx(table.errors("test")[least])
    assert perfect["test_random"] == pytest.approx(np.mean(tests))
    assert perfect["test_error"] == pytest.approx(np.std(tests, ddof=1) / 60**0.5)
    worst = bands.judged(table, {digest: -error for digest, error in errors.items()}, digests)
    assert worst is not None and worst["tau"] == pytest.approx(-1)
    assert worst["regret"] == pytest.approx(max(errors.values()) - min(errors.values()))
    assert bands.judged(table, {digest: 1.0 for digest in digests[:4]}, digests) is None
    # All parameters are alike here: they tell nothing, and the first choice is all of them.
    counted = bands.judged(table, bands.predictors(table, {}, {})["parameters"], digests)
    assert counted is not None and counted["tau"] == 0
    assert counted["regret"] == pytest.approx(np.mean(list(errors.values())) - min(errors.values()))


def test_what_only_parameters_know_vanishes_beyond_them() -> None:
    table = toy_table(count=40)
    sized = [replace(one, parameters=1000 + 10 * place) for place, one in enumerate(table.trainings)]
    errors = [replace(one, val=(0.0, 0.0, 0.0, 10 - one.parameters / 1000, 0.0)) for one in sized]
    table = MemberTable(table.space, tuple(errors), table.settings)
    found = bands.judged(table, bands.predictors(table, {}, {})["parameters"], list(table.by_member))
    assert found is not None and found["tau"] == pytest.approx(1) and abs(found["beyond"]) < 0.2


def test_the_spread_says_how_well_one_seed_foretells_the_other() -> None:
    table = banded()
    of = bands.bands_of(table)
    assert [line.split()[-1] for line in bands.spread_table(table, of).splitlines()[2:]] == ["+1.000"] * 2
    turned = [replace(one, val=(20 - one.val[3],) * 5) if one.seed else one for one in table.trainings]
    table = MemberTable(table.space, tuple(turned), table.settings)
    assert [line.split()[-1] for line in bands.spread_table(table, of).splitlines()[2:]] == ["-1.000"] * 2
    single = bands.spread_table(banded(seeds=1), of)
    assert "one seed" in single and "nan" not in single


def test_a_learnt_predictor_finds_what_is_linear_and_never_sees_its_answer() -> None:
    table = banded()
    digests, errors = list(table.by_member), table.errors()
    rng = np.random.default_rng(0)
    noise = {digest: float(rng.normal()) for digest in digests}
    told = {digest: 3 * errors[digest] + noise[digest] for digest in digests}
    apart = bands.judged(table, bands.learnt(table, digests, [told, noise]), digests)
    one = bands.judged(table, told, digests)
    assert apart is not None and one is not None
    assert apart["tau"] > 0.9 > one["tau"]
    blind = bands.judged(table, bands.learnt(table, digests, [noise]), digests)
    assert blind is not None and blind["tau"] < 0.6
    assert bands.learnt(table, digests[:4], [told]) == {}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    table = banded()
    table.save(tmp_path / "t.parquet")
    short = replace(table, settings=table.settings | {"retrain": {"steps": 30, "batch_size": 4}})
    short.save(tmp_path / "s.parquet")
    members = [{"hash": digest, "supernet": error, "alone": error} for digest, error in table.errors().items()]
    ranking = {"sampler": "mnus", "steps": 200, "batch_norm": "calibrated", "members": members}
    write_json(tmp_path / "r.json", {"table": table.fingerprint, "rankings": [ranking]})
    arguments = ["--table", str(tmp_path / "t.parquet"), "--shorter", str(tmp_path / "s.parquet")]
    bands.main([*arguments, "--rankings", str(tmp_path / "r.json"), "--json", str(tmp_path / "out.json")])
    printed = capsys.readouterr().out
    assert "training of 30 steps of 4, same seed" in printed and "supernet, mnus, 200 steps, calibrated" in printed
    assert (tmp_path / "out.json").exists()
    write_json(tmp_path / "r.json", {"table": "another", "rankings": []})
    with pytest.raises(UserError, match="no ranking of this table"):
        bands.main([*arguments, "--rankings", str(tmp_path / "r.json")])


def test_short_trainings_foretell_other_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A short training that knows its own seed's noise gains nothing by that."""
    pytest.importorskip("pyarrow")
    table, rng = banded(), np.random.default_rng(0)
    noisy = [replace(one, val=(0.0, 0.0, 0.0, rng.normal(10, 1), 0.0)) for one in table.trainings]
    table = replace(table, trainings=tuple(noisy))
    short = replace(
        table,
        trainings=tuple(one for one in noisy if one.seed == 0),
        settings=table.settings | {"retrain": {"steps": 30, "batch_size": 4}},
    )
    assert bands.unseen(table, [short]) == bands._of_seeds(table, {1}) and bands.unseen(short, [table]) is None
    for one, path in ((table, "t"), (short, "s")):
        one.save(tmp_path / f"{path}.parquet")
    shorter = ["--shorter", str(tmp_path / "s.parquet"), "--json", str(tmp_path / "out.json")]
    bands.main(["--table", str(tmp_path / "t.parquet"), *shorter])
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("training of 30 steps of 4 "))
    assert "same seed" not in line and abs(float(line.split()[-7])) < 0.4
    bands.main(["--table", str(tmp_path / "s.parquet"), *shorter])
    assert "training of 30 steps of 4, same seed" in capsys.readouterr().out


def test_a_short_training_is_judged_by_both_means() -> None:
    table = banded()
    short = replace(table, trainings=tuple(replace(one, val=(1.0, 2.0, 9.0, 4.0, 1.5)) for one in table.trainings))
    found = bands.predictors(table, {"short": short}, {})
    assert set(found["short"].values()) == {4.0} and set(found["short, all faces"].values()) == {1.5}


def test_a_replayed_search_by_hand() -> None:
    """Of four members with three each time: round 1 keeps the better two, of which the last takes the better."""
    tests = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 8.0}
    first, last = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}, {"a": 0.0, "b": 1.0, "c": 2.0, "d": 3.0}
    # abc: b, c go on; abd: b, d; acd and bcd: c, d.
    assert bands.halved(tests, [first, last], list(tests), 3) == pytest.approx((2 + 2 + 4 + 4) / 4)


def test_whole_trainings_decide_by_one_seed_and_are_told_by_the_others() -> None:
    table = toy_table(seeds=3)
    (first, last, replays), *more = bands._two_rounds(table, {"short": toy_table()})
    assert not more and (first, last) == ("short", "whole training, one seed") and len(replays) == 3
    for seed, ((_, scores), tests) in enumerate(replays):
        for digest, trainings in table.by_member.items():
            assert scores[digest] == next(one.val[3] for one in trainings if one.seed == seed)
            others = [one.test[3] for one in trainings if one.seed not in (0, seed)]  # 0 is the short trainings'
            assert len(others) == (1 if seed else 2) and tests[digest] == pytest.approx(np.mean(others))
    two = toy_table(seeds=2)
    ((_, _, replays),) = bands._two_rounds(two, {"short": toy_table()})
    assert len(replays) == 1, "the other replay would be told by the short trainings' seed"
    ((_, _, replays),) = bands._two_rounds(two, {"short": two})
    assert len(replays) == 2, "there is no other seed"
    assert not list(bands._two_rounds(toy_table(), {"short": toy_table()}))


def test_a_replayed_search_of_many_members_takes_random_choices() -> None:
    table = toy_table(count=60)
    digests, errors = list(table.by_member), table.errors("test")
    found = bands.halved(errors, [errors, errors], digests, 12)
    assert found == bands.halved(errors, [errors, errors], digests, 12)
    ordered = sorted(errors[digest] for digest in digests)
    least = sum(math.comb(59 - place, 11) * error for place, error in enumerate(ordered)) / math.comb(60, 12)
    assert found == pytest.approx(least, rel=2e-3)
