"""What asks a program to end, ends all that it has started: one line, the exit code of the signal, nobody left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.tiny import REPOSITORY, wait_for_end

# A pool as of compare, table build and the benchmarks; and a command as of sweeps and agents, behind a shell that
# would leave it behind.
POOL = """
import os, time
from nasface.utils.ending import one_line
from nasface.utils.worker_pool import run_in_workers
def begin():
    print(os.getpid(), flush=True)
    return time.sleep
if __name__ == "__main__":
    with one_line("mine", lambda: "go on"):
        for _ in run_in_workers(begin, [600, 600], 2):
            pass
"""
SHELL = """
import sys
from pathlib import Path
from nasface.utils.child_process import ChildProcess, stop
from nasface.utils.ending import one_line
child = '''
import os, time
from nasface.utils.child_process import follow_parent
from nasface.utils.signals import terminable
with terminable():
    follow_parent()
    print(os.getpid(), flush=True)
    time.sleep(600)
'''
if __name__ == "__main__":
    with one_line("mine", lambda: "go on"):
        one = ChildProcess(["sh", "-c", f"{sys.executable} -c '{child}'; true"], Path("output.log"))
        try:
            one.wait()
        finally:
            stop([one])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child looks once a second")
@pytest.mark.parametrize(
    ("program", "number"),
    [
        *((POOL, number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)),
        *((SHELL, number) for number in (signal.SIGTERM, signal.SIGKILL)),
    ],
)
def test_all_end_with_their_parent(tmp_path: Path, program: str, number: int) -> None:
    children, said = (2, "out.txt") if program is POOL else (1, "output.log")
    (tmp_path / "program.py").write_text(program)
    with (tmp_path / "out.txt").open("w") as out, (tmp_path / "err.txt").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "program.py"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=out,
            stderr=err,
            preexec_fn=lambda: [signal.signal(one, signal.SIG_DFL) for one in (signal.SIGHUP, signal.SIGINT)],
        )
    until, found = time.monotonic() + 60, []
    while len(found) < children and time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
        found = re.findall(r"\d+\n", (tmp_path / said).read_text()) if (tmp_path / said).exists() else []
    assert len(found) == children, (tmp_path / "err.txt").read_text()
    process.send_signal(number)
    code = process.wait(60)
    for child in found:
        wait_for_end(int(child), "a child outlives its parent")
    if number != signal.SIGKILL:
        word = "interrupted" if number == signal.SIGINT else "terminated"
        assert (code, (tmp_path / "err.txt").read_text()) == (128 + number, f"mine: {word}; go on\n")
