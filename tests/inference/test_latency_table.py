"""Forecasts of a member's latency: sums by hand, the fit, the file, and the limit of a search."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasface.config import Experiment, MultipathConfig, SearchConfig
from nasface.inference import latency_table
from nasface.inference.latency_table import LatencyTable, load_latency_table, measure_latencies
from nasface.pipelines import search
from nasface.pipelines.scoring import make_search_strategy
from nasface.runs.run import Run
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError

SPACE = MultipathSpace("toy", 3, 2)
# From either scale to either: identity 1, 2, 3, 4 ms; ten times as much with a block.
KINDS = {(0, 0): 1.0, (0, 1): 2.0, (1, 0): 3.0, (1, 1): 4.0}
CONNECTIONS = {f"{a} {b} {op}": (1, 10)[op - 1] * ms for (a, b), ms in KINDS.items() for op in (1, 2)}
TABLE = LatencyTable(CONNECTIONS, fixed=0.5, weights=(0.25, 2.0, 0.001), error=0.03, worst=0.1)


def test_a_forecast_by_hand() -> None:
    # The stem (at the finest scale, 1) feeds scale 0 by a block, 30 ms, and scale 1 by an identity, 4; 0 -> 0 by an
    # identity, 1; 1 -> 0 by a block, 30; and 0 -> output (finest) by an identity, 2.
    member = Architecture(SPACE, (2, 1, 1, 0, 2, 0, 1, 0))
    parts = 0.5 + 30 + 4 + 1 + 30 + 2
    assert TABLE.parts(member) == pytest.approx(parts)
    assert TABLE.milliseconds(member, 1000) == pytest.approx(0.25 + 2 * parts + 1)


def test_connections_that_lead_nowhere_cost_nothing() -> None:
    whole = Architecture(SPACE, (2, 1, 1, 0, 2, 0, 1, 0))
    dangling = Architecture(SPACE, (2, 1, 1, 2, 2, 0, 1, 0))  # scale 1 of the last layer feeds nothing
    assert dangling.canonical == whole and TABLE.parts(dangling) == TABLE.parts(whole)


def test_the_fit_finds_what_made_the_times() -> None:
    rng = np.random.default_rng(0)
    terms = np.c_[np.ones(9), rng.uniform(1, 5, 9), rng.uniform(1e5, 1e6, 9)]
    true = np.array([0.2, 1.7, 4e-7])
    weights, errors = latency_table.fit_weights(np.c_[terms @ true, terms])
    assert weights == pytest.approx(true)
    assert errors.max() < 1e-9
    noisy = np.c_[terms @ true * (1 + 0.1 * rng.standard_normal(9)), terms]
    weights, errors = latency_table.fit_weights(noisy)
    assert min(weights) >= 0 and 0.02 < errors.mean() < 0.3


def test_the_file_comes_back(tmp_path: Path) -> None:
    TABLE.save(tmp_path / "latency.json")
    assert load_latency_table(tmp_path / "latency.json") == TABLE
    for damage in ({"fixed": "long"}, {"weights": [1.0]}, {"connections": None}):
        record = json.loads((tmp_path / "latency.json").read_text()) | damage
        (tmp_path / "bad.json").write_text(json.dumps(record))
        with pytest.raises(UserError, match="bad.json"):
            load_latency_table(tmp_path / "bad.json")


def test_a_search_keeps_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    monkeypatch.setattr(latency_table, "measure_latencies", lambda *about: measured.append(about) or TABLE)
    experiment = Experiment(network=MultipathConfig(width=8, head_width=16), search=SearchConfig(max_latency=90.0))
    run = Run(tmp_path)
    table = search.latencies(experiment, SPACE, run)
    assert search.latencies(experiment, SPACE, run) == table == TABLE and len(measured) == 1, "kept in the run"
    strategy = make_search_strategy(experiment, SPACE, table)
    (limit,) = strategy.constraints
    assert (limit.name, limit.limit) == ("latency", 90.0)
    drawn = [SPACE.random_architecture(np.random.default_rng(seed)) for seed in range(50)]
    assert {limit.measure(one) <= 90 for one in drawn} == {True, False}, "the limit decides nothing"
    assert limit.measure(strategy.ask().architecture) <= 90
    assert search.latencies(replace(experiment, search=SearchConfig()), SPACE, run) is None
    narrow = replace(experiment, search=SearchConfig(max_latency=1e-3))
    with pytest.raises(UserError, match="latency <= 0.001"):
        search.search(narrow, SPACE, Run(tmp_path / "other"))


@pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="needs onnx and onnxruntime (extra `export`)")
def test_measured_tables_have_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency_table, "_REPEATS", 3)
    table = measure_latencies(SPACE, MultipathConfig(input_size=16, map_size=8, stem_stride=4, width=8, head_width=8))
    assert table.connections.keys() == CONNECTIONS.keys()
    assert table.fixed > 0 and min(table.connections.values()) >= 0 and min(table.weights) >= 0


def test_without_onnxruntime_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="export"):
        measure_latencies(SPACE, MultipathConfig(input_size=16, map_size=8, stem_stride=4, width=8, head_width=8))
