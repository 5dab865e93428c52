"""Commands as processes that do not outlive the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from nasface.utils.errors import UserError

GRACE = 10.0
"""Seconds between asking a process to end and ending it."""
_LINUX = sys.platform == "linux"
_PRCTL = ctypes.CDLL(None).prctl if _LINUX else None  # found here: a forked process must not load anything
_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2
_WITH_PARENT = "NASFACE_ENDS_WITH_PARENT"
"""Set for commands that a command starts, perhaps through a shell or W&B's agent, which would leave them behind."""


def end_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Send this process a signal as soon as its parent ends, however that ends.

    Args:
        parent: its process id, as the parent knows it.
        number: of the signal.
    """
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it ended before
            os.kill(os.getpid(), number)
    else:
        threading.Thread(target=_watch, args=(parent, number), daemon=True).start()


def _watch(parent: int, number: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), number)


def follow_parent() -> None:
    """End with the parent where a command, however indirectly, has started this process by `command_environment()`."""
    told = ctypes.c_int()  # the signal that its starter has chosen
    if _PRCTL is not None:
        _PRCTL(_PR_GET_PDEATHSIG, ctypes.byref(told))
    if os.environ.get(_WITH_PARENT) and not told.value:
        end_with_parent(os.getppid(), signal.SIGTERM)


def command_environment() -> dict[str, str]:
    """The environment of commands: they find `nasface` and `python`, also where nobody has activated this one, and
    `nasface` ends with its parent."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, _WITH_PARENT: "1"}


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
                preexec_fn=partial(end_with_parent, os.getpid(), signal_at_death) if _LINUX else None,
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
