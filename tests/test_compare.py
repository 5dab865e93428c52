"""`nasface compare`: several networks, one protocol, one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tiny import Command

TWO = ["--compare.networks", '["random","hourglass1@0.0625"]']


@pytest.fixture
def nasface(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    monkeypatch.chdir(tmp_path)
    return Command(tmp_path, tmp_path_factory.getbasetemp() / "compare-cache", capsys)


def test_rows_of_all_networks_and_nothing_trained_twice(nasface: Command) -> None:
    arguments = ["--experiment", "smoke", *TWO, "--compare.seeds", "[0,1]", "--run", "first"]
    result = nasface.tiny("compare", *arguments)
    assert result.code == 0, result.errors
    lines = [line.split()[0] for line in result.output.splitlines() if "±" in line]
    assert lines == ["random", "hourglass1@0.0625"]
    folder = nasface.folder / "runs" / "first"
    rows = json.loads((folder / "comparison.json").read_text())
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


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ('["marble"]', "unknown architecture 'marble'"),
        ('["random","random"]', "none twice"),
        ("[]", "at least one network"),
        ('["hourglass1@wide"]', "the scale of 'hourglass1@wide' is no number"),
        ('["random@0.5"]', "random takes no scale"),
        ('["absent.json"]', "absent.json"),
    ],
)
def test_wrong_networks_are_named(nasface: Command, networks: str, message: str) -> None:
    result = nasface.tiny("compare", "--experiment", "smoke", "--compare.networks", networks)
    assert result.code == 2 and message in result.line
    assert not (nasface.folder / "runs").exists()
