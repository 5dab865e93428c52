"""Complaints: one line with the value, the place and the mend, in our words, and the nearest known name."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from nasface.cli.parser import read_arguments
from nasface.config import CompareConfig, DeviceConfig, Experiment, experiment_file, flat, recorded_settings
from nasface.data.registry import DATA_SETS
from nasface.evaluation.benchmark import BENCHMARKS
from nasface.nets.registry import NETWORKS
from nasface.pipelines.architectures import member, resolve_network
from nasface.pipelines.compare import names_of
from nasface.report.run_records import read_run
from nasface.runs.listing import find_run
from nasface.runs.run import open_run
from nasface.search.registry import STRATEGIES
from nasface.space.catalogue import load_space
from nasface.space.path_samplers import PATH_SAMPLERS
from nasface.sweeps.distributions import read_distribution
from nasface.sweeps.sweep_file import checked_sweep
from nasface.tabular.table import read_table
from nasface.training.fit import make_trainer
from nasface.utils.errors import UserError
from tests.helpers.tiny import REPOSITORY

_OF_LIBRARIES = r"Union|subtype|NestedArg|<class|typing\.|Expected a|Unable to load|does not conform|literal for int"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("export --format onx", "must be one of 'onnx', 'torchscript', 'safetensors', not onx; did you mean onnx?"),
        ("completion bsh", "shell: must be one of 'bash', 'zsh', 'tcsh', not bsh; did you mean bash?"),
        ("completion", "shell is missing"),
        ("retrain --retrain.optimizer.kind nadan", "did you mean nadam?"),
        ("retrain --data '{class_path: os.system}'", "data"),  # a section, or no such setting: jsonargparse's versions
        ("retrain --supernet.last_repeats x", "supernet.last_repeats: must be a whole number of at least 1, not x"),
        ("retrain --supernet.last_repeats 0", "at least 1, not 0"),
        ("retrain --network.widths x", "network.widths: must be a list such as [1, 2], each a whole number"),
        ("retrain --network.widths [a,b]", "not ['a', 'b']"),
        ("retrain --compare.seeds 1", "compare.seeds: must be a list"),
        ("retrain --search.objectives penalty", "must be a list such as [a, b], each text, not penalty"),
        ("retrain --search.settings 3", "must be a mapping such as {name: value}, not 3"),
        ("retrain --retrain 3", "retrain is a section of settings: give one of them, such as --retrain.steps"),
        ("retrain --retrain.optimizer 3", "such as --retrain.optimizer."),
        ("retrain --run.x 3", "unknown setting --run.x"),
        ("predict a.jpg --device.accelerator cpu", "unknown setting --device.accelerator"),
        ("sweep a.yaml --count x", "count: must be a whole number of at least 1, not x"),
        ("retrain --retrain.optimizer.lr nan", "must be a number greater than 0, not nan"),
        ("retrian", "did you mean retrain?"),
        ("Evaluate", "did you mean evaluate?"),
        ("serach-worker", "did you mean search-worker?"),
        ("data bild", "did you mean build?"),
        ("retrain --lr 3", "did you mean retrain.optimizer.lr?"),
        ("search --batch-size 3", "did you mean supernet.batch_size?"),
        ("retrain --retrain.lr 3", "did you mean retrain.optimizer.lr?"),
        ("predict a.jpg --weight x", "did you mean weights?"),
        ("draw best.json", "values are given by name: --arch best.json"),
        ("space multipath", "values are given by name: --space multipath"),
        ("search multipath", "--space multipath"),
        ("retrain smoke", "--experiment smoke"),
        ("export network.pt", "--weights network.pt"),
    ],
)
def test_arguments(line: str, message: str) -> None:
    with pytest.raises(UserError) as refusal:
        read_arguments(shlex.split(line))
    said = str(refusal.value)
    assert message in said and not re.search(_OF_LIBRARIES, said) and "\n" not in said


@pytest.mark.parametrize(
    ("find", "name", "meant"),
    [
        (NETWORKS.get, "hourglas1", "hourglass1"),
        (STRATEGIES.get, "smos", "samos"),
        (load_space, "multipth", "multipath"),
        (experiment_file, "Smoek", "smoke"),
        (member, "preset/hourglas", "hourglass"),
        (lambda name: resolve_network(EXPERIMENT, name, 1.0), "prnett", "prnet"),
        (read_table, "tabel", "table"),
        (
            lambda name: names_of(replace(EXPERIMENT, compare=CompareConfig([f"@{name}"]))),
            "candidate",
            "@candidates",
        ),
        (BENCHMARKS.get, "aflw200", "aflw2000"),
        (PATH_SAMPLERS.get, "mnu", "mnus"),
        (DATA_SETS.get, "synthetc", "synthetic"),
        (lambda name: open_run("search", EXPERIMENT, "", True, name), "frist", "first"),
        (lambda name: find_run(Path("runs"), name), "frist", "first"),
        (lambda name: read_run(Path("runs", name)), "fist", "first"),
        (lambda name: read_distribution("p", {"distribution": name}), "unifrom", "uniform"),
        (lambda name: checked_sweep(Path("s"), "", {"method": name, "parameters": {}}), "gird", "grid"),
    ],
)
def test_the_nearest_name(
    find: Callable[[str], object], name: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs/first").mkdir(parents=True)
    with pytest.raises(UserError, match=f"{name}.*did you mean {meant}\\?"):
        find(name)
    with pytest.raises(UserError) as refusal:
        find("qqqqqqqq")
    assert "did you mean" not in str(refusal.value)


def test_no_setting_in_a_file_shows_a_library(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    for name in flat(recorded_settings(Experiment())):
        *sections, last = name.split(".")
        content: object = {last: [[{"class_path": "os.system"}]]}
        for section in reversed(sections):
            content = {section: content}
        path.write_text(yaml.safe_dump(content))
        with pytest.raises(UserError) as refusal:
            read_arguments(["retrain", "--arch", "random", "--config", str(path)])
        said = str(refusal.value)
        assert re.match(rf"{name}: must be (?!another value)[^;]+(, not \[\[.*)?; see", said), said
        assert not re.search(_OF_LIBRARIES, said) and "\n" not in said


@pytest.mark.parametrize("networks", ["[@candidates, random]", "[random,@candidates]"])
def test_a_list_of_networks_needs_no_quotes(networks: str) -> None:
    experiment = read_arguments(["compare", "--compare.networks", networks])[1]["experiment"]
    assert sorted(experiment.compare.networks) == ["@candidates", "random"]


@pytest.mark.parametrize("text", ["#1", "# a", "&x", "a #1", "a: b", "[x]", "'q", "1e3", "@x", "%x", "- x"])
@pytest.mark.parametrize("form", ["--label {}", "--run {}", "--name {}", "--search.storage {}"])
def test_texts_are_kept_as_they_are(form: str, text: str) -> None:
    flag = form.split()[0]
    for words in ([flag, text], [f"{flag}={text}"]):
        values = read_arguments(["retrain", "--arch", "random", *words])[1]
        experiment = values["experiment"]
        assert values.get(flag[2:]) == text or text in (experiment.name, experiment.search.storage)


def test_nothing_is_still_nothing() -> None:
    for word in ("null", "None", "~"):
        assert read_arguments(["retrain", "--arch", "random", f"--label={word}"])[1]["label"] is None


def test_the_nearest_benchmark() -> None:
    said = [
        subprocess.run([sys.executable, "-m", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        for words in (["benchmarks.kill"], ["benchmarks"], ["benchmarks.kills", "--help"])
    ]
    assert [one.returncode for one in said] == [2, 2, 0]
    assert said[0].stderr.startswith("error: unknown benchmark kill;") and "did you mean kills?" in said[0].stderr
    assert "which benchmark?" in said[1].stderr and "did you mean" not in said[1].stderr


EXPERIMENT = read_arguments(["retrain", "--arch", "random"])[1]["experiment"]


@pytest.mark.parametrize(
    "device",
    [
        {"accelerator": "tpu"},
        {"accelerator": "abacus"},
        {"accelerator": "cpu", "devices": "0"},
        {"accelerator": "cpu", "devices": 10**9},
        {"accelerator": "cpu", "precision": "transformer-engine"},
        {"strategy": "deepspeed", "accelerator": "cpu"},
        {"strategy": "dpp", "accelerator": "cpu"},
        {"accelerator": "cpu", "precision": "x"},
        {"accelerator": "cpu", "devices": "two"},
    ],
)
def test_devices_that_there_are_not(device: dict[str, object]) -> None:
    with pytest.raises(UserError) as refusal:
        make_trainer(DeviceConfig(**device), logger=False)  # type: ignore[arg-type]
    name, value = list(device.items())[-1] if device.get("accelerator") == "cpu" else next(iter(device.items()))
    assert f"device.{name} {value}" in str(refusal.value) and "\n" not in str(refusal.value)
    assert not re.search(r"[Ll]ightning|Accelerator|argument|selected|`", str(refusal.value))


def test_a_home_that_cannot_be_written_adds_no_line(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    words = [sys.executable, "-m", "nasface", "retrain", "--arch", "preset/hourglass", "--device.devices", "0"]
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "PYTHONPATH": str(REPOSITORY)}
    environment.pop("MPLCONFIGDIR", None)
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr


def test_an_experiment_is_not_named_within_its_file(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("experiment: smoke\n")
    with pytest.raises(UserError, match="unknown setting experiment: it is given on the command line alone"):
        read_arguments(["search", "--config", str(tmp_path / "settings.yaml")])
