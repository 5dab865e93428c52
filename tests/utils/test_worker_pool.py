"""Worker processes: results, errors, and the end of a worker or of the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from nasface.utils.errors import UserError
from nasface.utils.worker_pool import WorkerPool, run_in_workers
from tests.helpers.tiny import REPOSITORY, wait_for_end

STARTS = ("spawn", "fork")


def begin(held: int = 0) -> Callable[[str], tuple[str, int, str]]:
    if held < 0:
        raise UserError("nothing to hold")
    return partial(work, held)


def work(held: int, job: str) -> tuple[str, int, str]:
    """A job of a test, or an end."""
    if job == "refuse":
        raise UserError("refused")
    if job == "fail":
        raise ZeroDivisionError("failed")
    if job == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "sleep":
        print("asleep", flush=True)
        time.sleep(600)
    return job, held, os.environ["OMP_NUM_THREADS"]


@pytest.mark.parametrize("start", STARTS)
def test_a_refused_job_stops_no_other(tmp_path: Path, start: str) -> None:
    before = dict(os.environ)
    jobs = ["a", "refuse", "b"]
    ended = dict(run_in_workers(partial(begin, 7), jobs, 2, threads=3, logs=tmp_path / "logs", start=start))
    assert dict(os.environ) == before
    assert str(ended.pop("refuse").exception()) == "refused"
    assert {job: future.result() for job, future in ended.items()} == {job: (job, 7, "3") for job in ("a", "b")}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("job", "error", "message"),
    [
        ("die", UserError, "a worker was killed, .*worker_.*: press the button"),
        ("fail", ZeroDivisionError, "failed"),
    ],
)
def test_what_ends_all(tmp_path: Path, start: str, job: str, error: type[Exception], message: str) -> None:
    jobs = [job, "sleep"]
    ended = run_in_workers(begin, jobs, 1, logs=tmp_path, start=start, how_to_go_on="press the button")
    with pytest.raises(error, match=message):
        list(ended)


def test_workers_are_killed_when_the_caller_stops(tmp_path: Path) -> None:
    ended = run_in_workers(begin, ["a", "sleep"], 2, logs=tmp_path)
    assert next(ended)[0] == "a"
    ended.close()
    assert not multiprocessing.active_children()


def process(job: str) -> tuple[str, int]:
    return job, os.getpid()


@pytest.mark.parametrize("start", STARTS)
def test_workers_stay_for_the_next_jobs_and_end_with_the_pool(start: str) -> None:
    with WorkerPool(partial(partial, process), 1, start=start) as pool:
        first, second = ([future.result() for _, future in pool.run(jobs)] for jobs in (["a", "b"], ["c"]))
    assert sorted(job for job, _ in first) == ["a", "b"] and [job for job, _ in second] == ["c"]
    assert len({number for _, number in [*first, *second]} - {os.getpid()}) == 1
    wait_for_end(second[0][1], "the worker outlives its pool")


def test_workers_are_killed_when_an_error_ends_their_pool() -> None:
    def fail_between() -> None:
        with WorkerPool(begin, 2) as pool:
            jobs = pool.run(["a", "sleep"])
            assert next(jobs)[0] == "a"
            raise ZeroDivisionError("between two jobs")

    with pytest.raises(ZeroDivisionError):
        fail_between()
    assert not multiprocessing.active_children()


def test_jobs_of_a_caller_that_stops_early_are_left_out(tmp_path: Path) -> None:
    with WorkerPool(partial(partial, touched, tmp_path), 1) as pool:
        assert next(pool.run(str(number) for number in range(100)))[0] == "0"
        assert [job for job, _ in pool.run(["next"])] == ["next"]
    assert len(list(tmp_path.iterdir())) < 50


def touched(folder: Path, job: str) -> None:
    (folder / job).touch()
    time.sleep(0.02)


def large(_: int) -> bytes:
    return bytes(50_000)


def test_a_pool_ends_though_its_workers_were_writing_results() -> None:
    def stop_early() -> None:
        for number, _ in enumerate(run_in_workers(partial(partial, large), range(2000), 2, start="fork")):
            if number == 5:
                raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            stop_early()
    assert not multiprocessing.active_children()


def test_one_worker_may_be_this_process() -> None:
    with WorkerPool(partial(partial, process), 1, here=process) as pool:
        assert [future.result() for _, future in pool.run(["a"])] == [("a", os.getpid())]


def test_what_keeps_a_worker_from_beginning_is_said() -> None:
    ((_, future),) = run_in_workers(partial(begin, -1), ["a"], 1)
    with pytest.raises(UserError, match="nothing to hold"):
        future.result()


PARENT = """
import sys
from pathlib import Path
from nasface.utils.signals import Terminated, terminable
from nasface.utils.worker_pool import run_in_workers
from tests.utils.test_worker_pool import begin
if __name__ == "__main__":
    try:
        with terminable():
            list(run_in_workers(begin, ["sleep", "sleep"], 2, logs=Path(sys.argv[1]), start=sys.argv[2]))
    except Terminated as end:
        sys.exit(end.code)
"""


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_workers_end_with_their_parent(tmp_path: Path, start: str, number: int, code: int) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path), start], env=environment, cwd=tmp_path)
    workers = wait_for_workers(tmp_path, parent)
    parent.send_signal(number)
    assert parent.wait(timeout=60) == code
    for worker in workers:
        wait_for_end(worker, "the worker outlives its parent")


def wait_for_workers(folder: Path, parent: subprocess.Popen[bytes]) -> list[int]:
    """Process ids of the two workers, once both say that they sleep."""
    until = time.monotonic() + 120
    while time.monotonic() < until and parent.poll() is None:
        asleep = [log for log in folder.glob("worker_*.log") if "asleep" in log.read_text()]
        if len(asleep) == 2:
            return [int(log.stem.removeprefix("worker_")) for log in asleep]
        time.sleep(0.05)
    raise AssertionError(f"no two workers began their jobs (parent: {parent.poll()})")
