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


FLAGS = [f"{name}={value}" for name, value in HANDED.items()]


@pytest.mark.parametrize(
    ("macro", "expected"),
    [
        ("args", [f"--{flag}" for flag in FLAGS]),
        ("args_no_equals", [word for name, value in HANDED.items() for word in (f"--{name}", str(value))]),
        ("args_no_hyphens", FLAGS),
        ("args_append_hydra", [f"+{flag}" for flag in FLAGS]),
        ("args_override_hydra", [f"++{flag}" for flag in FLAGS]),
        (
            "args_no_boolean_flags",
            [f"--{'on' if flag == 'on=True' else flag}" for flag in FLAGS if flag != "off=False"],
        ),
        ("args_json", [json.dumps(HANDED)]),
    ],
)
def test_macros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, macro: str, expected: list[str]) -> None:
    monkeypatch.setenv("COLOUR", "red")
    sweep = toy_sweep(tmp_path, parameters=PARAMETERS, command=["go", f"${{{macro}}}", "in-${envvar:COLOUR}"])
    assert command_line(sweep, VALUES, tmp_path) == ["go", *expected, "in-red"]


def test_the_other_macros(tmp_path: Path) -> None:
    words = ["${env}", "${interpreter}", "${program}", "${args_json_file}", 3]
    sweep = toy_sweep(tmp_path, parameters=PARAMETERS, command=words, program="train.py")
    *first, file, number = command_line(sweep, VALUES, tmp_path)
    assert first == ["/usr/bin/env", "python", "train.py"] and number == "3"
    assert json.loads(Path(file).read_text()) == HANDED
    for macro in ("arms", "args_dict"):  # the latter is W&B's own, and no words
        with pytest.raises(UserError, match="unknown macro"):
            command_line(toy_sweep(tmp_path, parameters=PARAMETERS, command=[f"${{{macro}}}"]), VALUES, tmp_path)


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
