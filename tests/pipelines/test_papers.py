"""Every recipe of the papers: its settings are known, its networks and sets fit each other, and it trains."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from nasface.config import EXPERIMENTS, DeviceConfig, Experiment, MultipathConfig, experiment_of
from nasface.data.sources import check_sets
from nasface.nets.multipath import MemberSpec
from nasface.nets.registry import BaselineSpec
from nasface.pipelines.architectures import resolve_network
from nasface.pipelines.compare import Entry, read_entries
from nasface.pipelines.retrain import validate_training
from nasface.pipelines.workspace import prepare
from nasface.runs.run import Run
from nasface.training.tasks import needed_labels
from nasface.utils.yaml_files import load_yaml
from tests.data.test_aflw2000 import write_pair
from tests.data.test_registry import pts, threedfaw, w300, w300lp

RECIPES = sorted(path.stem for path in (EXPERIMENTS / "papers").glob("*.yaml"))
SIZE = 32


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every set that a recipe names, made up, and the cache of its faces."""
    folder = tmp_path_factory.mktemp("papers")
    for make, name in ((w300lp, "w300lp"), (w300, "300w"), (threedfaw, "3dfaw"), (pts, "pts"), (pts, "menpo2d")):
        (folder / name).mkdir()
        make(folder / name)
    (folder / "aflw2000").mkdir()
    for index in range(2):
        write_pair(folder / "aflw2000", index)
    return folder


def entries_of(name: str) -> list[Entry]:
    """The rows of a recipe; of one for a single training, the network that its header trains."""
    path = EXPERIMENTS / "papers" / f"{name}.yaml"
    content, text = load_yaml(path), path.read_text(encoding="utf-8")
    assert content["name"] == name and "GPU" in text and f"--experiment papers/{name}" in text
    experiment = experiment_of(content)
    if "compare" in content:
        return read_entries(experiment)
    arch = re.findall(r"--arch (\S+)", text)[0]
    experiment, spec, label = resolve_network(experiment, arch)
    return [Entry(label, spec, experiment)]


def tiny(experiment: Experiment, files: Path) -> Experiment:
    """The recipe at a size that a test can train, on the made-up files."""
    names = experiment.data.folders
    video = experiment.parameters.video
    return replace(
        experiment,
        network=MultipathConfig(
            SIZE, 32, widths=[16] * 4 if experiment.network.widths else None, head_width=8, head=experiment.network.head
        ),
        data=replace(
            experiment.data,
            cache=str(files / "cache"),
            w300lp=str(files / "w300lp" / "set"),
            ddfa_assets=str(files / "w300lp" / "assets"),
            aflw2000=str(files / "aflw2000"),
            folders={name: str(files / name) for name in names},
            val_count=2,
        ),
        retrain=replace(experiment.retrain, steps=2, epochs=None, batch_size=4, evaluate_every=2),
        parameters=replace(
            experiment.parameters, look_ahead=1, video=replace(video, frames=2 if video.frames > 1 else 1)
        ),
        device=DeviceConfig(accelerator="cpu", devices="1", threads=1, workers=0),
        log=replace(experiment.log, wandb="off"),
    )


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains(name: str, files: Path, tmp_path: Path) -> None:
    entries = entries_of(name)
    for entry in entries:
        check_sets(entry.experiment.data, needed_labels(entry.spec))
    last = entries[-1]
    experiment = tiny(last.experiment, files)
    spec = last.spec
    if isinstance(spec, BaselineSpec):
        spec = replace(spec, input_size=SIZE, map_size=32, scale=1 / 16)
    else:
        spec = MemberSpec(spec.architecture, experiment.network)
    error = validate_training(prepare(experiment, None), spec, Run(tmp_path))
    assert 0 < error < 1000


def test_the_help_lists_them(nasface) -> None:
    result = nasface("retrain", "--help-all")
    assert all(f"papers/{name}" in result.output for name in RECIPES)
