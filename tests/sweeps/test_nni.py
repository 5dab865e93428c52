"""NNI's files: read by NNI itself, with the search spaces of the sweeps; the trial command reports to it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nasface.cli.parser import read_arguments
from nasface.sweeps import nni_trial
from nasface.sweeps.sweep_file import load_sweep
from nasface.utils.errors import UserError
from tests.helpers.tiny import REPOSITORY
from tests.sweeps.files import PROGRAM

FILES = sorted((REPOSITORY / "experiments" / "nni").glob("*.yml"))
SWEEPS = REPOSITORY / "experiments" / "sweeps"


def test_each_sweep_has_a_file() -> None:
    assert {path.stem for path in FILES} == {path.stem for path in SWEEPS.glob("*.yaml")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nni_takes_the_file(path: Path) -> None:
    config = pytest.importorskip("nni.experiment.config")
    experiment = config.ExperimentConfig.load(path).canonical_copy()
    experiment.validate()
    assert Path(experiment.trial_code_directory) == REPOSITORY
    assert experiment.training_service.platform == "local"
    sweep = load_sweep(SWEEPS / f"{path.stem}.yaml")
    assert experiment.max_trial_number == sweep.most_runs
    varied = {one.name for one in sweep.parameters if one.distribution.optuna is not None}
    assert set(experiment.search_space) == varied


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_command_takes_every_value(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    words = shlex.split(content["trialCommand"])
    assert words[:3] == ["python", "-m", "nasface.sweeps.nni_trial"]
    sweep = load_sweep(SWEEPS / f"{path.stem}.yaml")
    assert sweep.metric is not None and words[3] == sweep.metric.name
    for place in range(2):
        values = {name: entry["_value"][place] for name, entry in content["searchSpace"].items()}
        read_arguments([*words[4:], *(f"--{name}={value}" for name, value in values.items())])
    # The constants of a sweep are in the command.
    fixed = {f"--{one.name}={one.distribution.value(None)}" for one in sweep.parameters if not one.distribution.optuna}
    given = [word for word in sweep.command if word.startswith("--")]
    assert {*given, *fixed} <= set(words)


class _NNI:
    """What a trial uses of nni."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values, self.said = values, []

    def get_next_parameter(self) -> dict[str, Any]:
        return self.values

    def report_intermediate_result(self, value: float) -> None:
        self.said.append(("intermediate", value))

    def report_final_result(self, value: float) -> None:
        self.said.append(("final", value))


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `nasface` that is the toy program."""
    monkeypatch.setattr(nni_trial, "_PAUSE", 0.01)
    (tmp_path / "nasface.py").write_text(PROGRAM.replace("sys.argv[1:]", "sys.argv[2:]"))
    monkeypatch.syspath_prepend(tmp_path)  # as `python -m` does
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_trial_reports(program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    nni = _NNI({"x": 1.5, "steps": 2})
    monkeypatch.setitem(sys.modules, "nni", nni)
    monkeypatch.setenv("NNI_OUTPUT_DIR", str(program / "out"))
    nni_trial.main(["loss", "retrain"])
    assert nni.said == [("intermediate", 2.5), ("intermediate", 2.0), ("final", 2.0)]
    assert capsys.readouterr().out == "loss 2\n"
    nni.values["fail"] = 1
    with pytest.raises(SystemExit) as end:
        nni_trial.main(["loss", "retrain"])
    assert end.value.code == 2 and "code 3: toy: it failed" in capsys.readouterr().err


def test_a_trial_without_the_metric(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nni", _NNI({"x": 1}))
    with pytest.raises(UserError, match="never logged val/nme; it logged loss"):
        nni_trial.run_trial("val/nme", ["retrain"], program / "out")
    monkeypatch.setitem(sys.modules, "nni", None)
    with pytest.raises(UserError, match=r"pip install 'nasface\[nni\]'"):
        nni_trial.run_trial("loss", ["retrain"], program / "out")
