"""The search loop and its store: every evaluation is in an Optuna study before the next one begins.

Nothing but the study is needed to go on after a kill. A resume makes the strategy anew with the same settings, asks it,
and tells it the recorded outcomes in order; then the search goes on as if it had never stopped. What can be lost is the
one evaluation that was running.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from nasface.search.plotted import plotted_parameters
from nasface.search.storage import check_evaluation, open_storage, storage_errors
from nasface.search.strategy import Outcome, Proposal, Strategy
from nasface.space.space import Architecture
from nasface.utils.errors import UserError

Evaluate = Callable[[Proposal], Outcome]
Progress = Callable[[int, int], None]

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Evaluation:
    """One recorded evaluation.

    Attributes:
        number: 0-based, in the order of the search.
        proposal: what was asked.
        outcome: what was found.
        seconds: wall time of the evaluation.
        status: the strategy's `status()` right after it.
        replayed: it comes from the store, not from this run.
    """

    number: int
    proposal: Proposal
    outcome: Outcome
    seconds: float
    status: Mapping[str, float]
    replayed: bool

    @property
    def architecture(self) -> Architecture:
        return self.proposal.architecture


Callback = Callable[[Evaluation, Strategy], None]


@dataclass(frozen=True)
class StudyResult:
    """A finished search.

    Attributes:
        name: of the study.
        best: the member with the lowest objective value of a complete evaluation, and
        penalty: that value, in percent.
        evaluations: all recorded ones, in order.
        status: the strategy's last `status()`.
    """

    name: str
    best: Architecture
    penalty: float
    evaluations: tuple[Evaluation, ...]
    status: Mapping[str, float]

    @property
    def best_evaluation(self) -> Evaluation:
        """The complete evaluation that found `best`."""
        return next(e for e in self.evaluations if e.outcome.complete and e.architecture.digest == self.best.digest)

    @property
    def stopped_early(self) -> int:
        """How many evaluations stopped early."""
        return sum(not e.outcome.complete for e in self.evaluations)

    @property
    def replayed(self) -> int:
        """How many evaluations come from earlier runs."""
        return sum(e.replayed for e in self.evaluations)

    @property
    def seconds(self) -> float:
        """Wall time of all evaluations together, earlier runs included."""
        return sum(e.seconds for e in self.evaluations)


@dataclass
class StudyLog:
    """What a strategy was told so far, and who is told of it.

    Attributes:
        name: of the study.
        strategy: fresh.
        callbacks: called as callback(evaluation, strategy) after each outcome.
        progress: called as progress(done, total) in the strategy's unit.
    """

    name: str
    strategy: Strategy
    callbacks: Sequence[Callback] = ()
    progress: Progress | None = None
    evaluations: list[Evaluation] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.strategy.evaluations or self.strategy.open:
            raise ValueError("a study needs a fresh strategy: a resume replays the record")

    def tell(self, proposal: Proposal, outcome: Outcome, seconds: float, replayed: bool = False) -> Evaluation:
        """Tell the strategy an outcome."""
        self.strategy.tell(proposal, outcome)
        number = len(self.evaluations)
        self.evaluations.append(Evaluation(number, proposal, outcome, seconds, self.strategy.status(), replayed))
        return self.evaluations[-1]

    def announce(self, evaluation: Evaluation) -> None:
        """Call the callbacks, and report the progress."""
        for callback in self.callbacks:
            callback(evaluation, self.strategy)
        self.report_progress()

    def report_progress(self) -> None:
        """Call `progress`."""
        if self.progress is not None:
            self.progress(*self.strategy.progress)

    def result(self) -> StudyResult:
        """The search's end.

        Raises:
            UserError: no evaluation was complete.
        """
        if self.strategy.best is None:
            raise UserError(f"search {self.name!r} ended without one complete evaluation: give it a larger budget")
        return StudyResult(self.name, *self.strategy.best, tuple(self.evaluations), self.strategy.status())


def run_study(
    strategy: Strategy,
    evaluate: Evaluate,
    storage: str | Path,
    name: str,
    *,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    progress: Progress | None = None,
    context: Mapping[str, Any] | None = None,
) -> StudyResult:
    """Run `strategy` to its end, recording every evaluation in the Optuna study `name`.

    An evaluation is one trial, written at once when it has ended. Its state is COMPLETE, or PRUNED where it stopped
    early; its value is the objective value (or its bound), the record's `penalty`; its user attributes are code, digest
    (the member's hash), reject_above, penalty, complete, details, seconds and status; its parameters are for plots
    (`nasface.search.plotted`).

    Args:
        strategy: fresh, nothing asked yet.
        evaluate: gives a trial's outcome; lower is better.
        storage: path of a journal file (made where absent; one search at a time writes to it), or a database URL such
            as sqlite:///search.db.
        name: of the study.
        resume: go on with the study, if there is one; without it, a study that holds evaluations is refused.
        callbacks: called as callback(evaluation, strategy) after each recorded evaluation, replayed ones included.
        progress: called as progress(done, total) in the strategy's unit.
        context: what else the outcomes depend on (checkpoint, data, evaluation settings), as JSON can hold it; kept
            with the study and compared on resume.

    Raises:
        UserError: the study exists already, is of other settings, cannot be read or written, an objective value is
            not a finite number, or no evaluation was complete.
    """
    log = StudyLog(name, strategy, callbacks, progress)
    metadata = study_metadata(strategy, context or {})
    with open_storage(storage) as store:
        with storage_errors(storage):
            study = _open_study(store, storage, name, metadata, resume)
        for trial in _finished(study):
            log.announce(_replay(log, trial))
        while (proposal := strategy.ask()) is not None:
            evaluation = log.tell(proposal, *timed(evaluate, proposal))
            with storage_errors(storage):
                _record(study, evaluation)
            log.announce(evaluation)
    log.report_progress()  # the iterations after the last evaluation needed none
    return log.result()


def search_counts(strategy: Strategy, result: StudyResult) -> dict[str, Any]:
    """Evaluations: all of them, of how many different members, again of a member whose first evaluation had stopped
    early, stopped early; members that limits kept from being evaluated; and members whose value was known already."""
    members = {evaluation.architecture.digest for evaluation in result.evaluations}
    workers = {evaluation.outcome.details.get("worker") for evaluation in result.evaluations} - {None}
    return {
        "evaluations": len(result.evaluations),
        "unique": len(members),
        "duplicate": len(result.evaluations) - len(members),
        "stopped_early": result.stopped_early,
        "looked_up": int(result.status.get("known", 0)),
        "rejected": strategy.rejected,
        "workers": sorted(workers),
    }


# One evaluation ------------------------------------------------------------------------------------------------------


def timed(evaluate: Evaluate, proposal: Proposal) -> tuple[Outcome, float]:
    """An outcome as it will be read back from the record, and the seconds that it took.

    Raises:
        UserError: the objective value is not a finite number.
    """
    start = time.perf_counter()
    outcome = evaluate(proposal)
    seconds = time.perf_counter() - start
    if not math.isfinite(outcome.penalty):
        raise UserError(
            f"the objective value of member {proposal.architecture.digest} is {outcome.penalty}: look for a diverged "
            "supernet or a broken validation sample; once it is mended, go on with --resume"
        )
    return Outcome(float(outcome.penalty), bool(outcome.complete), plain_json(outcome.details)), seconds


def record_of(proposal: Proposal, outcome: Outcome, seconds: float) -> tuple[TrialState, dict[str, Any]]:
    """The state of an evaluation's trial, and its user attributes."""
    return TrialState.COMPLETE if outcome.complete else TrialState.PRUNED, {
        "reject_above": None if math.isinf(proposal.reject_above) else proposal.reject_above,
        "penalty": outcome.penalty,
        "complete": outcome.complete,
        "details": outcome.details,
        "seconds": seconds,
    }


def recorded_outcome(record: Mapping[str, Any]) -> Outcome:
    """The outcome in a trial's user attributes."""
    return Outcome(float(record["penalty"]), bool(record["complete"]), dict(record["details"]))


def _record(study: optuna.Study, evaluation: Evaluation) -> None:
    """Add one finished trial: a single write, so that a kill leaves the whole record or none."""
    member, outcome = evaluation.architecture, evaluation.outcome
    state, record = record_of(evaluation.proposal, outcome, evaluation.seconds)
    attributes = {"code": member.digits, "digest": member.digest, **record, "status": dict(evaluation.status)}
    shown, ranges = plotted_parameters(member, outcome.details)
    trial = optuna.trial.create_trial(
        state=state, value=outcome.penalty, params=shown, distributions=ranges, user_attrs=attributes
    )
    trial.datetime_start = datetime.now() - timedelta(seconds=evaluation.seconds)
    study.add_trial(trial)


def _replay(log: StudyLog, trial: FrozenTrial) -> Evaluation:
    record, name = check_evaluation(trial, "digest", "penalty", "complete", "details", "seconds"), log.name
    proposal = log.strategy.ask()
    asked = "nothing more" if proposal is None else proposal.architecture.digest
    if proposal is None or asked != record["digest"]:
        raise UserError(
            f"study {name!r} does not fit: trial {trial.number} is member {record['digest']}, but the search asks for "
            f"{asked}; settings, seed or program changed, so take another run id"
        )
    try:
        return log.tell(proposal, recorded_outcome(record), float(record["seconds"]), replayed=True)
    except ValueError as error:
        raise UserError(f"trial {trial.number} of study {name!r} does not fit: {error}; take another run id") from None


# The study -----------------------------------------------------------------------------------------------------------


def study_metadata(strategy: Strategy, context: Mapping[str, Any]) -> dict[str, Any]:
    """What the outcomes depend on; a space is its shape and density range, not its name."""
    space = strategy.space
    return plain_json(
        {
            "strategy": strategy.name,
            "settings": strategy.settings,
            "space": {"layers": space.layers, "scales": space.scales, "connections": space.connections}
            | ({"drawn": space.drawn} if space.drawn else {}),
            "context": dict(context),
        }
    )


def plain_json(content: Mapping[str, Any]) -> dict[str, Any]:
    """As it will be read back from JSON: tuples and arrays are lists, numpy's numbers are Python's."""
    return json.loads(json.dumps(dict(content), default=lambda value: value.tolist()))


def _open_study(
    store: BaseStorage, storage: str | Path, name: str, metadata: dict[str, Any], resume: bool
) -> optuna.Study:
    # The strategy proposes; Optuna's own sampler and pruner are never asked.
    idle: dict[str, Any] = {"sampler": optuna.samplers.RandomSampler(), "pruner": optuna.pruners.NopPruner()}
    try:
        study = optuna.load_study(study_name=name, storage=store, **idle)
    except KeyError:
        written = "://" not in str(storage) and Path(storage).stat().st_size
        if resume and written and (isinstance(storage, Path) or not store.get_all_studies()):
            raise UserError(
                f"{storage} lacks its beginning, or is another's: restore it, or take another run id"
            ) from None
        study = optuna.create_study(study_name=name, storage=store, direction="minimize", **idle)
    if study.user_attrs.get("shared"):
        raise UserError(f"study {name!r} is of several workers: go on with --workers, or take another run id")
    if _finished(study):
        if not resume:
            raise UserError(
                f"study {name!r} in {storage} holds evaluations already: go on with --resume, or take another run id"
            )
        check_metadata(name, study.user_attrs, metadata)
    else:
        for key, value in metadata.items():
            study.set_user_attr(key, value)
    return study


def check_metadata(name: str, recorded: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Compare what a study's outcomes depended on with what they would now.

    Raises:
        UserError: they differ; the first difference is named.
    """
    for key, value in metadata.items():
        before = recorded.get(key)
        if before == value:
            continue
        if isinstance(before, dict) and isinstance(value, dict):
            inner = next(k for k in sorted({*before, *value}) if before.get(k) != value.get(k))
            key, before, value = f"{key}.{inner}", before.get(inner), value.get(inner)
        raise UserError(
            f"study {name!r} was made with {key} = {before!r}, now it is {value!r}: restore it, or take another run id"
        )


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    trials = study.get_trials(deepcopy=False, states=FINISHED)
    return sorted(trials, key=lambda trial: trial.number)
