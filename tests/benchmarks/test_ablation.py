"""The ablation: its tables by hand, and a tiny one from supernet to table, which a second call only reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import ablation
from benchmarks.ablation import ROWS, ablation_table, make_lines, of_strategy, read_arguments, sampler_table, time_to
from nasface.config import SearchConfig
from nasface.report.tables import NMERow
from nasface.utils.errors import UserError

CURVE = [{"step": 1, "seconds": 10.0, "nme": 20.0}, {"step": 2, "seconds": 20.0, "nme": 10.0}]


def test_time_is_read_between_snapshots() -> None:
    assert time_to(CURVE, 10.0) == 20.0
    assert time_to(CURVE, 15.0) == pytest.approx(15.0)
    assert time_to(CURVE, 25.0) == 10.0  # no better than the first snapshot is known
    assert time_to(CURVE, 9.0) is None


def row(mean: float) -> NMERow:
    return NMERow("x", (mean, mean, mean), mean, mean)


def searches() -> list[dict]:
    """Two seeds; the digest names sampler, strategy and seed."""
    return [
        {
            "sampler": sampler,
            "seed": seed,
            "supernet_s": 100.0 if sampler == "uniform" else 50.0,
            "curve": CURVE if sampler == "uniform" else [point | {"seconds": point["seconds"] / 2} for point in CURVE],
            "searches": [
                {"strategy": strategy, "digest": f"{sampler}-{strategy}", "search_s": 7.0, "evaluations": 90 + seed}
                for strategy in ("samos", "random")
            ],
        }
        for seed in (1, 0)
        for sampler in ("uniform", "mnus")
    ]


def test_tables_by_hand() -> None:
    values = {"uniform-random": 8.0, "uniform-samos": 7.0, "mnus-random": 6.0, "mnus-samos": 5.0, "draw": 9.0}
    rows = {(digest, seed): row(value + seed) for digest, value in values.items() for seed in (0, 1)}
    lines = make_lines(searches(), {0: "draw", 1: "draw"}, rows)
    assert [line.name for line in lines] == list(ROWS.values())
    text = ablation_table(lines).splitlines()
    assert "MNUS, SAMOS (MONAS)" in text[5] and "5.50 ± 0.71" in text[5] and text[5].endswith("5.00 / 6.00")
    assert "50.0 s" in text[5] and " 7.0 s" in text[5] and "90" in text[5] and "100" not in text[5]
    first, second, third = ablation.verdict(lines)
    assert first.startswith("MNUS instead of uniform paths: -2.000 ± 0.000") and "lower in 2 of 2 seeds" in first
    assert second.startswith("SAMOS instead of random search: -1.000") and third.split(":")[1].startswith(" -4.000")
    lines = sampler_table(searches()).splitlines()
    assert lines[2].split() == ["0", "10.00", "20.0", "s", "10.0", "s", "2.00", "10.00", "/", "10.00"]


def test_random_search_gets_no_settings_of_samos() -> None:
    config = SearchConfig(settings={"acceptance": 0.3, "chains": 2}, iterations=7, storage="x")
    assert of_strategy(config, "random") == SearchConfig(strategy="random", iterations=7)
    assert of_strategy(config, "samos") == replace(config, strategy="samos", storage="")


def test_settings_that_cannot_be() -> None:
    assert read_arguments([])[0].name == "ablation_cpu"
    for arguments in (["--seeds", "1", "1"], ["--workers", "0"]):
        with pytest.raises(UserError, match=arguments[0]):
            read_arguments(arguments)


def test_a_tiny_ablation(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--runs", str(tmp_path / "runs"), "--data.cache", str(tmp_path / "cache"), "--seeds", "0"]
    arguments += ["--data.train_count", "24", "--data.val_count", "12", "--data.test_count", "9", "--children", "2"]
    arguments += ["--network.width", "8", "--network.head_width", "8", "--device.threads", "1"]
    arguments += ["--supernet.steps", "4", "--supernet.checkpoint_every", "2", "--supernet.batch_size", "4"]
    arguments += ["--search.iterations", "4", "--search.calibration", "8"]
    arguments += ["--retrain.steps", "2", "--retrain.evaluate_every", "2", "--retrain.batch_size", "4"]
    assert ablation.main(arguments) == 0
    output = capsys.readouterr().out
    path = tmp_path / "runs" / "benchmarks" / "ablation.json"
    figures = json.loads(path.read_text())
    assert [line["name"] for line in figures["lines"]] == list(ROWS.values())
    assert all(name in output for name in ROWS.values())
    for record in figures["searches"]:
        samos, random = record["searches"]
        assert samos["evaluations"] == random["evaluations"]  # equal budgets
        assert [point["step"] for point in record["curve"]] == [1, 2, 3, 4]
        assert all(0 < point["seconds"] <= record["supernet_s"] + 0.1 for point in record["curve"])

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a finished stage was repeated")

    monkeypatch.setattr(ablation, "train_supernet", forbidden)
    monkeypatch.setattr("nasface.pipelines.compare.retrain", forbidden)
    assert ablation.main(arguments) == 0
    assert json.loads(path.read_text())["lines"] == figures["lines"]
