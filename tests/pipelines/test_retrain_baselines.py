"""Fixed networks through the command: the list, and retraining by name."""

from __future__ import annotations

import json

import pytest
import torch

from nasface.nets.baselines.hourglass import HourglassUV
from nasface.nets.cost import on_meta
from nasface.nets.heatmap_network import HeatmapNetwork
from nasface.nets.registry import NETWORKS, BaselineSpec, create_network
from nasface.nets.weights import load_network
from tests.helpers.tiny import Command


def rows(output: str) -> dict[str, str]:
    """The table's lines by name."""
    return {line.split()[0]: line for line in output.splitlines() if line[:1].isalpha() and ":" not in line}


def test_list(nasface: Command) -> None:
    result = nasface("list")
    assert result.code == 0 and not result.errors
    assert result.output.startswith("64 x 64 pixels, 64 x 64 map; fixed networks at scale 1, presets at width 32\n")
    table = rows(result.output)
    assert list(table) == ["name", *NETWORKS.names(), "preset/hourglass", "preset/hrnet", "preset/prnet"]
    for name in NETWORKS.names():
        candidate = NETWORKS.get(name)
        assert candidate.paper in table[name] and candidate.target in table[name]
    assert table["prnet"].split()[-4:] == ["13.4", "M", "258", "M"]
    assert table["hourglass1"].split()[-4:-2] == ["3.50", "M"]


def test_list_at_other_sizes(nasface: Command) -> None:
    result = nasface("list", "--scale", "0.25", "--network.input_size", "40", "--network.map_size", "40")
    assert result.code == 0 and not result.errors
    table = rows(result.output)
    assert table["prnet"].split()[-2:] == table["preset/prnet"].split()[-2:] == ["-", "-"]
    assert "\nprnet: network.input_size 40 must be a multiple of 32 for prnet\n" in result.output
    with on_meta():
        parameters = sum(p.numel() for p in create_network("hourglass1", 40, 40, 0.25).parameters())
    assert f"{parameters / 1e3:.0f} k" in table["hourglass1"]


def test_retrain_by_name(nasface: Command) -> None:
    arguments = ["--experiment", "smoke", "--arch", "hourglass1", "--scale", "0.0625", "--retrain.steps", "3"]
    result = nasface.tiny("retrain", *arguments)
    assert result.code == 0, result.errors
    assert "\nhourglass1 " in result.output
    (run,) = (nasface.folder / "runs").iterdir()
    assert run.name.endswith("-retrain-hourglass1-x0.0625")
    network = load_network(run / "network.pt")
    assert isinstance(network, HourglassUV) and network.spec == BaselineSpec("hourglass1", 32, 32, 0.0625)
    assert network.mean_map.abs().sum() > 0, "it was trained around no face"
    summary = json.loads((run / "summary.json").read_text())
    assert summary["finished"] is True and summary["architecture"] == "hourglass1-x0.0625"
    assert summary["result"]["parameters"] == sum(p.numel() for p in network.parameters())
    assert torch.load(run / "retrain" / "last.ckpt", weights_only=True)["global_step"] == 3


@pytest.mark.parametrize("arch", ["sdu-dual", "fan"])
def test_retrain_heatmaps(nasface: Command, arch: str) -> None:
    """Landmarks without depth go the whole way: evaluation, figure, table, weights."""
    arguments = ["--experiment", "smoke", "--arch", arch, "--scale", "0.0625", "--heatmap.sigma", "1.5"]
    result = nasface.tiny("retrain", *arguments)
    assert result.code == 0, result.errors
    (row,) = (line for line in result.output.splitlines() if line.startswith(f"{arch} "))
    assert "nan" not in row and " - " not in row
    (run,) = (nasface.folder / "runs").iterdir()
    assert (run / "faces.png").stat().st_size > 0
    network = load_network(run / "network.pt")
    assert isinstance(network, HeatmapNetwork) and network.spec == BaselineSpec(arch, 32, 32, 0.0625)
    figures = json.loads((run / "summary.json").read_text())["result"]
    assert all(value > 0 for value in (*figures["bins"], figures["mean"], figures["all"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--arch marble",
            "unknown architecture 'marble': give a JSON file (best.json of a search), random, preset/NAME",
        ),
        ("--arch prnet --scale 0", "scale: must be a number greater than 0"),
        ("--arch prnet --network.input_size 40", "network.input_size 40 must be a multiple of 32 for prnet"),
        ("--arch hrnet --network.map_size 8", "network.map_size 8 must be a multiple of 16 for hrnet"),
        ("--arch sdu-dual --network.input_size 40", "network.input_size 40 must be a multiple of 16 for sdu-dual"),
        ("--arch sdu-dual --heatmap.sigma 0", "heatmap.sigma"),
        (
            "--arch prnet --init supernet",
            "--init supernet is for networks of a multi-path space; give a network.pt",
        ),
        ("--arch preset/prnet --scale 0.5", "--scale is for fixed networks ("),
    ],
)
def test_wrong_arguments_are_one_line(nasface: Command, arguments: str, message: str) -> None:
    result = nasface("retrain", *arguments.split())
    assert result.code == 2
    assert message in result.line
    assert list(nasface.folder.iterdir()) == [], "something was begun before the complaint"


@pytest.mark.parametrize(
    ("arch", "given", "rate"),
    [
        ("hourglass1", ("--scale", "0.0625"), 0.002),
        ("random", (), 0.005),
        ("random", ("--retrain.optimizer.lr", "0.003"), 0.003),
    ],
)
def test_a_network_has_its_own_learning_rate(nasface: Command, arch: str, given: tuple[str, ...], rate: float) -> None:
    arguments = ["--experiment", "smoke", "--arch", arch, "--retrain.steps", "2", *given]
    result = nasface.tiny("retrain", *arguments)
    assert result.code == 0, result.errors
    (checkpoint,) = (nasface.folder / "runs").glob("*/retrain/last.ckpt")
    state = torch.load(checkpoint, weights_only=True)
    assert state["optimizer_states"][0]["param_groups"][0]["initial_lr"] == rate
