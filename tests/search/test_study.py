from __future__ import annotations

import json
import math
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from nasface.search.strategies.random import RandomSearch
from nasface.search.strategies.samos import SAMOS
from nasface.search.strategy import Outcome, Proposal, Strategy
from nasface.search.study import Evaluation, StudyResult, run_study
from nasface.space.space import MultipathSpace
from nasface.testing.toy_table import TableEvaluator
from nasface.utils.errors import UserError

SPACE = MultipathSpace("toy", 4, 3)
pytestmark = pytest.mark.filterwarnings("error")  # Optuna's deprecations would be ours tomorrow


def samos(**settings: Any) -> SAMOS:
    return SAMOS(SPACE, **{"seed": 3, "iterations": 30, "temperature": 0.3, "factor": 0.9, **settings})


def table() -> TableEvaluator:
    return TableEvaluator(SPACE, 1, early_rejection=True)


def essence(result: StudyResult) -> list[tuple[Any, ...]]:
    """What must not depend on interruptions: everything but times and the evaluator's own counters."""
    return [
        (e.number, e.proposal, e.outcome.penalty, e.outcome.complete, e.outcome.details.get("nme"), dict(e.status))
        for e in result.evaluations
    ]


def stored_trials(path: Path, name: str = "s") -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path)))).trials


class StopAfter:
    """An evaluator that fails at its n-th call."""

    def __init__(self, calls: int, error: BaseException) -> None:
        self.table, self.calls, self.error = table(), calls, error

    def __call__(self, proposal: Proposal) -> Outcome:
        if self.calls == 0:
            raise self.error
        self.calls -= 1
        return self.table(proposal)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    """The search that nothing interrupted."""
    return run_study(samos(), table(), tmp_path_factory.mktemp("whole") / "j.log", "s")


@pytest.mark.parametrize(
    "strategy", [samos(iterations=80), RandomSearch(SPACE, seed=1, evaluations=40)], ids=lambda strategy: strategy.name
)
def test_every_evaluation_is_recorded(strategy: Strategy, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal.log"
    result = run_study(strategy, table(), path, "s")
    trials = stored_trials(path)
    assert len(trials) == len(result.evaluations) == strategy.evaluations
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial, evaluation in zip(trials, result.evaluations, strict=True):
        assert (trial.state == TrialState.COMPLETE) == evaluation.outcome.complete
        assert trial.value == evaluation.outcome.penalty
        bound = evaluation.proposal.reject_above
        assert trial.user_attrs == {
            "code": evaluation.architecture.digits,
            "digest": evaluation.architecture.digest,
            "reject_above": None if math.isinf(bound) else bound,
            "penalty": evaluation.outcome.penalty,
            "complete": evaluation.outcome.complete,
            "details": evaluation.outcome.details,
            "seconds": evaluation.seconds,
            "status": evaluation.status,
        }
    study = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))
    assert study.best_trial.user_attrs["digest"] == result.best.digest
    assert study.best_value == result.penalty == result.best_evaluation.outcome.penalty
    assert study.user_attrs["settings"] == json.loads(json.dumps(strategy.settings))
    assert (result.stopped_early, result.replayed) == (sum(t.state == TrialState.PRUNED for t in trials), 0)


def test_it_is_recorded_before_the_next_begins(tmp_path: Path) -> None:
    path, evaluator, finished = tmp_path / "j.log", table(), []

    def evaluate(proposal: Proposal) -> Outcome:
        finished.append(sum(trial.state.is_finished() for trial in stored_trials(path)))
        return evaluator(proposal)

    run_study(RandomSearch(SPACE, evaluations=5), evaluate, path, "s")
    assert finished == [0, 1, 2, 3, 4]


def test_callbacks_and_progress(tmp_path: Path) -> None:
    seen: list[tuple[Evaluation, Any]] = []
    steps: list[tuple[int, int]] = []
    result = run_study(
        RandomSearch(SPACE, evaluations=4),
        table(),
        tmp_path / "j.log",
        "s",
        callbacks=[lambda evaluation, strategy: seen.append((evaluation, strategy.best))],
        progress=lambda done, total: steps.append((done, total)),
    )
    assert [evaluation for evaluation, _ in seen] == list(result.evaluations)
    assert seen[-1][1] == (result.best, result.penalty)
    assert steps[:4] == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("stop", "error"),
    [(0, KeyboardInterrupt()), (1, RuntimeError("out of memory")), (9, OSError(5, "bad sample")), (20, SystemExit(1))],
)
def test_an_interrupted_study_goes_on(tmp_path: Path, whole: StudyResult, stop: int, error: BaseException) -> None:
    path = tmp_path / "j.log"
    with pytest.raises(type(error)):
        run_study(samos(), StopAfter(stop, error), path, "s")
    assert len(stored_trials(path)) == stop
    result = run_study(samos(), table(), path, "s", resume=True)
    assert result.replayed == stop
    assert essence(result) == essence(whole)
    assert (result.best, result.penalty) == (whole.best, whole.penalty)
    # Once finished, a further resume evaluates nothing.
    again = run_study(samos(), StopAfter(0, AssertionError()), path, "s", resume=True)
    assert again.replayed == len(whole.evaluations)
    assert essence(again) == essence(whole)


def test_resume_without_a_study_starts_one(tmp_path: Path) -> None:
    result = run_study(samos(), table(), tmp_path / "j.log", "s", resume=True)
    assert result.replayed == 0


def test_an_existing_study_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "j.log"
    run_study(samos(), table(), path, "s")
    before = path.read_bytes()
    with pytest.raises(UserError, match="--resume"):
        run_study(samos(), table(), path, "s")
    assert path.read_bytes() == before
    run_study(samos(), table(), path, "another")  # one journal holds several studies
    assert len(stored_trials(path)) == len(stored_trials(path, "another"))


@pytest.mark.parametrize(
    ("strategy", "context", "named"),
    [
        (lambda: samos(seed=4), {"checkpoint": "a"}, "settings.seed = 3, now it is 4"),
        (lambda: samos(factor=0.5), {"checkpoint": "a"}, "settings.factor"),
        (lambda: RandomSearch(SPACE, seed=3), {"checkpoint": "a"}, "strategy = 'samos'"),
        (samos, {"checkpoint": "b"}, "context.checkpoint = 'a', now it is 'b'"),
        (samos, {}, "context.checkpoint"),
        (
            lambda: SAMOS(replace(SPACE, connections=(2, 6)), seed=3, iterations=30, temperature=0.3, factor=0.9),
            {"checkpoint": "a"},
            "space.connections",
        ),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, strategy: Any, context: dict[str, str], named: str) -> None:
    path = tmp_path / "j.log"
    with pytest.raises(KeyboardInterrupt):
        run_study(samos(), StopAfter(5, KeyboardInterrupt()), path, "s", context={"checkpoint": "a"})
    with pytest.raises(UserError, match=named):
        run_study(strategy(), table(), path, "s", resume=True, context=context)
    run_study(samos(), table(), path, "s", resume=True, context={"checkpoint": "a"})


def test_a_record_that_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Settings agree, but the program proposes something else: it draws members in another way.
    path = tmp_path / "j.log"
    with pytest.raises(KeyboardInterrupt):
        run_study(samos(), StopAfter(5, KeyboardInterrupt()), path, "s")
    monkeypatch.setattr(MultipathSpace, "random_architecture", lambda space, rng: space.member(0))
    with pytest.raises(UserError, match="does not fit: trial 0 .* asks for"):
        run_study(samos(), table(), path, "s", resume=True)


@pytest.mark.parametrize("penalty", [math.nan, math.inf])
def test_a_penalty_that_is_no_number(tmp_path: Path, whole: StudyResult, penalty: float) -> None:
    path, evaluator, calls = tmp_path / "j.log", table(), []

    def evaluate(proposal: Proposal) -> Outcome:
        calls.append(proposal.architecture.digest)
        return Outcome(penalty) if len(calls) == 4 else evaluator(proposal)

    with pytest.raises(UserError) as error:
        run_study(samos(), evaluate, path, "s")
    assert calls[3] in str(error.value)
    assert len(stored_trials(path)) == 3
    result = run_study(samos(), table(), path, "s", resume=True)
    assert essence(result) == essence(whole)


def test_a_used_strategy_is_refused(tmp_path: Path) -> None:
    strategy = samos()
    proposal = strategy.ask()
    assert proposal is not None
    strategy.tell(proposal, Outcome(5.0))
    with pytest.raises(ValueError, match="fresh"):
        run_study(strategy, table(), tmp_path / "j.log", "s")


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.log"
    run_study(samos(), table(), path, "s")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:10]) + lines[10][:20] + b"\n" + b"".join(lines[11:]))
    with pytest.raises(UserError, match="line 11 of .*j.log is damaged"):
        run_study(samos(), table(), path, "s", resume=True)
    path.write_bytes(b'{"a": 1}\n[2]\n')
    with pytest.raises(UserError, match="j.log is not a journal"):
        run_study(samos(), table(), path, "s", resume=True)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file" / "j.log"):
        with pytest.raises(UserError, match="cannot write"):
            run_study(samos(), table(), place, "s")


def test_a_full_disk_is_one_line_and_resumable(
    tmp_path: Path, whole: StudyResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real, left = tmp_path / "j.log", os.fsync, [12]

    def fsync(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(UserError, match="No space left.*--resume"):
        run_study(samos(), table(), path, "s")
    monkeypatch.undo()
    result = run_study(samos(), table(), path, "s", resume=True)
    assert result.replayed > 0
    assert essence(result) == essence(whole)


def _hold(path: Path, holding: Any, leave: Any) -> None:
    def evaluate(proposal: Proposal) -> Outcome:
        holding.set()
        leave.wait(30)
        return table()(proposal)

    run_study(RandomSearch(SPACE, evaluations=1), evaluate, path, "s")


def test_two_searches_do_not_share_a_journal(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    holding, leave = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "j.log", holding, leave))
    other.start()
    try:
        assert holding.wait(60)
        with pytest.raises(UserError, match="another search"):
            run_study(samos(), table(), tmp_path / "j.log", "s", resume=True)
    finally:
        leave.set()
        other.join(30)
    assert other.exitcode == 0


def test_a_database_serves_as_well(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/search.db"
    whole = run_study(samos(iterations=12), table(), tmp_path / "whole.log", "s")
    with pytest.raises(KeyboardInterrupt):
        run_study(samos(iterations=12), StopAfter(5, KeyboardInterrupt()), url, "s")
    with pytest.raises(UserError, match="--resume"):
        run_study(samos(iterations=12), table(), url, "s")
    result = run_study(samos(iterations=12), table(), url, "s", resume=True)
    assert result.replayed == 5
    assert essence(result) == essence(whole)


def test_a_database_that_another_search_is_making(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [ValueError("UNIQUE constraint failed: alembic_version.version_num"), ValueError("table x already exists")]

    def busy(*arguments: Any, **settings: Any) -> RDBStorage:
        if errors:
            raise errors.pop()
        return RDBStorage(*arguments, **settings)

    monkeypatch.setattr("nasface.search.storage.RDBStorage", busy)
    monkeypatch.setattr("time.sleep", lambda _: None)
    result = run_study(samos(iterations=3), table(), f"sqlite:///{tmp_path}/search.db", "s")
    assert not errors and len(result.evaluations) > 0


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/x.db", "nosuchdatabase://x/y", "sqlite://:::"])
def test_a_database_that_does_not_open(url: str) -> None:
    with pytest.raises(UserError, match="cannot open the database") as error:
        run_study(samos(), table(), url, "s")
    assert "\n" not in str(error.value)


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.symlink("runs/x/j.log", tmp_path / "stale")
    (tmp_path / "runs" / "x").mkdir(parents=True)
    os.replace(tmp_path / "stale", tmp_path / "runs" / "x" / "j.log.lock")  # what a kill inside a write leaves
    result = run_study(RandomSearch(SPACE, evaluations=2), table(), Path("runs/x/j.log"), "s")
    assert len(result.evaluations) == 2
    assert sorted(p.name for p in (tmp_path / "runs" / "x").iterdir()) == ["j.log"]


def test_a_search_without_a_complete_evaluation(tmp_path: Path) -> None:
    class Nothing(RandomSearch):
        def _propose(self) -> Proposal | None:
            return None

    strategy: Strategy = Nothing(SPACE)
    with pytest.raises(UserError, match="without one complete"):
        run_study(strategy, table(), tmp_path / "j.log", "s")


def test_plots_know_something_of_a_member(tmp_path: Path) -> None:
    """Connections, blocks and what was measured of its cost, as parameters of which no strategy knows."""

    def evaluate(proposal: Proposal) -> Outcome:
        found = table()(proposal)
        return replace(found, details={**found.details, "costs": {"macs": 2_000_000, "parameters": 3000}})

    result = run_study(samos(), evaluate, tmp_path / "s.log", "s")
    trials = stored_trials(tmp_path / "s.log")
    assert {len(trial.params) for trial in trials} == {4}
    for evaluation, trial in zip(result.evaluations, trials, strict=True):
        present = evaluation.architecture.canonical.connections()
        assert trial.params["connections"] == len(present)
        assert trial.params["hpm_share"] == pytest.approx(sum(code == 2 for *_, code in present) / len(present))
        assert (trial.params["macs"], trial.params["parameters"]) == (2e6, 3000)
    study = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(tmp_path / "s.log"))))
    assert optuna.search_space.intersection_search_space(study.trials).keys() == trials[0].params.keys()
