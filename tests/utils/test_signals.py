"""A process that is asked to end: what it leaves in order, and which signals it still ignores."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from nasface.utils.signals import Terminated, terminable


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_blocks_are_left_in_order_and_only_once(number: int, code: int) -> None:
    before, left = signal.getsignal(number), []
    with pytest.raises(Terminated) as end, terminable():
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), number)  # a second one does not disturb what the first has begun
            left.append("in order")
    assert end.value.code == code and left == ["in order"] and signal.getsignal(number) is before


def test_what_a_destructor_swallows_is_raised_again() -> None:
    class Deaf:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0)

    with pytest.raises(Terminated), terminable():
        one = Deaf()
        del one
        time.sleep(60)


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with terminable():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_forked_process_ends_as_without(capfd: pytest.CaptureFixture[str]) -> None:
    with terminable():
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
    assert capfd.readouterr().err == ""


def test_other_threads_handle_no_signals() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def work() -> None:
        with terminable():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
