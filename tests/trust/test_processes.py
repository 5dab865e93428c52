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

from tests.helpers.tiny import REPOSITORY, is_alive, wait_for_end

# A pool as of compare, table build and the benchmarks; and a command as of sweeps and agents, behind a shell that
# would leave it behind.
POOL = """
import multiprocessing, os, time
from nasface.utils.ending import one_line
from nasface.utils.worker_pool import run_in_workers
def begin():
    time.lock = multiprocessing.Lock()  # as a progress bar makes: Python complains of it when its process is killed
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
from nasface.utils.parent_death import follow_parent
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


# Workers that begin by importing what takes long: they hold nothing of nasface yet.
IMPORTING = """
import os, sys, time
from nasface.utils.worker_pool import run_in_workers
if __name__ == "__main__":
    list(run_in_workers(print, [1, 2], 2))
print(os.getpid(), flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child looks once a second")
def test_workers_that_still_import_end_with_their_parent(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(IMPORTING)
    with (tmp_path / "out.txt").open("w") as out:
        parent = subprocess.Popen(
            [sys.executable, "program.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, stdout=out
        )
    until, workers = time.monotonic() + 60, []
    while len(workers) < 2 and time.monotonic() < until and parent.poll() is None:
        time.sleep(0.02)
        workers = [int(one) for one in re.findall(r"(\d+)\n", (tmp_path / "out.txt").read_text())]
    assert len(workers) == 2
    for worker in workers:  # Ctrl-C at a terminal reaches them, too, and is for their parent to answer
        os.kill(worker, signal.SIGINT)
        assert is_alive(worker)
    parent.kill()
    parent.wait()
    for worker in workers:
        wait_for_end(worker, "a worker that still imports outlives its parent")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", ["--help", "search --help", "search --arch"])
def test_a_command_can_be_ended_while_it_begins(tmp_path: Path, number: int, words: str) -> None:
    """At each of its first imports: the signal arrives when a module is asked for that the command imports."""
    program = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from nasface.cli.main import main
class At:
    left = int(sys.argv.pop(1))
    def find_spec(self, *_):
        At.left -= 1
        if At.left == 0:
            os.kill(os.getpid(), {int(number)})
sys.meta_path.insert(0, At())
main()
"""
    ended = []
    for place in (1, 5, 20, 60, 150, 280):
        done = subprocess.run(
            [sys.executable, "-c", program, str(place), *words.split()],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr and done.stderr.count("\n") <= 1, done.stderr
        ended.append(done.returncode)
    assert set(ended[:5]) <= {128 + number, -number}, ended


_OWN = """
import sys
from nasface.utils.child_process import python
from nasface.utils.worker_pool import run_in_workers
def begin():
    return float
if __name__ == "__main__":
    print([future.result() for _, future in run_in_workers(begin, [3], 1)], python()[1:])
"""


def test_nothing_is_imported_from_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(_OWN)
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("random", "typing", "tempfile", "yaml", "torch"):
        (folder / f"{name}.py").write_text("raise SystemExit(f'{__file__} was imported')")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    said = subprocess.run(
        [sys.executable, tmp_path / "program.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout == "[3.0] ['-P']\n", said.stderr
