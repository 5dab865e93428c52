"""Processes that end with their parent. Imports nothing of nasface: a worker runs this file before all else."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None  # found here: a forked process must load nothing
_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2
WITH_PARENT = "NASFACE_ENDS_WITH_PARENT"
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


def work_for(parent: int) -> None:
    """End with the parent, and leave to it what a terminal sends to all: Ctrl-C, and the word that it was closed."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent(parent)


def follow_parent() -> None:
    """End with the parent where a command, however indirectly, has started this process by `command_environment()`."""
    told = ctypes.c_int()  # the signal that its starter has chosen
    if _PRCTL is not None:
        _PRCTL(_PR_GET_PDEATHSIG, ctypes.byref(told))
    if os.environ.get(WITH_PARENT) and not told.value:
        end_with_parent(os.getppid(), signal.SIGTERM)
