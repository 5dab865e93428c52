"""Every search strategy on the tabular benchmark: the best member found so far against the number of evaluations.

    python -m benchmarks.strategies [--table FILE.parquet] [--seeds 50] [--strategies samos random ...]

Each strategy runs with `--seeds` seeds to `--evaluations` evaluations; a member that it meets again costs nothing. The
table has every member's error after a training of its own, so a search takes a fraction of a second to a few, by what
the strategy itself computes. Strategies whose package is absent are left out, with a note. Figures go to
RUNS/benchmarks/strategies.json and .svg.
"""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Option, parse, run_benchmark
from nasface.report.tables import text_table
from nasface.search.registry import STRATEGIES, make_strategy, strategy_settings
from nasface.search.strategies.samos import SAMOS
from nasface.search.strategy import Proposal, Strategy
from nasface.tabular.evaluator import MemberTableEvaluator
from nasface.tabular.table import MemberTable, read_table
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write, write_json
from nasface.utils.progress import stage_bar

PAPER = SAMOS.PAPER
MARKS = (10, 20, 50, 100, 200)
"""Numbers of evaluations at which strategies are compared."""
LOOKS = 25
"""SAMOS's budget is iterations, many of which meet a known member: so many times the evaluations."""
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "samos, as in the paper": ("samos", PAPER),
    "samos, calibrated T0": ("samos", PAPER | {"acceptance": 0.3}),
    "samos, calibrated, restarts": ("samos", PAPER | {"acceptance": 0.3, "restart_after": 30}),
    "samos, one start": ("samos", {"starts": 1, "presets": False}),
    "samos, one start, not balanced": ("samos", {"starts": 1, "presets": False, "balanced": False}),
    "samos, two moves": ("samos", {"moves": 2}),
}
"""SAMOS with other settings than its own, whose temperature was chosen on this very table."""
SLOW = ("optuna/gp",)
"""Half a second a suggestion: only where `--strategies` names it."""
OPTIONS = (
    Option("table", str, "table", "`table`, which comes with the program, or a .parquet file of `nasface table build`"),
    Option("seeds", int, 50, "searches of each strategy, with the seeds 0, 1, ..."),
    Option("evaluations", int, 200, "of each search"),
    Option("strategies", str, [], "names, as `search.strategy` takes them; empty: all but the slow one, optuna/gp"),
    Option("workers", int, 0, "processes side by side, which do not change what is found; 0: one a core"),
)


@dataclass(frozen=True)
class Curves:
    """A strategy's searches.

    Attributes:
        name: of the strategy or variant.
        best: (seeds, evaluations) least penalty so far, NME (%) on the validation faces; the last value goes on where
            a search ended earlier.
        test: (seeds,) NME (%) on the test faces of the members that the searches ended with.
        seconds: of one search, mean.
    """

    name: str
    best: np.ndarray
    test: np.ndarray
    seconds: float


def make(name: str, table: MemberTable, seed: int, evaluations: int) -> Strategy:
    """The strategy or variant with a budget of so many evaluations."""
    base, settings = VARIANTS.get(name, (name, {}))
    budgets = {"evaluations": evaluations, "iterations": LOOKS * evaluations}
    known = strategy_settings(base)
    budget = {key: value for key, value in budgets.items() if key in known}
    return make_strategy(base, table.space, seed=seed, **budget, **settings)


def incumbents(strategy: Strategy, evaluate: MemberTableEvaluator, evaluations: int) -> np.ndarray:
    """(evaluations,) the least penalty after each evaluation of a search."""
    best: list[float] = []
    while len(best) < evaluations and (proposal := strategy.ask()) is not None:
        strategy.tell(proposal, evaluate(proposal))
        best.append(strategy.best[1])
    return np.array(best + best[-1:] * (evaluations - len(best)))


@dataclass(frozen=True)
class Search:
    """One search: the incumbent after each evaluation (evaluations,), the NME (%) on the test faces of the member that
    it ended with, and its seconds of processor time."""

    best: np.ndarray
    test: float
    seconds: float


def run_search(name: str, evaluate: MemberTableEvaluator, seed: int, evaluations: int) -> Search:
    """One strategy with one seed.

    Raises:
        UserError: its package is absent.
    """
    start = time.process_time()
    strategy = make(name, evaluate.table, seed, evaluations)
    best = incumbents(strategy, evaluate, evaluations)
    seconds = time.process_time() - start
    return Search(best, evaluate(Proposal(strategy.best[0])).details["test_mean"], seconds)


def run_strategies(
    names: Sequence[str], table: MemberTable, seeds: int, evaluations: int, workers: int
) -> tuple[list[Curves], list[str]]:
    """Every strategy with every seed, side by side in processes; and why some could not run."""
    curves, absent = [], []
    context = multiprocessing.get_context("spawn")  # a forked process would inherit torch's threads
    with (
        stage_bar("searches", seeds * len(names)) as bar,
        ProcessPoolExecutor(workers, context, _begin, (table, evaluations)) as pool,
    ):
        futures = {name: [pool.submit(_run, name, seed) for seed in range(seeds)] for name in names}
        for future in itertools.chain(*futures.values()):
            future.add_done_callback(lambda _: bar.update(1))
        for name in names:
            try:
                curves.append(_curves(name, [future.result() for future in futures[name]]))
            except UserError as error:
                absent.append(f"left out: {error}")
    return curves, absent


def _curves(name: str, found: Sequence[Search]) -> Curves:
    seconds = statistics.fmean(one.seconds for one in found)
    return Curves(name, np.array([one.best for one in found]), np.array([one.test for one in found]), seconds)


_evaluate: MemberTableEvaluator | None = None  # of this worker, and
_evaluations = 0


def _begin(table: MemberTable, evaluations: int) -> None:
    global _evaluate, _evaluations
    _evaluate, _evaluations = MemberTableEvaluator(table), evaluations


def _run(name: str, seed: int) -> Search:
    assert _evaluate is not None
    return run_search(name, _evaluate, seed, _evaluations)


def marks_of(evaluations: int) -> list[int]:
    return sorted({mark for mark in MARKS if mark < evaluations} | {evaluations})


def incumbent_table(curves: Sequence[Curves]) -> str:
    """Mean ± standard deviation of the incumbent at every mark, by rising regret at the last."""
    marks = marks_of(curves[0].best.shape[1])
    body = [
        [
            one.name,
            *(f"{one.best[:, mark - 1].mean():.3f} ± {one.best[:, mark - 1].std(ddof=1):.3f}" for mark in marks),
            f"{one.test.mean():.3f}",
            f"{1000 * one.seconds:.0f} ms",
        ]
        for one in ranked(curves)
    ]
    return text_table(["evaluations", *map(str, marks), "test", "a search"], body)


def regret_table(curves: Sequence[Curves], least: float) -> str:
    """Mean distance to the table's least penalty at every mark, and how many searches have found it at the last."""
    marks = marks_of(curves[0].best.shape[1])
    body = [
        [
            one.name,
            *(f"{(one.best[:, mark - 1] - least).mean():.3f}" for mark in marks),
            f"{int((one.best[:, -1] <= least).sum())} of {len(one.best)}",
        ]
        for one in ranked(curves)
    ]
    return text_table(["regret after", *map(str, marks), "found the best"], body)


def ranked(curves: Sequence[Curves]) -> list[Curves]:
    """By rising mean area under the curve of the incumbent: good early and late."""
    return sorted(curves, key=lambda one: float(one.best.mean()))


def verdicts(curves: Sequence[Curves]) -> list[str]:
    """Who wins at every mark, and what is told apart from random search: Wilcoxon's signed-rank test over the seeds,
    two-sided, at 5 %, corrected for the number of strategies (Bonferroni)."""
    lines, named = [], {one.name: one for one in curves}
    for mark in marks_of(curves[0].best.shape[1]):
        values = {name: one.best[:, mark - 1] for name, one in named.items()}
        order = sorted(values, key=lambda name: float(values[name].mean()))
        line = f"after {mark}: best {order[0]} ({values[order[0]].mean():.3f})"
        if "random" in values:
            better, worse = [], []
            for name in order:
                if name == "random" or len(order) < 2:
                    continue
                difference = values[name] - values["random"]
                if p_value(difference) * (len(order) - 1) < 0.05:
                    (better if difference.mean() < 0 else worse).append(name)
            line += f"; better than random search: {_names(better)}; worse: {_names(worse)}"
        lines.append(line)
    return lines


def p_value(difference: np.ndarray) -> float:
    """Of the paired searches being alike; 1 where all are equal."""
    from scipy.stats import wilcoxon  # half a second that no process of the searches should cost

    return float(wilcoxon(difference).pvalue) if np.any(difference) else 1.0


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def figure(curves: Sequence[Curves], least: float, path: Path) -> None:
    """Mean regret against evaluations, an SVG."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    page = Figure(figsize=(8.4, 4.8), layout="constrained")
    panel = page.subplots()
    colours, dashes = colormaps["tab10"].colors, ("-", "--", ":", "-.")
    for place, one in enumerate(ranked(curves)):
        mean = (one.best - least).mean(axis=0)
        wide = one.name in ("samos", "random")
        style = {"color": colours[place % 10], "linestyle": dashes[place // 10 % 4], "linewidth": 2.6 if wide else 1.3}
        panel.plot(np.arange(1, len(mean) + 1), np.where(mean > 0, mean, np.nan), label=one.name, **style)
    panel.set(xlabel="evaluations", ylabel="NME (%) above the best member, mean over seeds", xscale="log", yscale="log")
    panel.grid(color="0.92", which="both")
    panel.set_axisbelow(True)
    page.legend(loc="outside right upper", frameon=False, fontsize=9)
    with atomic_write(path) as temporary:
        page.savefig(temporary, format=path.suffix[1:])


def record(curves: Sequence[Curves], table: MemberTable, least: float) -> Mapping[str, Any]:
    """Everything as JSON holds it."""
    marks = marks_of(curves[0].best.shape[1])
    return {
        "table": table.fingerprint,
        "members": len(table.by_member),
        "least": least,
        "marks": marks,
        "strategies": [
            {
                "name": one.name,
                "seeds": len(one.best),
                "mean": [float(one.best[:, mark - 1].mean()) for mark in marks],
                "sd": [float(one.best[:, mark - 1].std(ddof=1)) for mark in marks],
                "regret": [float((one.best[:, mark - 1] - least).mean()) for mark in marks],
                "found_best": int((one.best[:, -1] <= least).sum()),
                "test": float(one.test.mean()),
                "search_s": one.seconds,
            }
            for one in ranked(curves)
        ],
        "verdicts": verdicts(curves),
    }


def chosen(names: Sequence[str]) -> list[str]:
    """Strategies and variants to run.

    Raises:
        UserError: an unknown name.
    """
    known = [*(name for name in STRATEGIES.names() if name not in SLOW), *VARIANTS]
    for name in names:
        if name not in known and name not in SLOW:
            raise UserError(f"unknown strategy {name!r}; known are: {', '.join([*known, *SLOW])}")
    return list(names) or known


def main(arguments: Sequence[str]) -> int:
    parsed = parse(__doc__.splitlines()[0], OPTIONS, arguments, "strategies")
    own = parsed.own
    if own["seeds"] < 2 or own["evaluations"] < 2:
        raise UserError("--seeds and --evaluations must be at least 2")
    if own["workers"] < 0:
        raise UserError("--workers must be at least 1, or 0 for one a core")
    table = read_table(own["table"])
    evaluate, names = MemberTableEvaluator(table), chosen(own["strategies"])
    least = table.errors()[evaluate.ranking[0]]
    evaluations = min(own["evaluations"], len(table.by_member))
    curves, absent = run_strategies(names, table, own["seeds"], evaluations, own["workers"] or available_cores())
    if not curves:
        raise UserError("no strategy could run: " + "; ".join(absent))
    print(f"\n{own['table']}: {len(table.by_member)} members, NME (%) on validation faces, least {least:.3f};")
    print(f"{table.noise_line()}; {own['seeds']} searches each\n")
    print(f"{incumbent_table(curves)}\n\n{regret_table(curves, least)}\n")
    print("\n".join([*verdicts(curves), *absent]))
    output = own["json"]
    write_json(output, record(curves, table, least))
    figure(curves, least, output.with_suffix(".svg"))
    print(f"figures  {output}, {output.with_suffix('.svg')}")
    return 0


if __name__ == "__main__":
    run_benchmark(main)
