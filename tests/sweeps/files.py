"""Sweep files, and a program that stands for a training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from nasface.sweeps.sweep_file import SweepFile, load_sweep

PROGRAM = """
import json, os, sys, time

values = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:])
x, steps, pause = float(values["x"]), int(values.get("steps", 1)), float(values.get("pause", 0))
if values.get("fail"):
    print("toy: it failed", file=sys.stderr)
    sys.exit(3)
for step in range(1, steps + 1):
    time.sleep(pause)
    with open(os.environ["NASFACE_METRICS"], "a") as stream:
        stream.write(json.dumps({"step": step, "metrics": {values.get("name", "loss"): x + 1 / step}}) + "\\n")
"""


def toy_command(folder: Path) -> list[str]:
    """The command of a sweep that runs the toy program, without what makes Python slow to start."""
    program = folder / "toy.py"
    program.write_text(PROGRAM)
    return [sys.executable, "-S", "-E", str(program), "${args}"]


def write_sweep(folder: Path, **keys: Any) -> Path:
    """A sweep file of the toy program, with keys that replace its own; None drops one."""
    content = {
        "method": "random",
        "metric": {"name": "loss", "goal": "minimize"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "run_cap": 5,
        "command": toy_command(folder),
        **keys,
    }
    path = folder / "toy.yaml"
    kept = {key: value for key, value in content.items() if value is not None}
    path.write_text(yaml.safe_dump(kept, sort_keys=False))
    return path


def toy_sweep(folder: Path, **keys: Any) -> SweepFile:
    return load_sweep(write_sweep(folder, **keys))
