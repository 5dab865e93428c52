"""`nasface compare`: several networks, one protocol, one table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nasface.config import CompareConfig, Experiment, experiment_file
from nasface.nets.network import HEATMAPS, PARAMETERS, UV_MAP, VOLUMES
from nasface.pipelines.compare import read_entries
from nasface.space.catalogue import SPACES, load_space
from nasface.utils.errors import UserError
from tests.helpers.tiny import Command

TWO = ["--compare.networks", '["random","hourglass1@0.0625"]']


def rows_of(nasface: Command, run: str) -> list[dict[str, Any]]:
    return json.loads((nasface.folder / "runs" / run / "comparison.json").read_text())


def without_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in ("latency_ms", "train_s")} for row in rows]


def test_rows_of_all_networks_and_nothing_trained_twice(nasface: Command) -> None:
    arguments = ["--experiment", "smoke", *TWO, "--compare.seeds", "[0,1]", "--run", "first"]
    result = nasface.tiny("compare", *arguments)
    assert result.code == 0, result.errors
    lines = [line.split()[0] for line in result.output.splitlines() if "±" in line]
    assert lines == ["random", "hourglass1@0.0625"]
    folder = nasface.folder / "runs" / "first"
    rows = rows_of(nasface, "first")
    assert [row["name"] for row in rows] == ["random (seed 0)"] * 2 + ["hourglass1@0.0625"] * 2
    assert all(row["dense"] > 0 and row["train_s"] > 0 and row["parameters"] > 0 for row in rows)
    assert (folder / "comparison.md").read_text().startswith("| ")
    assert not list(folder.glob("networks/*/retrain")), "checkpoints of finished trainings are left"
    weights = {path: path.stat().st_mtime_ns for path in folder.glob("networks/*/network.pt")}
    assert len(weights) == 4
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | {"finished": False}))
    again = nasface.tiny("compare", *arguments, "--resume", "true")
    assert again.code == 0 and again.output.splitlines()[3:] == result.output.splitlines()[3:]
    assert {path: path.stat().st_mtime_ns for path in weights} == weights
    latencies = json.loads((folder / "latencies.json").read_text())
    assert [row["latency_ms"] for row in rows[::2]] == list(latencies.values()), "measured once all have ended"
    both = nasface.tiny("compare", *arguments[:-2], "--run", "both", "--workers", "2")
    assert both.code == 0, both.errors
    assert without_times(rows_of(nasface, "both")) == without_times(rows), "two workers have other rows than one"


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ('["marble"]', "unknown architecture 'marble'"),
        ('["random","random"]', "several rows 'random (seed 0)': leave one out"),
        ("[]", "at least one network"),
        ('["hourglass1@wide"]', "the scale of 'hourglass1@wide' is no number"),
        ('["random@0.5"]', "random takes no scale"),
        ('["absent.json"]', "absent.json"),
        ('["hourglass1@0.0625 volume.sigma"]', "'volume.sigma' is no setting of a row"),
        ('["hourglass1@0.0625 data.seed=1"]', "'data.seed=1' is no setting of a row"),
        ('["hourglass1@0.0625 retrain.pace=1"]', "'retrain.pace=1' is no setting of a row"),
        ('["hourglass1@0.0625 retrain=1"]', "'retrain=1' is no setting of a row"),
        ('["hourglass1@0.0625 retrain.loss=worst"]', "retrain.loss=worst"),
        ('["hourglass1@0.0625 as one","hourglass1@0.0625 as two"]', "no network twice"),
        ('["hourglass1@0.0625 as one","hourglass1@0.125 as one"]', "several rows 'one': leave one out"),
        ('["best.json"]', "at least one network"),
        ('["@absent"]', "unknown list @absent: give one of @candidates"),
    ],
)
def test_wrong_networks_are_named(nasface: Command, networks: str, message: str) -> None:
    result = nasface.tiny("compare", "--experiment", "smoke", "--compare.networks", networks)
    assert result.code == 2 and message in result.line
    assert not (nasface.folder / "runs").exists()


def test_rows_have_settings_and_names_of_their_own() -> None:
    networks = ["hourglass1@0.0625", "hourglass1@0.0625 retrain.loss=l1 retrain.optimizer.lr=1e-4 as by L1"]
    experiment = replace(Experiment(), compare=CompareConfig(networks=networks))
    plain, own = read_entries(experiment)
    assert (plain.name, own.name) == (networks[0], "by L1")
    assert plain.experiment == experiment and plain.digest == plain.spec.digest
    assert own.experiment.retrain.loss == "l1" and own.experiment.retrain.optimizer.lr == 1e-4
    retrain = replace(own.experiment.retrain, loss="distance", optimizer=experiment.retrain.optimizer)
    assert replace(own.experiment, retrain=retrain) == experiment
    assert own.spec == plain.spec and own.digest != plain.digest


@pytest.mark.parametrize(("width", "names"), [(32, ["random (seed 0)", "searched = preset/hrnet"]), (16, None)])
def test_a_search_may_find_a_hand_made_network(tmp_path: Path, width: int, names: list[str] | None) -> None:
    record = json.loads((SPACES / "presets" / "hrnet.json").read_text())
    record["provenance"] = {
        "strategy": "trainings",
        "width": width,
        "network": {"width": width, "head": "anchors", "resample": "pool"},
    }
    (tmp_path / "best.json").write_text(json.dumps(record))
    output = str(tmp_path / "best.json")
    networks = ["random", "preset/hrnet", output]
    entries = read_entries(replace(Experiment(output=output), compare=CompareConfig(networks=networks)))
    assert [entry.name for entry in entries] == (names or ["random (seed 0)", "preset/hrnet", "searched"])
    assert len({entry.digest for entry in entries}) == len(entries)


def test_a_list_stands_for_its_networks(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text("- random\n- hourglass1@0.0625\n")
    networks = [f"@{tmp_path / 'two.yaml'}", "hourglass2@0.0625"]
    entries = read_entries(replace(Experiment(), compare=CompareConfig(networks=networks)))
    assert [entry.arch for entry in entries] == ["random", "hourglass1", "hourglass2"]
    (tmp_path / "two.yaml").write_text("networks: []\n")
    with pytest.raises(UserError, match="two.yaml must be a list of networks"):
        read_entries(replace(Experiment(), compare=CompareConfig(networks=networks[:1])))


@pytest.mark.parametrize("name", ["compare_cpu", "compare_aflw"])
def test_every_candidate_is_compared(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every target's networks and the space's members; JVCR three times, by its labels."""
    settings = yaml.safe_load(experiment_file(name).read_text())["compare"]
    monkeypatch.chdir(tmp_path)  # no best.json
    entries = read_entries(replace(Experiment(), compare=CompareConfig(settings["networks"][:1])))
    assert len(entries) + len(settings["networks"][1:]) == 37
    assert {entry.spec.target for entry in entries} == {UV_MAP, HEATMAPS, VOLUMES, PARAMETERS}
    assert all("jvcr@0.25 volume.wild=" in text for text in settings["networks"][1:])


def test_the_searched_network_is_left_out_until_it_is_there(tmp_path: Path) -> None:
    output, networks = tmp_path / "best.json", ["hourglass1@0.0625"]
    experiment = replace(Experiment(), output=str(output), compare=CompareConfig(networks=[str(output), *networks]))
    assert [entry.name for entry in read_entries(experiment)] == networks
    space = load_space(experiment.space)
    space.random_architecture(np.random.default_rng(0)).save(output, {"strategy": "random"}, {})
    assert [entry.name for entry in read_entries(experiment)] == ["searched", *networks]


def test_a_training_that_fails_lets_the_others_go_on(nasface: Command) -> None:
    networks = '["hourglass1@0.0625 retrain.optimizer.lr=1e30 as broken","hourglass1@0.0625"]'
    result = nasface.tiny("compare", "--experiment", "smoke", "--compare.networks", networks, "--run", "one")
    assert result.code == 2 and "1 trainings are not in the table" in result.errors[-1]
    assert any(line.startswith("1/2  broken, seed 0: ") and "NME" not in line for line in result.errors)
    assert [row["name"] for row in rows_of(nasface, "one")] == ["hourglass1@0.0625"]
    assert json.loads((nasface.folder / "runs" / "one" / "summary.json").read_text())["finished"] is False


def test_every_target_trains_in_half_precision(nasface: Command) -> None:
    rows = ["preset/prnet", "mobilenet_x05@0.25", "dhm_landmarks@0.25", "jvcr@0.06", "sdu-outside@0.06"]
    settings = ["--retrain.steps", "2", "--network.input_size", "32", "--network.map_size", "32"]
    result = nasface.tiny(
        "compare", *settings, "--device.precision", "bf16-mixed", "--compare.networks", f"[{', '.join(rows)}]"
    )
    assert result.code == 0, result.errors
    assert all(row.split("@")[0] in result.output for row in rows)
