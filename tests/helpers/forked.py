"""Processes of their own without the seconds of their imports: forks of one that has imported what the commands do."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.tiny import REPOSITORY, Result, result_of


@cache
def _server() -> Any:
    """Starts processes as forks of one, which imports these modules at first."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nasface.cli.search", "nasface.pipelines.search", "tests.training.toy_training"])
    with pytest.MonkeyPatch.context() as patch:  # it finds them by its environment alone
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        forkserver.ensure_running()
    return context


class Forked:
    """A function in a process of its own, from now on; what it says goes to files."""

    def __init__(self, function: Callable[..., None], arguments: Sequence[Any], folder: Path) -> None:
        self._said = Path(tempfile.mkdtemp())
        self._process = _server().Process(
            target=_run, args=(function, tuple(arguments), folder, self._said, dict(os.environ))
        )
        self._process.start()
        self.pid = self._process.pid

    @property
    def output(self) -> str:
        return (self._said / "output").read_text()

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.exitcode

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as the system does where memory is short; it must not have ended before."""
        self._process.kill()
        self._process.join(60)
        assert self.poll() == -signal.SIGKILL, "it ended before the kill"

    def finish(self, seconds: float = 120) -> Result:
        """How it ended."""
        self._process.join(seconds)
        code = self.poll()
        assert code is not None, f"it goes on after {seconds} s"
        return result_of(code, self.output, (self._said / "errors").read_text())

    def close(self) -> None:
        """Kill it if it runs."""
        self._process.kill()
        self._process.join()


def fork_command(arguments: Sequence[str], folder: Path) -> Forked:
    """`nasface` with arguments in a folder."""
    return Forked(_command, arguments, folder)


def _command(*arguments: str) -> None:
    from nasface.cli.main import main

    main(arguments)


def _run(
    function: Callable[..., None], arguments: tuple[Any, ...], folder: Path, said: Path, environment: dict[str, str]
) -> None:
    for name, number in (("output", 1), ("errors", 2)):
        os.dup2(os.open(said / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    os.environ.update(environment)
    os.chdir(folder)
    function(*arguments)
