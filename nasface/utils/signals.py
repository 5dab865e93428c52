"""What asks a process to end, turned into an exception: blocks are left in order, and what they started is ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Terminated(BaseException):
    """A signal asked this process to end.

    Attributes:
        number: of the signal.
        code: the exit code by which a shell tells so, 128 + number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number, self.code = number, 128 + number


@contextmanager
def terminable() -> Iterator[None]:
    """Raise Terminated in the main thread when SIGTERM or SIGHUP arrives inside the block; see that it, or Ctrl-C's
    KeyboardInterrupt, is not lost.

    Only the first one: leaving the blocks takes its time. A signal that is ignored, as SIGHUP is by nohup, stays so.
    Outside the main thread, where Python handles no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, hook = {number: signal.getsignal(number) for number in _SIGNALS}, sys.unraisablehook
    process, ending = os.getpid(), False
    timers: list[threading.Timer] = []

    def end(number: int, _: Any) -> None:
        nonlocal ending
        if os.getpid() != process:  # forked, as a DataLoader's workers are: these blocks are not its own
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not ending:
            ending = True
            raise Terminated(number)

    def again(lost: Any) -> None:
        """Raise it once more where Python cannot pass it on: in a destructor, or in what is called beside a fork."""
        nonlocal ending
        if not isinstance(lost.exc_value, Terminated | KeyboardInterrupt):
            hook(lost)
            return
        number = getattr(lost.exc_value, "number", signal.SIGINT)
        ending = False
        timers.append(threading.Timer(0.01, os.kill, (process, number)))
        timers[-1].start()

    try:
        sys.unraisablehook = again
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, end)
        yield
    finally:
        for timer in timers:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook
