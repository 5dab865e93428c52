"""One study, many workers: no member twice, none lost, whoever is killed."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from nasface.search.local_workers import LocalWorkers
from nasface.search.storage import open_storage
from nasface.search.strategies.random import RandomSearch
from nasface.search.strategies.samos import SAMOS
from nasface.search.strategy import Outcome, Proposal, Strategy
from nasface.search.study import StudyResult, run_study
from nasface.search.workers import Pace, create_shared_study, read_about, run_shared
from nasface.space.space import MultipathSpace
from nasface.testing.toy_table import TableEvaluator
from nasface.utils.errors import UserError

SPACE = MultipathSpace("toy", 4, 3)
QUICK = Pace(poll=0.01, beat=0.1, patience=1.5)
PATIENT = Pace(poll=0.01, beat=0.1, patience=1e6)


def samos() -> Strategy:
    return SAMOS(SPACE, seed=3, iterations=30, temperature=0.3, factor=0.9, starts=1)


def random_search(evaluations: int = 24) -> Strategy:
    return RandomSearch(SPACE, seed=5, evaluations=evaluations)


STRATEGIES = {"samos": samos, "random": random_search}


def table(delay: float = 0.0) -> TableEvaluator:
    return TableEvaluator(SPACE, 1, early_rejection=True, delay=delay)


def work(storage: Any, strategy: Strategy, pace: Pace = PATIENT, delay: float = 0.0, **more: Any) -> StudyResult:
    return run_shared(strategy, table(delay), storage, "s", pace=pace, **more)


def trials_of(storage: Any) -> list[optuna.trial.FrozenTrial]:
    with open_storage(storage, shared=True) as store:
        return optuna.load_study(study_name="s", storage=store).trials


def essence(result: StudyResult) -> list[tuple[Any, ...]]:
    return [(e.number, e.proposal, e.outcome.penalty, e.outcome.complete, dict(e.status)) for e in result.evaluations]


def check(storage: Any, result: StudyResult, evaluations: int) -> None:
    """Exactly the budget, each member ended once, and what the members score is what the table says."""
    ended = [trial for trial in trials_of(storage) if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(ended) == len(result.evaluations) == evaluations
    digests = [trial.user_attrs["digest"] for trial in ended]
    assert len(set(digests)) == len(digests)
    for evaluation in result.evaluations:
        if evaluation.outcome.complete:
            assert evaluation.outcome.penalty == table().penalty(evaluation.architecture)
    # What still runs then holds no member: a claim that came too late.
    assert not any(trial.state == TrialState.RUNNING and "digest" in trial.user_attrs for trial in trials_of(storage))


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_one_worker_is_the_search_of_one_process(tmp_path: Path, name: str, kind: str) -> None:
    storage = tmp_path / "j.log" if kind == "journal" else f"sqlite:///{tmp_path}/s.db"
    whole = run_study(STRATEGIES[name](), table(), tmp_path / "whole.log", "s")
    create_shared_study(STRATEGIES[name](), storage, "s")
    result = work(storage, STRATEGIES[name]())
    assert essence(result) == essence(whole)
    assert (result.best, result.penalty) == (whole.best, whole.penalty)
    # Who comes when all is done replays it.
    again = run_shared(STRATEGIES[name](), None, storage, "s")
    assert essence(again) == essence(whole) and again.replayed == len(whole.evaluations)


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_threads_share_a_study(tmp_path: Path, kind: str) -> None:
    storage = tmp_path / "j.log" if kind == "journal" else f"sqlite:///{tmp_path}/s.db"
    create_shared_study(random_search(), storage, "s")
    results: list[StudyResult] = []
    threads = [
        threading.Thread(target=lambda: results.append(work(storage, random_search(), delay=0.001))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 4
    check(storage, results[0], 24)
    assert all(essence(result) == essence(results[0]) for result in results), "workers disagree on the record"
    # Random search proposes the same members whatever their outcomes.
    alone = run_study(random_search(), table(), tmp_path / "whole.log", "s")
    members = {e.architecture.digest for e in alone.evaluations}
    assert {e.architecture.digest for e in results[0].evaluations} == members


def start(storage: Path, name: str, delay: float, patience: float) -> subprocess.Popen[str]:
    arguments = [sys.executable, __file__, str(storage), name, str(delay), str(patience)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_killed_worker_s_member_is_evaluated_by_another(tmp_path: Path, name: str) -> None:
    storage = tmp_path / "j.log"
    create_shared_study(STRATEGIES[name](), storage, "s")
    with start(storage, name, 60.0, 1e6) as victim:  # it begins its first evaluation and never ends it
        assert victim.stdout is not None
        assert victim.stdout.readline() == "evaluating\n"
        victim.send_signal(signal.SIGKILL)
    (held,) = trials_of(storage)
    assert held.state == TrialState.RUNNING
    result = work(storage, STRATEGIES[name](), QUICK)
    first = result.evaluations[0].architecture.digest if name == "samos" else held.user_attrs["digest"]
    assert first == held.user_attrs["digest"]
    assert first in [e.architecture.digest for e in result.evaluations], "the member is lost"
    whole = run_study(STRATEGIES[name](), table(), tmp_path / "whole.log", "s")
    check(storage, result, len(whole.evaluations))
    if name == "samos":  # with one chain the order is that of one process
        assert essence(result) == essence(whole)


def test_workers_are_killed_again_and_again(tmp_path: Path) -> None:
    storage = tmp_path / "j.log"
    create_shared_study(random_search(40), storage, "s")
    workers = [start(storage, "random40", 0.1, 1.5) for _ in range(3)]
    try:
        for victim in (0, 1, 0):
            assert workers[victim].stdout is not None
            for _ in range(3):
                if workers[victim].stdout.readline() != "evaluating\n":
                    break  # the others were so fast that nothing is left
            workers[victim].send_signal(signal.SIGKILL)
            workers[victim].wait()
            workers[victim].stdout.close()
            workers[victim] = start(storage, "random40", 0.1, 1.5)
        result = work(storage, random_search(40), QUICK)
    finally:
        for process in workers:
            process.kill()
            process.communicate()
    check(storage, result, 40)
    failed = [trial for trial in trials_of(storage) if trial.state == TrialState.FAIL and "digest" in trial.user_attrs]
    redone = Counter(trial.user_attrs["digest"] for trial in failed)
    assert set(redone) <= {e.architecture.digest for e in result.evaluations}


def test_a_worker_that_was_only_slow_drops_its_result(tmp_path: Path) -> None:
    storage = tmp_path / "j.log"
    create_shared_study(random_search(3), storage, "s")
    begun, go_on = threading.Event(), threading.Event()
    slow: list[StudyResult] = []

    def hang(proposal: Proposal) -> Outcome:
        if not begun.is_set():
            begun.set()
            go_on.wait(60)
        return table()(proposal)

    never = Pace(poll=0.01, beat=1e6, patience=1e6)  # it does not beat
    thread = threading.Thread(target=lambda: slow.append(run_shared(random_search(3), hang, storage, "s", pace=never)))
    thread.start()
    assert begun.wait(60)
    result = work(storage, random_search(3), Pace(poll=0.01, beat=0.1, patience=0.3))
    go_on.set()
    thread.join(60)
    check(storage, result, 3)
    assert essence(slow[0]) == essence(result)


def test_a_failing_worker_gives_its_member_back(tmp_path: Path) -> None:
    storage = tmp_path / "j.log"
    create_shared_study(random_search(), storage, "s")

    def fail(proposal: Proposal) -> Outcome:
        raise MemoryError

    with pytest.raises(MemoryError):
        run_shared(random_search(), fail, storage, "s", pace=PATIENT)
    check(storage, work(storage, random_search()), 24)  # nobody has to be patient


def test_the_last_worker_may_end_the_search_as_it_is_looked_at(tmp_path: Path) -> None:
    """What the follower knows is what it last read, and the worker may have gone on since."""
    storage = tmp_path / "journal.log"
    create_shared_study(random_search(3), storage, "s")
    crew = LocalWorkers(1, storage, "s", tmp_path)

    class Worker:
        id, log = 1, tmp_path / "worker_0.log"

        def poll(self) -> int:
            work(storage, random_search(3))
            return 0

    crew._processes = [Worker()]  # type: ignore[list-item]
    result = run_shared(random_search(3), None, storage, "s", pace=PATIENT, look=crew.look)
    check(storage, result, 3)


def test_a_member_that_nobody_can_evaluate(tmp_path: Path) -> None:
    storage = tmp_path / "j.log"
    create_shared_study(random_search(), storage, "s")

    def broken(proposal: Proposal) -> Outcome:
        return Outcome(math.nan)

    for _ in range(5):
        with pytest.raises(UserError, match="objective value of member .* is nan"):
            run_shared(random_search(), broken, storage, "s")
    with pytest.raises(UserError, match="begun 5 times and never ended"):
        work(storage, random_search())


def test_what_is_not_shared_is_refused(tmp_path: Path) -> None:
    storage = tmp_path / "j.log"
    create_shared_study(random_search(), storage, "s", context={"supernet": "a"}, about={"run": "r"})
    assert read_about(storage, None) == read_about(storage, "s") == ("s", {"run": "r"})
    with pytest.raises(UserError, match="no study 'other'.*it holds: s"):
        read_about(storage, "other")
    with pytest.raises(UserError, match="context.supernet"):
        work(storage, random_search(), context={"supernet": "b"})
    with pytest.raises(UserError, match="settings.evaluations"):
        work(storage, random_search(7), context={"supernet": "a"})
    with pytest.raises(UserError, match="of several workers"):
        run_study(random_search(), table(), storage, "s")
    work(storage, random_search(), context={"supernet": "a"})
    with pytest.raises(UserError, match="--resume"):
        create_shared_study(random_search(), storage, "s", context={"supernet": "a"})
    create_shared_study(random_search(), storage, "s", context={"supernet": "a"}, resume=True)
    run_study(random_search(), table(), storage, "alone")
    with pytest.raises(UserError, match="of a search by one process"):
        create_shared_study(random_search(), storage, "alone", resume=True)
    with pytest.raises(UserError, match="no study"):
        run_shared(random_search(), table(), storage, "nothing")


@pytest.mark.parametrize(("first", "second"), [(False, False), (False, True), (True, False)])
def test_a_search_of_one_process_has_its_journal_alone(tmp_path: Path, first: bool, second: bool) -> None:
    holder = open_storage(tmp_path / "j.log", shared=first)
    with holder, pytest.raises(UserError, match="another search"), open_storage(tmp_path / "j.log", shared=second):
        pass


def test_over_the_grpc_proxy(tmp_path: Path) -> None:
    grpc = pytest.importorskip("grpc")
    from optuna.storages._grpc.server import make_server

    with open_storage(f"sqlite:///{tmp_path}/s.db") as store:
        server = make_server(store, "localhost", 0)
        port = server.add_insecure_port("localhost:0")
        server.start()
        try:
            url = f"grpc://localhost:{port}"
            create_shared_study(random_search(6), url, "s")
            check(url, work(url, random_search(6)), 6)
        finally:
            server.stop(None)
    with pytest.raises(UserError, match="is not grpc://host:port"), open_storage("grpc://localhost:many"):
        pass
    assert grpc


def main(storage: str, name: str, delay: str, patience: str) -> None:
    strategy = random_search(40) if name == "random40" else STRATEGIES[name]()
    evaluate = table(float(delay))

    def announce(proposal: Proposal) -> Outcome:
        print("evaluating", flush=True)
        return evaluate(proposal)

    run_shared(strategy, announce, Path(storage), "s", pace=Pace(poll=0.01, beat=0.1, patience=float(patience)))
    print("ended", flush=True)
    time.sleep(600)  # until it is killed: a worker that ends by itself would close the pipe


if __name__ == "__main__":
    main(*sys.argv[1:])
