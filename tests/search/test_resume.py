"""A search that is killed at any moment goes on, and ends with the uninterrupted run's result."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import TrialState

from nasface.search.strategies.samos import SAMOS
from nasface.search.study import StudyResult, run_study
from nasface.space.space import MultipathSpace
from nasface.testing.toy_table import TableEvaluator

SPACE = MultipathSpace("toy", 4, 3)
CHUNKS = 12
DELAY = 0.005  # seconds per chunk: an evaluation of the killed process takes up to 12 of these


def samos() -> SAMOS:
    return SAMOS(SPACE, seed=3, iterations=40, temperature=0.3, factor=0.93)


def search(journal: Path, *, resume: bool, delay: float = 0.0, callbacks: Any = ()) -> StudyResult:
    table = TableEvaluator(SPACE, 1, early_rejection=True, chunks=CHUNKS, delay=delay)
    return run_study(samos(), table, journal, "search", resume=resume, callbacks=callbacks)


def essence(result: StudyResult) -> list[tuple[Any, ...]]:
    """Everything but times and the evaluator's own counters."""
    return [
        (e.number, e.proposal, e.outcome.penalty, e.outcome.complete, e.outcome.details.get("nme"), dict(e.status))
        for e in result.evaluations
    ]


def recorded(journal: Path) -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name="search", storage=JournalStorage(JournalFileBackend(str(journal))))
    return [trial for trial in study.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    result = search(tmp_path_factory.mktemp("whole") / "j.log", resume=False)
    assert 0 < result.stopped_early < len(result.evaluations), "the case must hold stopped evaluations"
    return result


def run_and_kill(journal: Path, after: int, then: float) -> None:
    """Search in a process of its own and kill it `then` seconds after it has recorded `after` new evaluations."""
    with subprocess.Popen([sys.executable, __file__, str(journal)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(after):
            assert process.stdout.readline() == "recorded\n", "the search ended too early"
        time.sleep(then)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the search ended before the kill"


def check_equal(journal: Path, result: StudyResult, whole: StudyResult) -> None:
    assert essence(result) == essence(whole)
    assert (result.best, result.penalty, result.status) == (whole.best, whole.penalty, whole.status)
    trials = recorded(journal)
    assert [trial.user_attrs["digest"] for trial in trials] == [e.architecture.digest for e in whole.evaluations]
    assert [trial.value for trial in trials] == [e.outcome.penalty for e in whole.evaluations]


@pytest.mark.parametrize(("after", "then"), [(1, 0.0), (9, 0.03), (22, 0.017)])
def test_killed_once(tmp_path: Path, whole: StudyResult, after: int, then: float) -> None:
    journal = tmp_path / "j.log"
    run_and_kill(journal, after, then)
    result = search(journal, resume=True)
    assert after <= result.replayed < len(whole.evaluations)
    check_equal(journal, result, whole)


def test_killed_again_and_again(tmp_path: Path, whole: StudyResult) -> None:
    journal = tmp_path / "j.log"
    for after, then in ((4, 0.02), (5, 0.0), (6, 0.045)):
        run_and_kill(journal, after, then)
    result = search(journal, resume=True)
    assert result.replayed >= 15
    check_equal(journal, result, whole)


def test_a_journal_cut_anywhere(tmp_path: Path, whole: StudyResult) -> None:
    complete = tmp_path / "complete.log"
    search(complete, resume=False)
    content = complete.read_bytes()
    lines = content.splitlines(keepends=True)
    header = [sum(map(len, lines[:count])) for count in range(6)]  # the study and its settings being written
    rng = np.random.default_rng(0)
    anywhere = rng.integers(len(content), size=12).tolist()
    starts = np.cumsum([0, *map(len, lines)])
    between_lines = rng.choice(starts, size=6).tolist()
    tail = [len(content) - 1, len(content) - len(lines[-1]), len(content)]
    for cut in [0, 1, *header, header[3] + 5, *anywhere, *between_lines, *tail]:
        journal = tmp_path / f"cut-{cut}.log"
        journal.write_bytes(content[:cut])
        result = search(journal, resume=True)
        check_equal(journal, result, whole)


def test_a_lock_left_by_a_kill_is_no_obstacle(
    tmp_path: Path, whole: StudyResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "j.log"
    run_and_kill(journal, 3, 0.0)
    lock = Path(f"{journal}.lock")
    lock.unlink(missing_ok=True)
    lock.symlink_to(journal)  # as Optuna leaves it when it is killed inside a write
    waiting = JournalFileSymlinkLock.acquire

    def acquire(self: JournalFileSymlinkLock) -> bool:
        assert not lock.is_symlink(), "Optuna would wait for its grace period"
        return waiting(self)

    monkeypatch.setattr(JournalFileSymlinkLock, "acquire", acquire)
    result = search(journal, resume=True)
    check_equal(journal, result, whole)


if __name__ == "__main__":
    search(
        Path(sys.argv[1]),
        resume=True,
        delay=DELAY,
        callbacks=[lambda e, _: None if e.replayed else print("recorded", flush=True)],
    )
