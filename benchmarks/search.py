"""What reuse, early rejection and further cores save: one search, replayed four ways on the same supernet and seed.

    python -m benchmarks.search [--run runs/ID] [--search.iterations 200 ...]
    python -m benchmarks.search --experiment NAME --weights runs/ID/supernet/supernet.pt

Without either it takes the newest run in runs/ whose supernet is trained. Each way has a process of its own. All four
must visit the same members, decide alike, and end at the same best member; the exit code is 1 where they do not.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import (
    SETTINGS,
    Option,
    described,
    gibibytes,
    names_settings,
    newest_search,
    parse,
    peak_bytes,
    reset_peak,
    run_benchmark,
    take,
)
from nasface.config import Experiment
from nasface.evaluation.supernet import make_evaluator
from nasface.nets.multipath import Supernet
from nasface.pipelines.scoring import make_search_strategy, search_context
from nasface.pipelines.supernet import load_trained_supernet
from nasface.pipelines.workspace import Workspace, prepare
from nasface.report.tables import quantity, text_table
from nasface.runs.run import Run
from nasface.search.local_workers import LocalWorkers
from nasface.search.strategies.samos import SAMOS
from nasface.search.strategy import Strategy
from nasface.search.study import Evaluation
from nasface.search.workers import Pace, create_shared_study, run_shared
from nasface.space.catalogue import load_space
from nasface.utils.compute_threads import torch_threads
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError
from nasface.utils.files import write_json
from nasface.utils.progress import stage_bar
from nasface.utils.worker_pool import run_in_workers

ONE_THREAD = "naive, one thread"
WAYS = {
    ONE_THREAD: {"reuse": False, "early_rejection": False},
    "naive": {"reuse": False, "early_rejection": False},
    "reuse": {"reuse": True, "early_rejection": False},
    "reuse + early rejection": {"reuse": True, "early_rejection": True},
}
OPTIONS = (
    Option("workers", int, 2, "processes of the last line, which search together; 1 leaves it out"),
    Option(
        "run", str | None, None, "folder of a run, runs/<id>: its settings and its supernet; the newest where empty"
    ),
    Option("weights", str | None, None, "trained supernet (supernet.pt); that of the run where empty"),
)


@dataclass(frozen=True)
class Replay:
    """One way of evaluating a whole search.

    Attributes:
        way: name of the way.
        setup_s: seconds before the first candidate (stem features, order of the faces).
        search_s: seconds of the search itself.
        evaluations: evaluations, those that stopped early included.
        stopped: how many stopped early.
        needed_macs: multiply-adds of plain evaluation of the same candidates.
        executed_macs: multiply-adds that were executed.
        peak_bytes: greatest resident memory.
        trajectory: (digest, accepted) of every iteration.
        best: digest of the best member, and
        penalty: its penalty in percent.
    """

    way: str
    setup_s: float
    search_s: float
    evaluations: int
    stopped: int
    needed_macs: int
    executed_macs: int
    peak_bytes: int
    trajectory: tuple[tuple[str, bool], ...]
    best: str
    penalty: float

    @property
    def seconds(self) -> float:
        return self.setup_s + self.search_s

    @property
    def rate(self) -> Rate:
        return Rate(self.way, self.evaluations, self.search_s)


@dataclass(frozen=True)
class Rate:
    """Evaluations, those that stopped early included, and the seconds that they took without any set-up."""

    way: str
    evaluations: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.evaluations / self.seconds


def replay(workspace: Workspace, supernet: Supernet, way: str) -> Replay:
    """Run the experiment's SAMOS from its seed, evaluating in one of the `WAYS`."""
    experiment = workspace.experiment
    config = replace(experiment.search, strategy="samos", **WAYS[way])
    workspace = replace(workspace, experiment=replace(experiment, search=config))
    reset_peak()
    with torch_threads(1 if way == ONE_THREAD else torch.get_num_threads()):
        return _replay(workspace, supernet, way)


def replay_alone(experiment: Experiment, weights: Path, way: str) -> Replay:
    """`replay` in a process of its own, so that no way finds memory as another has left it."""
    begin, threads = partial(_replayer, experiment, weights), torch.get_num_threads()
    ((_, done),) = run_in_workers(begin, [way], 1, threads=threads, how_to_go_on="close other programs")
    return done.result()


def _replayer(experiment: Experiment, weights: Path) -> Callable[[str], Replay]:
    space = load_space(experiment.space)
    return partial(replay, prepare(experiment, space), load_trained_supernet(weights, space, experiment))


def _replay(workspace: Workspace, supernet: Supernet, way: str) -> Replay:
    start = time.perf_counter()
    evaluator = make_evaluator(supernet, workspace.uv, workspace.faces, workspace.experiment)
    setup = time.perf_counter() - start
    strategy = make_search_strategy(workspace.experiment, workspace.space)
    if not isinstance(strategy, SAMOS):
        raise TypeError("only SAMOS's iterations can be compared")
    stopped = 0
    start = time.perf_counter()
    with stage_bar(way, strategy.progress[1]) as bar:
        while (proposal := strategy.ask()) is not None:
            outcome = evaluator(proposal)
            strategy.tell(proposal, outcome)
            stopped += not outcome.complete
            bar.update(strategy.progress[0] - bar.n)
        bar.update(strategy.progress[0] - bar.n)
    seconds = time.perf_counter() - start
    best, penalty = strategy.best
    return Replay(
        way=way,
        setup_s=setup,
        search_s=seconds,
        evaluations=strategy.evaluations,
        stopped=stopped,
        needed_macs=evaluator.needed_macs,
        executed_macs=evaluator.executed_macs,
        peak_bytes=peak_bytes(),
        trajectory=tuple((step.digest, step.accepted) for step in strategy.steps),
        best=best.digest,
        penalty=penalty,
    )


def side_by_side(experiment: Experiment, workers: int) -> Experiment:
    """The experiment with a walk for each of several processes, and its share of the cores."""
    settings = {**experiment.search.settings, "chains": workers}
    config = replace(experiment.search, strategy="samos", settings=settings, **WAYS["reuse + early rejection"])
    device = replace(experiment.device, threads=max(1, available_cores() // workers))
    return replace(experiment, search=config, device=device)


def replay_shared(workspace: Workspace, weights: Path, workers: int) -> Rate:
    """The experiment's SAMOS by several processes, each with a walk of its own.

    Its members are others than those of one process: this is about time alone, counted once all processes are at work.
    """
    experiment = side_by_side(workspace.experiment, workers)
    strategy = make_search_strategy(experiment, workspace.space)
    supernet = load_trained_supernet(weights, workspace.space, experiment)
    name, context = f"{workers} workers", search_context(workspace, supernet)
    ends: list[tuple[float, str]] = []

    def note(evaluation: Evaluation, _: Strategy) -> None:
        ends.append((time.perf_counter(), evaluation.outcome.details["worker"]))

    with tempfile.TemporaryDirectory() as folder:
        storage = Path(folder, "journal.log")
        about = {"experiment": asdict(experiment), "supernet": str(weights.absolute())}
        create_shared_study(strategy, storage, name, context=context, about=about)
        with LocalWorkers(workers, storage, name, Path(folder), experiment.device.threads) as crew:
            settings = {"callbacks": [note], "look": crew.look}
            run_shared(strategy, None, storage, name, context=context, pace=Pace(poll=0.02), **settings)
    return Rate(f"{name}, {workers} walks", *together(ends, workers))


def together(ends: Sequence[tuple[float, str]], workers: int) -> tuple[int, float]:
    """Evaluations, and the seconds that they took, from when all processes were at work: each has ended one.

    Args:
        ends: (time, worker) of every evaluation.

    Raises:
        UserError: the search ended before all processes had begun.
    """
    first = {worker: place for place, (_, worker) in reversed(list(enumerate(ends)))}
    begin = max(first.values(), default=0)
    if len(first) < workers or begin + 1 >= len(ends):
        raise UserError("the search ended before all workers had begun: give more --search.iterations, or --workers 1")
    return len(ends) - 1 - begin, ends[-1][0] - ends[begin][0]


def rate_table(rates: Sequence[Rate]) -> str:
    """Evaluations a second; speed-ups are against the first."""
    first = rates[0]
    body = [
        [
            item.way,
            str(item.evaluations),
            f"{item.seconds:.1f} s",
            f"{item.per_second:.2f}",
            f"{item.per_second / first.per_second:.2f} x",
        ]
        for item in rates
    ]
    return text_table(["", "evaluations", "time", "a second", "speed-up"], body)


def difference(one: Replay, other: Replay) -> str | None:
    """Where two replays part, in words; None where they are the same search."""
    pairs = zip(one.trajectory, other.trajectory, strict=False)
    for number, (a, b) in enumerate(pairs, start=1):
        if a != b:
            return f"iteration {number} is {_step(a)} in {one.way!r} and {_step(b)} in {other.way!r}"
    if len(one.trajectory) != len(other.trajectory):
        return f"{one.way!r} has {len(one.trajectory)} iterations and {other.way!r} {len(other.trajectory)}"
    if (one.best, one.penalty) != (other.best, other.penalty):
        return (
            f"the best is {one.best} with {one.penalty!r} % in {one.way!r}"
            f" and {other.best} with {other.penalty!r} % in {other.way!r}"
        )
    return None


def _step(step: tuple[str, bool]) -> str:
    return f"{step[0]} ({'accepted' if step[1] else 'rejected'})"


def cost_table(replays: Sequence[Replay]) -> str:
    """The table; shares and speed-ups are against the first replay, set-up included."""
    first = replays[0]
    body = [
        [
            item.way,
            f"{item.seconds:.1f} s",
            str(item.evaluations),
            str(item.stopped),
            quantity(item.needed_macs),
            quantity(item.executed_macs),
            f"{100 * (1 - item.executed_macs / first.executed_macs):.1f} %",
            gibibytes(item.peak_bytes),
            f"{first.seconds / item.seconds:.2f} x",
        ]
        for item in replays
    ]
    header = ["", "time", "evaluations", "stopped", "MACs needed", "executed", "saved", "peak memory", "speed-up"]
    return text_table(header, body)


def results(experiment: Experiment, weights: Path, replays: Sequence[Replay]) -> dict[str, Any]:
    """Everything as JSON holds it; the trajectory, which all share, once."""
    first, ways = replays[0], []
    for item in replays:
        values = asdict(item)
        del values["trajectory"]
        ways.append(
            values
            | {
                "saved": 1 - item.executed_macs / first.executed_macs,
                "speed_up": first.seconds / item.seconds,
                "same_as_first": difference(first, item) is None,
            }
        )
    return {
        "weights": str(weights),
        "ways": ways,
        "accepted": sum(accepted for _, accepted in first.trajectory),
        "trajectory": [list(step) for step in first.trajectory],
        "experiment": described(experiment),
    }


def read_arguments(arguments: Sequence[str]) -> tuple[Experiment, Path, dict[str, Any]]:
    """The experiment, its supernet's file, and the benchmark's own values."""
    named, rest = take(arguments, "--run")
    run = None if named is None else Run(Path(named))
    if run is None and not names_settings(rest) and not {"-h", "--help"} & set(rest):
        run = newest_search(take(rest, "--runs")[0] or Experiment().runs)
    if run is not None:
        if not run.path(SETTINGS).is_file():
            raise UserError(f"{run.folder} is not the folder of a run: give one in runs/, such as runs/<id>")
        rest = ["--config", str(run.path(SETTINGS)), *rest]
    parsed = parse(__doc__.splitlines()[0], OPTIONS, rest, "search")
    experiment, own = parsed.experiment, parsed.own
    if own["weights"] is None and run is None:
        raise UserError(
            "--experiment and --config need --weights, the supernet to search: runs/<id>/supernet/supernet.pt"
        )
    weights = Path(own["weights"]) if own["weights"] else run.path("supernet", "supernet.pt")
    if own["workers"] < 1:
        raise UserError(f"--workers must be at least 1, not {own['workers']}")
    return experiment, weights, own


def main(arguments: Sequence[str]) -> int:
    experiment, weights, own = read_arguments(arguments)
    output = own["json"]
    space = load_space(experiment.space)
    workspace = prepare(experiment, space)
    faces, config = workspace.faces, experiment.search
    print(
        f"{weights}: SAMOS, {config.iterations} iterations, seed {experiment.seed};"
        f" {min(config.calibration, len(faces.train))} calibration and {len(faces.val)} validation faces of"
        f" {experiment.network.input_size} px"
    )
    replays = [replay_alone(experiment, weights, way) for way in WAYS]
    print(f"\n{cost_table(replays)}\n")
    problems = [problem for item in replays[1:] if (problem := difference(replays[0], item))]
    first = replays[0]
    if not problems:
        print(
            f"same trajectory: yes, {sum(accepted for _, accepted in first.trajectory)} of {len(first.trajectory)}"
            f" iterations accepted, best {first.best} with {first.penalty:.4f} %"
        )
    for problem in problems:
        print(f"same trajectory: NO, {problem}")
    rates = [item.rate for item in replays]
    if own["workers"] > 1:
        rates.append(replay_shared(workspace, weights, own["workers"]))
    print(f"\nevaluations, without what comes before the first\n\n{rate_table(rates)}\n")
    figures = results(experiment, weights, replays)
    figures["rates"] = [asdict(item) | {"per_second": item.per_second} for item in rates]
    write_json(output, figures)
    print(f"figures  {output}")
    return 1 if problems else 0


if __name__ == "__main__":
    run_benchmark(main)
