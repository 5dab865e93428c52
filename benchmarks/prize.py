"""What a search is worth under a budget: its networks against random ones of their cost and hand-made ones.

    python -m benchmarks.prize [--budgets 25e6 50e6] [--seeds 0 1 2] [--members 8] [--workers 2] [--plan true]

For every budget of multiply-adds and every seed the whole search runs (`nasface search --on trainings`, with
`search.max_macs` at the budget), and the network that it finds is trained with the same seed. Beside them, trained
alike: random members of the space within 5 % of the median searched one's cost, the hand-made networks of the space
(Hourglass, PRNet, HRNet) and MobileNet, each at the greatest width that keeps the budget. A searched network counts as
one draw of the search, a random member as one draw of chance: differences stand beside the standard errors over those
draws. Random search is given the time of a search and of the training of what it finds: it trains as many members as
that pays for, at most those that there are, and keeps the one with the least error on the validation faces.

The searched networks are worth their search where they are better than the random mean by two standard errors, and
better than every hand-made network. `--plan true` prints how many trainings a difference needs, from the table `bands`,
before any is made.

Settings of the experiment can be given as to `nasface search` (`--experiment aflw`, `--retrain.steps 600`). Searches
and trainings are kept in RUNS/prize-NAME-BUDGET, and the same command goes on where one was ended.
"""

from __future__ import annotations

import itertools
import math
import operator
import statistics
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.bands import bands_of, spread
from benchmarks.common import SETTINGS, Option, described, parse, run_benchmark
from nasface.config import Experiment
from nasface.nets.multipath import MemberSpec
from nasface.nets.network import NetworkSpec
from nasface.nets.registry import BaselineSpec
from nasface.pipelines.architectures import resolve_network
from nasface.pipelines.candidates import draw_members, key_of
from nasface.pipelines.compare import Entry, Training
from nasface.pipelines.member_limits import costs_of
from nasface.pipelines.search_trainings import search_by_trainings
from nasface.pipelines.workers import train_side_by_side
from nasface.pipelines.workspace import prepare
from nasface.report.tables import NMERow, text_table, yaw_table
from nasface.runs.metrics import FILE as METRICS
from nasface.runs.metrics import read_metrics
from nasface.runs.run import Run, open_run
from nasface.space.catalogue import load_space
from nasface.space.presets import presets_in
from nasface.space.random_members import first_that_fit
from nasface.space.space import MultipathSpace
from nasface.tabular.table import load_table
from nasface.utils.errors import UserError
from nasface.utils.files import write_json

Spec = TypeVar("Spec", bound=NetworkSpec)
SEARCHED, RANDOM = "searched", "random"
TOLERANCE = 0.05
"""Greatest relative difference of a random member's multiply-adds from the median searched one's; it may be above the
budget."""
WIDTHS = 8
"""Widths of a space's networks are multiples of it."""
SCALES = tuple(step / 20 for step in range(1, 41))
"""Factors of MobileNet's widths that are tried."""
OPTIONS = (
    Option("budgets", float, [25e6, 50e6], "greatest multiply-adds of a network, one prize each"),
    Option("seeds", int, [0, 1, 2], "seeds, of a search and of its network's training each"),
    Option("members", int, 8, "random members, each trained with the next of the seeds"),
    Option("made_seeds", int, [0], "seeds of the hand-made networks' trainings"),
    Option("workers", int, 1, "trainings side by side, each in a process with one thread"),
    Option("difference", float, 0.3, "points of NME that --plan is to tell from chance"),
    Option("plan", bool, False, "print how many trainings that takes, and end"),
)


# What is trained ------------------------------------------------------------------------------------------------------


def hand_made(experiment: Experiment, space: MultipathSpace, budget: float) -> list[Entry]:
    """The hand-made networks, members of the space and MobileNet, at the greatest width that keeps the budget; those
    that cannot be left out."""
    found, network = [], experiment.network
    for name, preset in presets_in(space).items():
        members = [
            MemberSpec(preset, replace(network, width=width, widths=None))
            for width in range(WIDTHS, 8 * network.width + 1, WIDTHS)
        ]
        if member := _widest(members, budget):
            sizes = replace(experiment, network=member.config)
            found.append(Entry(f"{name}, width {member.config.width}", member, sizes))
    baselines = [BaselineSpec("mobilenet", network.input_size, network.map_size, scale) for scale in SCALES]
    if baseline := _widest(baselines, budget):
        found.append(Entry(f"mobilenet@{baseline.scale:g}", baseline, experiment))
    return found


def _widest(specs: Sequence[Spec], budget: float) -> Spec | None:
    """The last of networks by rising multiply-adds that keeps the budget, if any."""
    kept = bisect_right(specs, budget, key=lambda spec: spec.cost()[1])
    return specs[kept - 1] if kept else None


def random_members(experiment: Experiment, space: MultipathSpace, searched: MemberSpec, count: int) -> list[MemberSpec]:
    """Random members of every density, as a search begins with, whose multiply-adds are within `TOLERANCE` of a
    searched one's.

    Raises:
        UserError: too few are met.
    """
    drawn = draw_members(space, experiment, np.random.default_rng([experiment.seed, 0x5A]))
    costs, target = costs_of(space, experiment), searched.cost()[1]

    def fits(member: MemberSpec) -> bool:
        macs = costs[member.config.width].macs(member.architecture)
        return abs(macs - target) <= TOLERANCE * target and key_of(member) != key_of(searched)

    lacking = f"cost {target / 1e6:.1f} M multiply-adds, not {count}: give fewer --members or another budget"
    return first_that_fit(drawn, fits, count, key_of, lacking)


@dataclass(frozen=True)
class Contest:
    """What is trained under a budget.

    Attributes:
        budget: multiply-adds.
        searched: each seed's network.
        random: members of their cost.
        made: hand-made networks.
    """

    budget: float
    searched: tuple[MemberSpec, ...]
    random: tuple[MemberSpec, ...]
    made: tuple[Entry, ...]


def trainings_of(
    contest: Contest, experiment: Experiment, seeds: Sequence[int], made_seeds: Sequence[int], folder: Path
) -> list[Training]:
    """Every training of a contest: a searched network with its search's seed, random members with the seeds in turn."""

    def training(entry: Entry, seed: int) -> Training:
        return Training(entry, seed, folder / "networks" / f"{entry.name.split(',')[0]}-{entry.digest}-seed{seed}")

    def entry(name: str, member: MemberSpec) -> Entry:
        return Entry(name, member, replace(experiment, network=member.config))

    return [
        *(training(entry(SEARCHED, one), seed) for one, seed in zip(contest.searched, seeds, strict=True)),
        *(
            training(entry(RANDOM, one), seed)
            for one, seed in zip(contest.random, itertools.cycle(seeds), strict=False)
        ),
        *(training(one, seed) for one in contest.made for seed in made_seeds),
    ]


def search_once(experiment: Experiment, space: MultipathSpace, folder: Path) -> tuple[MemberSpec, float]:
    """What one search finds, and its seconds of one core; a search that is done is not made again."""
    folder.mkdir(parents=True, exist_ok=True)
    run, best = Run(folder), folder / "best.json"
    if not (run.read_summary().get("finished") and best.exists()):
        search_by_trainings(replace(experiment, output=str(best)), space, run, print)
        run.update_summary(workers=experiment.halving.workers)
    _, found, _ = resolve_network(experiment, str(best))
    assert isinstance(found, MemberSpec)
    summary = run.read_summary()
    # The same command may go on with other workers than the search was made with.
    return found, summary["costs"]["search_s"] * summary.get("workers", experiment.halving.workers)


# What comes out -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prize:
    """The outcome under a budget; all NME (%), mean of the yaw bins on the test faces.

    Attributes:
        budget: multiply-adds.
        searched, random: of every draw.
        validation: of every random one, NME (%) on the validation faces at its training's end.
        made: by name, the mean over its seeds.
        search_s: seconds of one core that a search takes, mean.
        train_s: seconds of a searched network's training, mean.
        random_s: seconds of a random member's training, mean.
    """

    budget: float
    searched: tuple[float, ...]
    random: tuple[float, ...]
    validation: tuple[float, ...]
    made: dict[str, float]
    search_s: float
    train_s: float
    random_s: float

    @property
    def gain(self) -> float:
        """How much lower the searched networks' mean is than the random one's."""
        return statistics.fmean(self.random) - statistics.fmean(self.searched)

    @property
    def error(self) -> float:
        """Standard error of `gain`."""
        return math.hypot(standard_error(self.searched), standard_error(self.random))

    @property
    def trainings(self) -> int:
        """Members that random search trains in the time that a search and the training of what it finds take; no more
        than there are."""
        return max(1, min(len(self.random), round(self.affordable)))

    @property
    def affordable(self) -> float:
        """Random members that this time would pay for."""
        return (self.search_s + self.train_s) / self.random_s

    @property
    def random_search(self) -> float:
        """Mean error of what random search finds: the best of so many random members by their validation error, over
        every choice of them."""
        ranked = [error for _, error in sorted(zip(self.validation, self.random, strict=True))]
        later = [math.comb(len(ranked) - place, self.trainings - 1) for place in range(1, len(ranked) + 1)]
        return math.fsum(map(operator.mul, ranked, later)) / sum(later)  # the first of each choice is its best

    @property
    def won(self) -> bool:
        """Whether the searched networks are worth their search."""
        best = min(self.made.values(), default=math.inf)
        return self.gain > 2 * self.error and statistics.fmean(self.searched) < best


def standard_error(values: Sequence[float]) -> float:
    """Of the mean; infinite for one value."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.inf


def prize_table(prizes: Sequence[Prize]) -> str:
    """One line a budget."""
    body = []
    for prize in prizes:
        best = min(prize.made, key=lambda name: prize.made[name], default="")
        body.append(
            [
                f"{prize.budget / 1e6:g} M",
                f"{statistics.fmean(prize.searched):.2f} ± {standard_error(prize.searched):.2f}",
                f"{statistics.fmean(prize.random):.2f} ± {standard_error(prize.random):.2f}",
                f"{prize.gain:+.2f} ± {prize.error:.2f}",
                f"{prize.random_search:.2f} (best of {_counted(prize)})",
                f"{prize.made[best]:.2f} ({best})" if best else "-",
                f"{prize.search_s / 60:.1f} min",
                "yes" if prize.won else "no",
            ]
        )
    head = ["budget", "searched", "random", "gain", "random search", "best hand-made", "a search", "worth it"]
    return text_table(head, body)


def _counted(prize: Prize) -> str:
    """How many members random search has: all, where it could train more than there are."""
    return f"all {prize.trainings}" if round(prize.affordable) > prize.trainings else str(prize.trainings)


def needed(deviation: float, difference: float) -> int:
    """Draws on each side for a difference of two standard errors: 2 sqrt(2 sd^2 / n) = difference."""
    return max(2, math.ceil(8 * (deviation / difference) ** 2))


def plan(difference: float) -> str:
    """How many draws a side a difference needs, in each band of the table `bands`."""
    table = load_table("bands")
    body = []
    for band, members in bands_of(table).items():
        between, seeds = spread(table, members)
        deviation = math.hypot(between, seeds)
        body.append([band, f"{between:.3f}", f"{seeds:.3f}", str(needed(deviation, difference))])
    head = ["band", "sd of members", "sd of seeds", f"draws a side for {difference:g} points"]
    return text_table(head, body)


# The command ----------------------------------------------------------------------------------------------------------


def compete(experiment: Experiment, budget: float, own: dict[str, Any]) -> tuple[Prize, list[list[NMERow]]]:
    """Search, train and test under one budget."""
    space = load_space(experiment.space)
    limited = replace(
        experiment,
        search=replace(experiment.search, max_macs=budget),
        halving=replace(experiment.halving, workers=own["workers"]),
        log=replace(experiment.log, wandb="off"),
    )
    name = f"prize-{experiment.name}-{budget / 1e6:g}M"
    exists = Path(experiment.runs, name, SETTINGS).is_file()
    run = open_run("prize", limited, experiment.name, exists, name)
    print(f"\nbudget   {budget / 1e6:g} M multiply-adds, {run.folder}")
    searches = [search_once(replace(limited, seed=seed), space, run.path(f"search-{seed}")) for seed in own["seeds"]]
    searched = tuple(member for member, _ in searches)
    costs = [member.cost()[1] for member in searched]
    middle = searched[costs.index(sorted(costs)[len(costs) // 2])]
    random = tuple(random_members(limited, space, middle, own["members"]))
    contest = Contest(budget, searched, random, tuple(hand_made(limited, space, budget)))
    trainings = trainings_of(contest, limited, own["seeds"], own["made_seeds"], run.folder)
    waiting = [one for one in trainings if one.result() is None]
    common = replace(limited, device=replace(limited.device, threads=1)) if own["workers"] > 1 else limited
    workspace = prepare(common, space) if waiting else None
    for number, (one, error) in enumerate(
        train_side_by_side(common, waiting, run.folder, own["workers"], workspace), len(trainings) - len(waiting) + 1
    ):
        row = one.result()
        if row is None:
            raise error or UserError(f"{one.folder} has no result")
        print(f"{number}/{len(trainings)}  {one.entry.name}: {row.mean:.2f} %, {row.train_s:.0f} s", flush=True)
    return outcome(budget, trainings, [seconds for _, seconds in searches])


def outcome(
    budget: float, trainings: Sequence[Training], search_s: Sequence[float]
) -> tuple[Prize, list[list[NMERow]]]:
    """The prize and every network's rows, once all trainings have ended."""
    rows: dict[str, list[NMERow]] = {}
    validation = []
    for one in trainings:
        row = one.result()
        assert row is not None
        rows.setdefault(one.entry.name, []).append(row)
        if one.entry.name == RANDOM:
            validation.append(_validation(one.folder))
    searched, random = rows[SEARCHED], rows[RANDOM]
    prize = Prize(
        budget,
        tuple(_error(row) for row in searched),
        tuple(_error(row) for row in random),
        tuple(validation),
        {name: statistics.fmean(map(_error, of)) for name, of in rows.items() if name not in (SEARCHED, RANDOM)},
        statistics.fmean(search_s),
        *(statistics.fmean(row.train_s or 0.0 for row in of) for of in (searched, random)),
    )
    return prize, list(rows.values())


def _validation(folder: Path) -> float:
    """NME (%) on the validation faces at a training's end, mean of the yaw bins."""
    _, values = read_metrics(folder).get("val/nme", ([], []))
    if not values:
        raise UserError(f"{folder / METRICS} has no validation error: remove {folder} and train it again")
    return values[-1]


def _error(row: NMERow) -> float:
    return math.nan if row.mean is None else row.mean


def main(arguments: Sequence[str]) -> int:
    parsed = parse(__doc__.splitlines()[0], OPTIONS, arguments, "prize")
    experiment, own = parsed.experiment, parsed.own
    if own["plan"]:
        print(plan(own["difference"]))
        return 0
    for name in ("seeds", "made_seeds"):
        if len(set(own[name])) != len(own[name]) or min(own[name]) < 0:
            raise UserError(f"--{name} must be different whole numbers >= 0, not {own[name]}")
    for name in ("members", "workers"):
        if own[name] < 1:
            raise UserError(f"--{name} must be at least 1, not {own[name]}")
    results = [compete(experiment, budget, own) for budget in own["budgets"]]
    prizes = [prize for prize, _ in results]
    for prize, rows in results:
        print(
            f"\nNME (%) by yaw on the test faces, at most {prize.budget / 1e6:g} M multiply-adds; mean ± sd of draws\n"
        )
        print(yaw_table(rows, more=True))
    print(f"\nmean ± standard error\n\n{prize_table(prizes)}")
    output = own["json"]
    figures = [asdict(prize) | {"gain": prize.gain, "error": prize.error, "won": prize.won} for prize in prizes]
    write_json(output, {"prizes": figures, "experiment": described(experiment)})
    print(f"figures  {output}")
    return 0


if __name__ == "__main__":
    run_benchmark(main, goes_on=True)
