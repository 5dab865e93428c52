"""One study, many workers: any number of processes, on any number of machines, search together.

Nothing but the study's storage is shared, and no worker is special. What every worker does next is a function of the
record alone, so all of them agree on it:

- A *claim* is a trial that a worker adds before it evaluates. It says which trial number the worker expects (it has
  seen all the earlier ones) and which outcomes the strategy is told before it is asked. The storage numbers trials one
  after the other, so of several workers that claim at the same moment exactly one gets the number that it expects; the
  others' claims are void, and they claim again. No lock is needed.
- Every worker has the whole strategy in memory and replays the valid claims in their order: tell, then ask. Claim k of
  a strategy with the same settings is the same member everywhere, so none is evaluated twice.
- While it evaluates, a worker's trial beats. A trial that stops beating for a while is failed by whoever notices, and
  its member is claimed again: none is lost when a worker is killed. A trial ends only once (the storage sees to it), so
  a worker that was merely slow finds its trial failed and drops its result.

With one worker this is the search of `run_study`, member for member.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nasface.search.plotted import plotted_parameters
from nasface.search.storage import open_storage, storage_errors
from nasface.search.strategy import Outcome, Proposal, Strategy
from nasface.search.study import (
    FINISHED,
    Callback,
    Evaluate,
    Progress,
    StudyLog,
    StudyResult,
    check_metadata,
    record_of,
    recorded_outcome,
    study_metadata,
    timed,
)
from nasface.utils.errors import UserError

_ATTEMPTS = 5


@dataclass(frozen=True)
class Pace:
    """Seconds between polls of a waiting worker, between beats, and without a beat until a trial is given up.

    The last should be much longer than any pause of a living worker: an evaluation that is given up is done again.
    """

    poll: float = 0.5
    beat: float = 10.0
    patience: float = 120.0


def worker_name() -> str:
    """host:process:random, of this process."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"


def create_shared_study(
    strategy: Strategy,
    storage: str | Path,
    name: str,
    *,
    resume: bool = False,
    context: Mapping[str, Any] | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Make the study that workers join, or check the one that is there.

    Args:
        strategy: fresh; its settings are the study's.
        storage: as `run_study`'s.
        name: of the study.
        resume: the study may exist.
        context: what else the outcomes depend on; as `run_study`'s.
        about: what a worker needs to know beside the strategy's settings, as JSON can hold it; see `read_about`.

    Raises:
        UserError: the study exists (without `resume`), or is of other settings or of a search by one process.
    """
    metadata = study_metadata(strategy, context or {})
    with open_storage(storage, shared=True) as store, storage_errors(storage):
        try:
            study = store.get_study_id_from_name(name)
        except KeyError:
            study = store.create_new_study([StudyDirection.MINIMIZE], name)
        recorded = store.get_study_user_attrs(study)
        if store.get_all_trials(study, deepcopy=False):
            _require_shared(name, recorded)
            if not resume:
                raise UserError(
                    f"study {name!r} in {storage} has begun already: go on with --resume, or take another run id"
                )
            check_metadata(name, recorded, metadata)
        for key, value in {**metadata, "about": dict(about or {}), "shared": True}.items():
            store.set_study_user_attr(study, key, value)


def read_about(storage: str | Path, name: str | None) -> tuple[str, dict[str, Any]]:
    """The name of a shared study (of the only one, where None is given) and what `create_shared_study` was told.

    Raises:
        UserError: there is no such study, or several to choose from.
    """
    with open_storage(storage, shared=True, make=False) as store, storage_errors(storage):
        shared = [study for study in store.get_all_studies() if study.user_attrs.get("shared")]
        names = sorted(study.study_name for study in shared)
        if name is None and len(names) != 1:
            known = f"choose one with --study: {', '.join(names)}" if names else "start one by search --workers"
            raise UserError(f"{storage} holds {len(names) or 'no'} studies of several workers; {known}")
        for study in shared:
            if name in (None, study.study_name):
                return study.study_name, dict(study.user_attrs.get("about", {}))
    raise UserError(f"{storage} holds no study {name!r} of several workers; it holds: {', '.join(names) or 'none'}")


def run_shared(
    strategy: Strategy,
    evaluate: Evaluate | None,
    storage: str | Path,
    name: str,
    *,
    context: Mapping[str, Any] | None = None,
    worker: str | None = None,
    pace: Pace | None = None,
    callbacks: Sequence[Callback] = (),
    progress: Progress | None = None,
    look: Callable[[SharedStudy], None] | None = None,
) -> StudyResult:
    """Work on a shared study until it is finished, or only follow it.

    Args:
        strategy: fresh, with the study's settings.
        evaluate: gives a trial's outcome; None only follows what others do.
        storage: as `run_study`'s.
        name: of a study of `create_shared_study`.
        context: compared with the study's.
        worker: what the record calls this worker.
        callbacks: as `run_study`'s, in the order of the record.
        progress: as `run_study`'s.
        look: called whenever there is nothing to do.

    Raises:
        UserError: there is no such study, it is of other settings, or an objective value is not a finite number.
    """
    pace = pace or Pace()
    with open_storage(storage, shared=True) as store:
        with storage_errors(storage):
            log = StudyLog(name, strategy, callbacks, progress)
            study = SharedStudy(log, store, worker or worker_name(), pace)
            study.check(study_metadata(strategy, context or {}))
            study.read()
        try:
            while not study.finished:
                claim = None
                with storage_errors(storage):
                    if evaluate is None:
                        study.read()
                    else:
                        claim = study.claim()
                if claim is not None and evaluate is not None:
                    _evaluate(study, claim, evaluate)
                elif not study.finished:
                    if look is not None:
                        look(study)
                    time.sleep(pace.poll)
        except BaseException:
            study.release_of(study.worker)  # for another worker, at once
            raise
        return study.result()


@dataclass(frozen=True)
class Claim:
    """A trial that this worker has to end."""

    trial_id: int
    proposal: Proposal


@dataclass
class _Member:
    """A member that was asked, and the trial numbers of its evaluations: all but the last one failed."""

    proposal: Proposal
    attempts: list[int] = field(default_factory=list)


class SharedStudy:
    """A strategy that follows the record of a study, and adds to it.

    Args:
        log: of the study's name, with its strategy; it is told every outcome.
        store: where the study is.
        worker: this worker's name.
        pace: its waiting times.
    """

    def __init__(self, log: StudyLog, store: BaseStorage, worker: str, pace: Pace) -> None:
        self.log, self.strategy, self.name, self.worker, self.pace = log, log.strategy, log.name, worker, pace
        self._store = store
        try:
            self._study = store.get_study_id_from_name(self.name)
        except KeyError:
            raise UserError(f"there is no study {self.name!r}: start it by search --workers") from None
        self._trials: list[FrozenTrial] = []
        self._next = 0  # trials before this number are replayed
        self._members: dict[int, _Member] = {}  # by the number of each attempt
        self._untold: set[int] = set()  # claims whose outcome the strategy has not been told
        self._nothing = False  # the last claim found nothing to ask
        self._beats: dict[int, tuple[Any, float]] = {}
        self._before: int | None = None  # trials that were there when this worker came

    @property
    def finished(self) -> bool:
        """Whether the strategy has ended: its last claim found nothing to ask, with nothing open."""
        return self._nothing and not self.strategy.open

    def check(self, metadata: Mapping[str, Any]) -> None:
        recorded = self._store.get_study_user_attrs(self._study)
        _require_shared(self.name, recorded)
        check_metadata(self.name, recorded, metadata)

    def result(self) -> StudyResult:
        result = self.log.result()
        for trial in self._trials:
            if trial.state == TrialState.RUNNING:  # a claim that was void or found nothing, of a killed worker
                self._end(trial._trial_id, TrialState.FAIL)
        return result

    def read(self) -> None:
        """Replay what the record holds beyond what is known."""
        self._trials = sorted(self._store.get_all_trials(self._study, deepcopy=False), key=lambda one: one.number)
        if self._before is None:
            self._before = len(self._trials)
        for trial in self._trials[self._next :]:
            self._next = trial.number + 1
            claim = trial.user_attrs.get("claim")
            if claim is not None and claim["number"] == trial.number:
                self._replay(trial, claim)

    def claim(self) -> Claim | None:
        """The next member for this worker to evaluate; None when the strategy has ended or waits for others."""
        while True:
            self.read()
            lost = self._lost()
            if lost is None and self._nothing and not self._ended():
                return None
            told = [] if lost is not None else self._ended()
            trial_id, number = self._add({"told": told, "again": lost})
            expected = self._next
            if number != expected:
                self._end(trial_id, TrialState.FAIL)  # another worker was quicker
                self.read()
                first = self._trials[expected]
                if first.user_attrs.get("claim", {}).get("worker") != self.worker or first.state != TrialState.RUNNING:
                    continue
                # It was this one: a database lost its answer, not the claim.
                trial_id, number = first._trial_id, expected
            self.read()
            if number not in self._members:
                self._end(trial_id, TrialState.FAIL)
                return None
            proposal = self._members[number].proposal
            self._set(trial_id, code=proposal.architecture.digits, digest=proposal.architecture.digest)
            shown, ranges = plotted_parameters(proposal.architecture, {})
            for name, value in shown.items():
                kind = ranges[name]
                self._store.set_trial_param(trial_id, name, kind.to_internal_repr(value), kind)
            return Claim(trial_id, proposal)

    def finish(self, claim: Claim, outcome: Outcome, seconds: float) -> bool:
        """Record an outcome; False where the trial was given up in the meantime."""
        state, record = record_of(claim.proposal, outcome, seconds)
        try:
            self._set(claim.trial_id, **record)
        except UpdateFinishedTrialError:
            return False
        return self._end(claim.trial_id, state, [outcome.penalty])

    def release_of(self, worker: str) -> None:
        """Give back what a worker that ends, or has ended, still holds.

        Args:
            worker: its name, or the beginning host:process of it.
        """
        for trial in self._store.get_all_trials(self._study, deepcopy=False):
            name = str(trial.user_attrs.get("claim", {}).get("worker", ""))
            if trial.state == TrialState.RUNNING and f"{name}:".startswith(f"{worker}:"):
                self._end(trial._trial_id, TrialState.FAIL)

    @contextmanager
    def beating(self, claim: Claim) -> Iterator[None]:
        """Show that this worker lives, as long as the block runs."""
        stop = threading.Event()

        def beat() -> None:
            count = 0
            while not stop.wait(self.pace.beat):
                count += 1
                try:
                    self._set(claim.trial_id, beat=count)
                except UpdateFinishedTrialError:
                    return
                except Exception:  # a storage that fails for a while; the next beat may get through
                    continue

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    # The record ------------------------------------------------------------------------------------------------------

    def _add(self, claim: Mapping[str, Any]) -> tuple[int, int]:
        """Add a claim that expects to be the next trial: (id, number)."""
        attributes = {"claim": {"number": self._next, "worker": self.worker, **claim}}
        trial = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=attributes)
        trial_id = self._store.create_new_trial(self._study, template_trial=trial)
        return trial_id, self._store.get_trial_number_from_id(trial_id)

    def _set(self, trial_id: int, **attributes: Any) -> None:
        for key, value in attributes.items():
            self._store.set_trial_user_attr(trial_id, key, value)

    def _end(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        try:
            return self._store.set_trial_state_values(trial_id, state, values)
        except UpdateFinishedTrialError:
            return False

    # The replay ------------------------------------------------------------------------------------------------------

    def _replay(self, trial: FrozenTrial, claim: Mapping[str, Any]) -> None:
        if claim["again"] is not None:
            member = self._members[trial.number] = self._members[claim["again"]]
            member.attempts.append(trial.number)
            return
        for number in claim["told"]:
            self._tell(number)
        proposal = self.strategy.ask_another()
        self._nothing = proposal is None
        if proposal is None:
            self.log.report_progress()
            return
        asked = trial.user_attrs.get("digest", proposal.architecture.digest)
        if asked != proposal.architecture.digest:
            raise UserError(
                f"study {self.name!r} does not fit: trial {trial.number} is member {asked}, but the search asks for "
                f"{proposal.architecture.digest}: give all workers the same program and settings"
            )
        self._members[trial.number] = _Member(proposal, [trial.number])
        self._untold.add(trial.number)

    def _tell(self, number: int) -> None:
        """Tell the outcome of trial `number`."""
        record, member = self._trials[number].user_attrs, self._members[number]
        replayed = self._before is not None and number < self._before
        self._untold.discard(member.attempts[0])
        self.log.announce(self.log.tell(member.proposal, recorded_outcome(record), float(record["seconds"]), replayed))

    def _ended(self) -> list[int]:
        """Trials whose outcome is there and not told yet."""
        last = (self._members[claim].attempts[-1] for claim in sorted(self._untold))
        return [number for number in last if self._trials[number].state in FINISHED]

    def _lost(self) -> int | None:
        """The first claim whose evaluation failed or stopped beating.

        Raises:
            UserError: it was begun too often.
        """
        for claim in sorted(self._untold):
            member = self._members[claim]
            trial = self._trials[member.attempts[-1]]
            if trial.state == TrialState.RUNNING and self._is_dead(trial):
                if not self._end(trial._trial_id, TrialState.FAIL):
                    continue  # it ended at the last moment
            elif trial.state != TrialState.FAIL:
                continue
            if len(member.attempts) >= _ATTEMPTS:
                raise UserError(
                    f"member {member.proposal.architecture.digest} was begun {_ATTEMPTS} times and never ended: look "
                    "at what the workers say of it, then take another run id"
                )
            return claim
        return None

    def _is_dead(self, trial: FrozenTrial) -> bool:
        beat, now = trial.user_attrs.get("beat"), time.monotonic()
        known, since = self._beats.get(trial.number, (None, now))
        if trial.number not in self._beats or beat != known:
            since = now
        self._beats[trial.number] = beat, since
        return now - since > self.pace.patience


def _require_shared(name: str, attributes: Mapping[str, Any]) -> None:
    if not attributes.get("shared"):
        raise UserError(
            f"study {name!r} is of a search by one process: go on with it without --workers, or take another run id"
        )


def _evaluate(study: SharedStudy, claim: Claim, evaluate: Evaluate) -> None:
    with study.beating(claim):
        outcome, seconds = timed(evaluate, claim.proposal)
    details = {**outcome.details, "worker": study.worker}
    study.finish(claim, Outcome(outcome.penalty, outcome.complete, details), seconds)
