"""Sweep files: those that are shipped fit W&B's format and nasface's settings; wrong ones are refused in a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nasface.cli.parser import read_arguments
from nasface.cli.sweep import check_command
from nasface.sweeps.samplers import make_pruner
from nasface.sweeps.sweep_file import EarlyTermination, load_sweep
from nasface.utils.errors import UserError
from tests.helpers.tiny import REPOSITORY
from tests.sweeps.files import toy_sweep, write_sweep
from tests.sweeps.wandb_format import violations

SHIPPED = sorted((REPOSITORY / "experiments" / "sweeps").glob("*.yaml"))


def test_there_is_a_sweep_for_each_purpose() -> None:
    names = {path.stem for path in SHIPPED}
    assert names == {"quick", "samos_temperature", "supernet", "retrain", "sampler_strategy"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_fit(path: Path) -> None:
    assert violations(yaml.safe_load(path.read_text())) == []
    sweep = load_sweep(path)
    check_command(sweep)  # every value is one that the command takes
    assert sweep.most_runs and sweep.metric and sweep.program


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_pass_wandbs_validator(path: Path) -> None:
    config = pytest.importorskip("sweeps.config")
    content = yaml.safe_load(path.read_text())
    content.pop("run_cap", None)  # younger than the last release of that package
    assert config.schema_violations_from_proposed_config(content) == []


def test_the_facts_of_the_format_can_fail() -> None:
    good: dict[str, Any] = {"method": "grid", "parameters": {"a": {"values": [1]}}}
    assert violations(good) == []
    for wrong in (
        {**good, "method": "best"},
        {**good, "colour": "red"},
        {**good, "parameters": {"a": {"values": 3}}},
        {**good, "parameters": {"a": {"min": 1}}},
        {**good, "parameters": {"a": {"min": "1e-4", "max": 2, "distribution": "uniform"}}},
        {**good, "early_terminate": {"type": "hyperband"}},
        {**good, "metric": {"goal": "minimize"}},
    ):
        assert violations(wrong), wrong


def test_nested_and_dotted_parameters(tmp_path: Path) -> None:
    nested = {"a": {"parameters": {"b": {"value": 1}, "c": {"parameters": {"d": {"values": [1, 2]}}}}}}
    sweep = toy_sweep(tmp_path, parameters={**nested, "e.f": {"value": 3}})
    assert [one.path for one in sweep.parameters] == [("a", "b"), ("a", "c", "d"), ("e.f",)]
    assert [one.name for one in sweep.parameters] == ["a.b", "a.c.d", "e.f"]


def test_how_many_runs(tmp_path: Path) -> None:
    grid = {"a": {"values": [1, 2, 3]}, "b": {"min": 1, "max": 2}, "c": {"value": 0}}
    assert toy_sweep(tmp_path, method="grid", parameters=grid, run_cap=None).most_runs == 6
    assert toy_sweep(tmp_path, method="grid", parameters=grid, run_cap=4).most_runs == 4
    assert toy_sweep(tmp_path, run_cap=None).most_runs is None


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"min_iter": 3}, EarlyTermination(3, None, 3, False)),
        ({"min_iter": 2, "max_iter": 8, "eta": 2, "strict": True}, EarlyTermination(2, 8, 2, True)),
        ({"max_iter": 27, "s": 2}, EarlyTermination(3, 27, 3, False)),
        ({"max_iter": 4, "s": 5, "eta": 2.2}, EarlyTermination(1, 4, 2, False)),
    ],
)
def test_early_termination(tmp_path: Path, section: dict[str, Any], expected: EarlyTermination) -> None:
    sweep = toy_sweep(tmp_path, early_terminate={"type": "hyperband", **section})
    assert sweep.early_terminate == expected
    name = type(make_pruner(sweep.early_terminate)).__name__
    assert name == ("SuccessiveHalvingPruner" if expected.strict else "HyperbandPruner")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"method": None}, "`method` is missing"),
        ({"method": "custom"}, "must be one of grid, random, bayes, not 'custom'"),
        ({"parameters": None}, "`parameters` is missing"),
        ({"parameters": []}, "parameters must be a mapping"),
        ({"parameters": {"9a": {"value": 1}}}, "'9a' is no name"),
        ({"parameters": {"a": {"parameters": {}}}}, "parameters of a must be a mapping"),
        ({"parameters": {"a.b": {"value": 1}, "a": {"parameters": {"b": {"value": 2}}}}}, "a.b is given twice"),
        ({"colour": "red"}, "unknown key 'colour'; known are: apiVersion"),
        ({"method": "grid"}, "uniform has no list of values for method grid"),
        ({"method": "bayes", "metric": None}, "bayes needs a `metric`"),
        ({"metric": {"goal": "minimize"}}, "metric must have a `name`"),
        ({"metric": {"name": "a", "goal": "best"}}, "minimize or maximize, not 'best'"),
        ({"metric": {"name": "a", "colour": 1}}, "metric takes no 'colour'"),
        ({"metric": {"name": "a", "target": "x"}}, "metric.target must be a number"),
        ({"early_terminate": {"type": "median"}}, "type must be hyperband"),
        ({"early_terminate": {"type": "hyperband"}}, "needs `min_iter`, or `max_iter` and `s`"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 0}}, "early_terminate.min_iter must be a whole number"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 1}}, "eta must be a number greater than 1"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 5, "max_iter": 2}}, "must not be less than min_iter"),
        ({"run_cap": 0}, "run_cap must be a whole number of at least 1"),
        ({"command": "nasface search"}, "command must be a list"),
        ({"command": None}, "`program` is missing"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, keys: dict[str, Any], words: str) -> None:
    path = write_sweep(tmp_path, **keys)
    with pytest.raises(UserError) as error:
        load_sweep(path)
    assert words in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("text", "words"), [("a: [", "not YAML at line 1"), ("- 1", "is a mapping"), ("", "mapping")])
def test_what_is_no_sweep(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        load_sweep(path)
    with pytest.raises(UserError, match="cannot read the sweep"):
        load_sweep(tmp_path / "absent.yaml")


def test_a_setting_that_the_command_does_not_have(tmp_path: Path) -> None:
    command = ["${env}", "nasface", "search", "${args}"]
    sweep = toy_sweep(tmp_path, command=command, parameters={"search.temprature": {"value": 1}})
    with pytest.raises(
        UserError, match=r"unknown setting --search\.temprature=1; did you mean search\.settings\.temperature\?"
    ):
        check_command(sweep)
    sweep = toy_sweep(tmp_path, command=command, parameters={"search.factor": {"values": ["much"]}})
    with pytest.raises(UserError, match="search.settings.factor: must be a number"):
        check_command(sweep)


def test_arguments_as_wandb_writes_them() -> None:
    """What an agent makes of values: Python's texts of them, mappings for nested parameters."""
    read_arguments(
        [
            "search",
            "--search.reuse=False",
            "--search.objectives=['penalty', 'macs']",
            "--supernet.last_repeats=None",
            "--supernet.repeats=[1, 2]",
            "--retrain.optimizer.lr=1e-05",
            "--retrain={'steps': 3, 'optimizer': {'lr': 0.1}}",
        ]
    )
    with pytest.raises(UserError):
        read_arguments(["search", "--retrain={'steps': 0}"])
