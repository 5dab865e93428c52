"""Commands as processes that do not outlive the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from nasface.utils.errors import UserError
from nasface.utils.parent_death import WITH_PARENT, end_with_parent

GRACE = 10.0
"""Seconds between asking a process to end and ending it."""


def python() -> list[str]:
    """The interpreter, for `-m`: it finds modules in the working folder only where this process does."""
    return [sys.executable, *([] if {"", os.getcwd()} & set(sys.path) else ["-P"])]


def command_environment() -> dict[str, str]:
    """The environment of commands: they find `nasface` and `python`, also where nobody has activated this one, and
    `nasface` ends with its parent."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, WITH_PARENT: "1"}


class ChildProcess:
    """A command as a process that ends with this one (on Linux), in a session of its own: an interrupt at the keyboard
    is for this process to handle.

    Args:
        words: of the command.
        log: file to which its output is added; None for where this process's goes.
        environment: all variables; None for `command_environment()`.
        signal_at_death: what it gets when this process is killed.

    Raises:
        UserError: the command cannot be started.
    """

    def __init__(
        self,
        words: Sequence[str],
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
        signal_at_death: int = signal.SIGKILL,
    ) -> None:
        self.log = log
        output = log.open("ab") if log else None
        try:
            self._process = subprocess.Popen(
                words,
                env=command_environment() if environment is None else environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=partial(end_with_parent, os.getpid(), signal_at_death) if sys.platform == "linux" else None,
            )
        except OSError as error:
            raise UserError(f"cannot start {words[0]!r} ({error.strerror}): correct the command") from None
        finally:
            if output is not None:
                output.close()

    @property
    def id(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit code once it has ended, or None where it has not after so long."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.returncode

    def send(self, number: int) -> None:
        """Send a signal to the process and to all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def last_line(self) -> str:
        """The last line that it has written to its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log else ""
        lines = text.replace("\r", "\n").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")


def stop(processes: Iterable[ChildProcess], grace: float = GRACE) -> None:
    """End processes and all that they have started, by force those that have not ended `grace` seconds later."""
    processes = list(processes)
    for process in processes:
        process.send(signal.SIGTERM)
    until = time.monotonic() + grace
    for process in processes:
        if process.wait(max(0.0, until - time.monotonic())) is None:
            process.send(signal.SIGKILL)
            process.wait()
