"""A network of volumes through the command."""

from __future__ import annotations

import json

import torch

from nasface.nets.baselines.jvcr import JVCR
from nasface.nets.registry import BaselineSpec
from nasface.nets.weights import load_network
from tests.helpers.tiny import Command


def test_retrain_against_a_discriminator(nasface: Command) -> None:
    arguments = ["--experiment", "smoke", "--arch", "jvcr-64", "--scale", "0.0625", "--retrain.steps", "3"]
    result = nasface.tiny(
        "retrain", *arguments, "--volume.adversarial", "true", "--volume.pretrain", "0.3", "--volume.wild", "synthetic"
    )
    assert result.code == 0, result.errors
    assert "\njvcr-64 " in result.output
    (run,) = (nasface.folder / "runs").iterdir()
    network = load_network(run / "network.pt")
    assert isinstance(network, JVCR) and network.spec == BaselineSpec("jvcr-64", 32, 32, 0.0625)
    assert network.mean_shape.abs().sum() > 0, "it was trained around no face"
    assert json.loads((run / "summary.json").read_text())["finished"] is True
    checkpoint = torch.load(run / "retrain" / "last.ckpt", weights_only=True)
    assert checkpoint["state_dict"]["batches"] == 3
    assert any(name.startswith("decoder.") for name in checkpoint["state_dict"])


def test_absent_wild_faces_are_one_line(nasface: Command) -> None:
    result = nasface.tiny("retrain", "--experiment", "smoke", "--arch", "jvcr-64", "--volume.wild", "nowhere")
    assert result.code == 2 and result.line
