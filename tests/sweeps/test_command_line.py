"""The command of a run is the one that W&B's agent would start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nasface.sweeps.command_line import command_line, nasface_arguments
from nasface.utils.errors import UserError
from tests.sweeps.files import toy_sweep

PARAMETERS = {
    "lr": {"value": 0.5},
    "on": {"value": True},
    "off": {"value": False},
    "words": {"value": ["a", 1]},
    "none": {"value": None},
    "net": {"parameters": {"width": {"value": 8}, "deep": {"parameters": {"x": {"value": "y"}}}}},
}
VALUES = {"lr": 0.5, "on": True, "off": False, "words": ["a", 1], "none": None, "net.width": 8, "net.deep.x": "y"}
# What W&B's server hands to an agent.
HANDED: dict[str, Any] = {**VALUES, "net": {"width": 8, "deep": {"x": "y"}}}
del HANDED["net.width"], HANDED["net.deep.x"]


def test_macros_are_wandbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    theirs = create_sweep_command_args({"args": {name: {"value": value} for name, value in HANDED.items()}})
    monkeypatch.setenv("COLOUR", "red")
    for macro in theirs:
        if macro == "args_dict":
            continue
        sweep = toy_sweep(tmp_path, parameters=PARAMETERS, command=["go", f"${{{macro}}}", "in-${envvar:COLOUR}"])
        expected = create_sweep_command(["go", "X", "in-${envvar:COLOUR}"])
        expected[1:2] = theirs[macro]
        assert command_line(sweep, VALUES, tmp_path) == expected, macro


def test_the_other_macros(tmp_path: Path) -> None:
    words = ["${env}", "${interpreter}", "${program}", "${args_json_file}", 3]
    sweep = toy_sweep(tmp_path, parameters=PARAMETERS, command=words, program="train.py")
    *first, file, number = command_line(sweep, VALUES, tmp_path)
    assert first == ["/usr/bin/env", "python", "train.py"] and number == "3"
    assert json.loads(Path(file).read_text()) == HANDED
    with pytest.raises(UserError, match="unknown macro"):
        command_line(toy_sweep(tmp_path, parameters=PARAMETERS, command=["${arms}"]), VALUES, tmp_path)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["/usr/bin/env", "nasface", "search", "--a=1"], ["search", "--a=1"]),
        (["python", "-m", "nasface", "retrain"], ["retrain"]),
        ([".venv/bin/nasface"], []),
        (["python", "train.py", "nasface"], None),
    ],
)
def test_commands_of_nasface(words: list[str], expected: list[str] | None) -> None:
    assert nasface_arguments(words) == expected
