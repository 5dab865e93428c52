"""The smallest experiment that goes the whole way, and the command that runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.helpers.forked import Forked

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = (
    *("--data.train_count", "24", "--data.val_count", "12", "--data.test_count", "9"),
    *("--supernet.steps", "4", "--supernet.checkpoint_every", "2", "--supernet.batch_size", "4"),
    *("--search.iterations", "5", "--search.calibration", "8"),
    *("--retrain.steps", "4", "--retrain.evaluate_every", "2", "--retrain.batch_size", "4"),
    # Sums depend on the number of threads in their last bits, and other tests leave this process with another number.
    *("--device.accelerator", "cpu", "--device.threads", "1"),
)


@dataclass(frozen=True)
class Result:
    """How a command ended. `errors` are the lines on stderr that are no progress."""

    code: int
    output: str
    errors: list[str]

    @property
    def line(self) -> str:
        """The one line of a failed command."""
        assert len(self.errors) == 1, self.errors
        return self.errors[0]


def result_of(code: int, output: str, errors: str) -> Result:
    lines = errors.replace("\r", "\n").split("\n")
    return Result(code, output, [line for line in lines if line.strip() and not re.search(r"% \d+/", line)])


class Command:
    """`nasface` inside this process: quick, with its folders under `folder`."""

    def __init__(self, folder: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.cache, self.capsys = folder, cache, capsys

    def __call__(self, *arguments: str) -> Result:
        from nasface.cli.main import main

        self.capsys.readouterr()
        code = 0
        try:
            main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        captured = self.capsys.readouterr()
        return result_of(code, captured.out, captured.err)

    def tiny(self, name: str, *arguments: str) -> Result:
        """`nasface NAME` of the tiny experiment, without W&B."""
        return self(name, *settings(name, self.cache), *arguments)


def settings(name: str, cache: Path) -> list[str]:
    """Arguments of the tiny experiment for search or retrain."""
    experiment = ["--experiment", "smoke"] if name == "search" else []
    return [*experiment, *TINY, "--data.cache", str(cache), "--log.wandb", "off"]


def start(arguments: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    """`python -m nasface` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "nasface", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Result:
    output, errors = process.communicate(timeout=120)
    return result_of(process.returncode, output, errors)


def children_of(process: subprocess.Popen[str] | Forked) -> list[int]:
    """Process ids of what the main thread of a process has started."""
    return [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for_end(process: int, message: str) -> None:
    """Wait until a process has ended, a minute at most; `message` says what it is if it does not."""
    limit = time.monotonic() + 60
    while is_alive(process):
        assert time.monotonic() < limit, message
        time.sleep(0.01)
