"""Networks that regress a face's vector, through the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from nasface.config import EXPERIMENTS
from nasface.nets.weights import load_network
from tests.helpers.tiny import Command

ROWS = sorted(path.stem for path in (EXPERIMENTS / "3ddfa_v2").glob("*.yaml"))


def retrain(nasface: Command, name: str, *arguments: str) -> Path:
    """Train a network for three steps on 32 pixels; returns the run's folder."""
    from tests.helpers.tiny import settings

    sizes = ("--network.input_size", "32", "--network.map_size", "32", "--retrain.steps", "3")
    sizes = (*settings("retrain", nasface.cache), *sizes)
    # Settings of the command line after those of the experiment's file.
    experiment = arguments if arguments[:1] == ("--experiment",) else ("--experiment", "smoke", *arguments)
    result = nasface("retrain", *experiment, *sizes, "--arch", name, "--scale", "0.05")
    assert result.code == 0, result.errors
    assert f"\n{name} " in result.output
    (run,) = (nasface.folder / "runs").iterdir()
    return run


def test_a_network_of_parameters_is_trained_by_name(nasface: Command) -> None:
    run = retrain(nasface, "mobilenet_x05")
    network = load_network(run / "network.pt")
    assert network.vector.size == 12 + 102, "the embedded head has 102 coefficients"
    assert network.vector.mean.abs().sum() > 0, "it knows no training face"
    assert network.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 114)
    (selection,) = json.loads((run / "retrain" / "selection.json").read_text())
    assert selection["batch"] == 2
    assert (run / "faces.png").is_file() and (run / "retrain" / "selection.png").is_file()


@pytest.mark.parametrize("name", ["dhm", "dhm_2drnn"])
def test_a_recurrent_network_is_trained_by_name(nasface: Command, name: str) -> None:
    run = retrain(nasface, name)
    network = load_network(run / "network.pt")
    assert network.vector.size == (6 + 102 if name == "dhm" else 204)
    assert (run / "retrain" / "steps.png").is_file()


def test_there_is_an_experiment_for_every_row_of_table_3() -> None:
    joint = ["meta_joint", "vanilla_joint", "vdc_from_fwpdc"]
    assert sorted([*joint, "vdc", "fwpdc", "vdc_lrr", "fwpdc_lrr", "meta_joint_lmk", "meta_joint_lrr"]) == ROWS
    names = {row: yaml.safe_load((EXPERIMENTS / "3ddfa_v2" / f"{row}.yaml").read_text()) for row in ROWS}
    assert len({tuple(sorted(found["parameters"].items())) for found in names.values()}) == len(ROWS)
    assert all(found["name"] == f"3ddfa_v2_{row}" for row, found in names.items())


@pytest.mark.parametrize("row", ["meta_joint_lmk", "vanilla_joint", "vdc_from_fwpdc", "fwpdc_lrr"])
def test_rows_of_table_3(nasface: Command, row: str) -> None:
    run = retrain(nasface, "mobilenet_x05", "--experiment", f"3ddfa_v2/{row}")
    assert (run / "retrain" / "selection.json").is_file() == row.startswith("meta_joint")


def test_an_objective_that_does_not_fit_is_one_line(nasface: Command) -> None:
    result = nasface.tiny("retrain", "--experiment", "smoke", "--arch", "dhm", "--parameters.objective", "fwpdc")
    assert result.code == 2
    assert "parameters.objective fwpdc is for a network with a pose matrix: give vdc for dhm" in result.line
