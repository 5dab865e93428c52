"""Commands as child processes: their output, their end, and the end of their parent."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nasface.utils.child_process import ChildProcess, stop
from nasface.utils.errors import UserError
from tests.helpers.tiny import REPOSITORY, is_alive, wait_for_end


def python(code: str, log: Path | None = None) -> ChildProcess:
    return ChildProcess([sys.executable, "-S", "-c", code], log)


def wait_for_line(log: Path, line: str) -> None:
    until = time.monotonic() + 60
    while line not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_output_is_added_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("earlier\n")
    process = python("import sys; print('one'); print('50%\\rdone  ', file=sys.stderr); sys.exit(3)", log)
    assert process.wait() == process.poll() == 3
    assert log.read_text().startswith("earlier\n") and "one" in log.read_text()
    assert process.last_line() in ("one", "done")


def test_stopping_asks_first_and_reaches_what_the_command_has_started(tmp_path: Path) -> None:
    polite, deaf = tmp_path / "polite", tmp_path / "deaf"
    sleeping = "import subprocess, sys, time; c = subprocess.Popen([sys.executable, '-S', '-c', 'input()'], stdin=-1);"
    processes = [
        python(f"{sleeping} print(c.pid, 'ready', flush=True); time.sleep(600)", polite),
        python(
            "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(9e3)", deaf
        ),
    ]
    for log in (polite, deaf):
        wait_for_line(log, "ready")
    assert processes[0].wait(0.01) is None
    stop(processes, grace=0.5)
    assert [process.poll() for process in processes] == [-signal.SIGTERM, -signal.SIGKILL]
    wait_for_end(int(polite.read_text().split()[0]), "the command's own child outlives it")
    stop(processes)  # again: they have ended


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot start 'no-such-command' .No such file or directory.: correct"):
        ChildProcess(["no-such-command"], tmp_path / "log")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone ends a command with its parent")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_gets_its_signal_when_its_parent_is_killed(tmp_path: Path, number: int) -> None:
    child = (
        "import signal, time; signal.signal(15, lambda *_: exit(print('asked', flush=True)));"
        "print('ready', flush=True); time.sleep(600)"
    )
    code = (
        "import sys, time; from pathlib import Path; from nasface.utils.child_process import ChildProcess;"
        f"child = ChildProcess([sys.executable, '-c', {child!r}], Path({str(tmp_path / 'log')!r}),"
        f" signal_at_death={int(number)}); print(child.id, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        wait_for_line(tmp_path / "log", "ready")
        assert is_alive(process)
        parent.kill()
    wait_for_end(process, "the command outlives its parent")
    assert ("asked" in (tmp_path / "log").read_text()) == (number == signal.SIGTERM)
