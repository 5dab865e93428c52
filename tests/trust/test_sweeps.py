"""Sweeps: followed without W&B, every value checked before the first run, whole numbers that come as 16.0 or 1e3."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from nasface.cli.parser import read_arguments
from nasface.cli.sweep import check_command
from nasface.config import Experiment
from nasface.runs.run import open_run
from nasface.sweeps.run_process import RunProcess
from nasface.sweeps.sweep_file import load_sweep
from nasface.tracking.metrics_file import METRICS_FILE
from nasface.tracking.stage_log import StageLog
from nasface.utils.errors import UserError
from tests.helpers.tiny import TINY, Command


def test_the_metric_is_followed_without_wandb(
    nasface: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    run = open_run("search", replace(Experiment(), runs=str(tmp_path / "others")), "m", False, "r")
    assert StageLog(Experiment(), run, "search").logger is None  # nobody follows
    monkeypatch.setenv(METRICS_FILE, str(tmp_path / "metrics.jsonl"))
    assert StageLog(Experiment(), run, "search").logger is not None
    (tmp_path / "metrics.jsonl").unlink()
    monkeypatch.delenv("WANDB_MODE")
    words = ["--experiment", "smoke", *TINY, "--log.wandb", "off", "--data.cache", str(nasface.cache)]
    assert nasface("retrain", "--arch", "random", *words).code == 0
    first, *lines = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert Path(first["run"]).parent.name == "runs"
    logged = [line["metrics"] for line in lines]
    assert sum("val/nme" in one for one in logged) == 2 and "test/nme" in logged[-1]
    assert not list(tmp_path.rglob("wandb"))


def test_a_run_stays_without_wandb_where_that_is_disabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for mode, expected in (("disabled", "disabled"), ("online", "offline")):
        monkeypatch.setenv("WANDB_MODE", mode)
        run = RunProcess(["sh", "-c", "echo $WANDB_MODE"], tmp_path, None, 1)
        run._process.wait()
        assert run.last_line() == expected


def sweep_of(folder: Path, parameters: dict[str, Any], *words: str) -> Any:
    content = {
        "method": "random",
        "run_cap": 1,
        "command": ["nasface", "retrain", "--experiment=smoke", "--arch=random", *(words or ("${args}",))],
        "parameters": parameters,
    }
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_sweep(path)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"retrain.loss": {"values": ["l1", "l3"]}}, "retrain.loss: must be one of 'l1', 'l2', 'distance', not l3"),
        ({"retrain": {"parameters": {"loss": {"values": ["l1", "l3"]}}}}, "retrain"),
        (
            {"retrain.batch_size": {"min": 0, "max": 8}},
            "retrain.batch_size: must be a whole number of at least 1, not 0",
        ),
        ({"retrain.batch_size": {"values": [4, 4.5]}}, "not 4.5"),
        ({"retrain.optimizer.lr": {"distribution": "uniform", "min": 0.5, "max": -0.5}}, "max"),
        ({"retrain.loss": {"values": ["l1", "l4"], "probabilities": [0.5, 0.5]}}, "not l4"),
        ({"arch": {"values": ["random", "hourglas1"]}}, "unknown architecture 'hourglas1'.*did you mean hourglass1"),
        ({"data.train": {"values": ["synthetic", "real"]}}, "unknown data set 'real'"),
        ({"network.input_size": {"values": [32, 33]}}, "network.input_size 33 must be a multiple"),
        ({"device.accelerator": {"values": ["cpu", "tpu"]}}, "device.accelerator tpu"),
        ({"init": {"values": ["scratch", "absent.pt"]}}, "absent.pt does not exist"),
        ({"run": {"values": ["one", "../two"]}}, "--run '../two' is no id"),
        ({"network": {"values": ["a\0b"]}}, "holds a zero byte"),
        ({"arch": {"values": ["random", "x" * 300]}}, "File name too long"),
    ],
)
def test_each_value_is_checked_first(tmp_path: Path, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as refusal:
        check_command(sweep_of(tmp_path, parameters))
    assert str(refusal.value).startswith(str(tmp_path / "sweep.yaml")) and not list(tmp_path.glob("runs*"))


def test_a_file_of_arguments(tmp_path: Path) -> None:
    words = ("--config", "${args_json_file}")
    parameters = {"retrain.steps": {"values": [4.0, 8]}, "network": {"parameters": {"width": {"value": 16.0}}}}
    check_command(sweep_of(tmp_path, parameters, *words))
    with pytest.raises(UserError, match="retrain.steps: must be a whole number of at least 1"):
        check_command(sweep_of(tmp_path, {"retrain.steps": {"values": [4, 0]}}, *words))
    (tmp_path / "a.json").write_text(json.dumps({"retrain.steps": 1e3, "retrain": {"loss": "l1"}, "seed": 2.0}))
    experiment = read_arguments(["retrain", "--config", str(tmp_path / "a.json")])[1]["experiment"]
    assert (experiment.retrain.steps, experiment.retrain.loss, experiment.seed) == (1000, "l1", 2)
    (tmp_path / "a.json").write_text(json.dumps({"retrain.steps": 3, "retrain": {"steps": 4}}))
    with pytest.raises(UserError, match="retrain.steps is given twice"):
        read_arguments(["retrain", "--config", str(tmp_path / "a.json")])


@pytest.mark.parametrize(
    ("words", "name", "expected"),
    [
        (["--retrain.steps=16.0"], "retrain.steps", 16),
        (["--retrain.steps", "1e3"], "retrain.steps", 1000),
        (["--retrain.steps", "1.5e1"], "retrain.steps", 15),
        (["--supernet.last_repeats", "2.0"], "supernet.last_repeats", 2),
        (["--supernet.last_repeats=None"], "supernet.last_repeats", None),
        (["--network.widths", "[16.0, 8]"], "network.widths", [16, 8]),
        (["--compare.seeds=[1e1]"], "compare.seeds", [10]),
        (["--device.devices", "1.0"], "device.devices", "1"),
        (["--retrain.optimizer.lr", "1e0"], "retrain.optimizer.lr", 1.0),
        (["--name", "1e3"], "name", "1e3"),
        (["--search.settings.chains=2.0"], "search.settings.chains", 2.0),
    ],
)
def test_whole_numbers(words: list[str], name: str, expected: object) -> None:
    value: Any = read_arguments(["search", *words])[1]["experiment"]
    for part in name.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    assert value == expected and type(value) is type(expected)


@pytest.mark.parametrize("value", ["16.5", "1e-3", "nan", "true", "1e99", "--", "x"])
def test_other_numbers_are_no_whole_ones(value: str) -> None:
    with pytest.raises(UserError, match="retrain.steps"):
        read_arguments(["retrain", f"--retrain.steps={value}"])
