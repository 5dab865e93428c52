"""What predicts a member's error among members of its cost: counting, supernets, short trainings.

    python -m benchmarks.ranking --experiment default --table bands --members 0 --steps 800 --json rankings.json
    python -m benchmarks.bands --rankings rankings.json

The tables that it reads by default come with the program; these commands made them, each with
`--space multipath --bands [14e6,21e6,36e6] --retrain.batch_size 16`:

    nasface table build --members 30 --seeds [0,1] --retrain.steps 1800
    nasface table build --members 14 --seeds [2] --retrain.steps 250 --folder short
    nasface table build --members 14 --seeds [2] --retrain.steps 600 --folder middle

Three tables are printed. How much the members of a band differ, beside the seeds of a member: the standard deviation
between members is without what their seeds add; and how well one seed foretells the other, which is the most that a
predictor of one training could. And how well each predictor orders a band's members: Kendall's tau with
their validation errors, the same after parameters are taken out of both by regression, the regret: by how much the
predictor's first choice is worse than the band's best, and what that choice comes to on test faces, beside the mean of
the band's members with its standard error, which is what a random choice comes to. Supernets' scores come from the
records of `benchmarks.ranking` on the same members (`--rankings FILE`). A short training is judged by the mean of the
yaw bins, as what it foretells is, and by its error over all faces, in which the few profiles weigh less. It has to
foretell trainings of other seeds than its own: first weights and batches of one seed have much in common. Where the
table has no other, its name says `same seed`. The learnt
predictor is a ridge regression on counts and all short trainings; each member is foretold from the others of its band.
The third table replays searches of two rounds, of which the last is of longer trainings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Option, parse, run_benchmark
from benchmarks.rank_correlation import kendall
from nasface.report.tables import NOTHING, text_table
from nasface.tabular.bands import band_of
from nasface.tabular.table import SHORTER, MemberTable, load_table
from nasface.utils.errors import UserError
from nasface.utils.files import write_json
from nasface.utils.reading import read_json

Scores = Mapping[str, float]
"""Digest -> what a predictor says; lower is better."""
BEGIN, GO_ON, CHOICES = (4, 8, 12), 2, 2000
"""Members that replayed searches begin with; so many go on to the last round; random choices of members."""
RIDGE = 1.0
"""Weight of the learnt predictor's penalty, its features having unit variance."""
LEAST = 5
"""Members of a band that an order is worth telling of."""
OPTIONS = (
    Option("table", str, "bands", ".parquet file of `nasface table build`; `bands` and `table` come with the program"),
    Option("shorter", str, [], "tables of the same members after shorter trainings; those that come with `bands`"),
    Option("rankings", str, [], "JSON files of `benchmarks.ranking` on the table"),
)


def bands_of(table: MemberTable) -> dict[str, list[str]]:
    """Band in words -> digests of its members, cheapest first; one band of all where the table has no bands."""
    asked = table.settings.get("bands") or []
    found: dict[str, list[str]] = {f"{band / 1e6:g} M": [] for band in sorted(asked)} or {"all": []}
    for digest, trainings in table.by_member.items():
        band = band_of(trainings[0].macs, asked) if asked else None
        if band is not None or not asked:
            found["all" if band is None else f"{band / 1e6:g} M"].append(digest)
    return found


def spread(table: MemberTable, digests: Sequence[str]) -> tuple[float, float]:
    """Standard deviations of the validation error (%): between members, without what their seeds add to it (0 where
    that is all), and between the seeds of a member (NaN where all have one)."""
    groups = [[one.val[3] for one in table.by_member[digest]] for digest in digests]
    between = float(np.var([np.mean(group) for group in groups], ddof=1))
    several = [np.var(group, ddof=1) for group in groups if len(group) > 1]
    if not several:
        return math.sqrt(between), math.nan
    seeds = float(np.mean(several))
    share = float(np.mean([1 / len(group) for group in groups]))
    return math.sqrt(max(0.0, between - seeds * share)), math.sqrt(seeds)


def predictors(
    table: MemberTable, shorter: Mapping[str, MemberTable], rankings: Mapping[str, Scores]
) -> dict[str, Scores]:
    """Every predictor by its name. Counts predict that more is better."""
    first = {digest: trainings[0] for digest, trainings in table.by_member.items()}
    found: dict[str, Scores] = {
        "parameters": {digest: -one.parameters for digest, one in first.items()},
        "multiply-adds": {digest: -one.macs for digest, one in first.items()},
        "HPM blocks": {digest: -one.code.count("2") for digest, one in first.items()},
        "connections": {digest: one.code.count("0") for digest, one in first.items()},
    }
    for name, other in shorter.items():
        found |= {name: other.errors(), f"{name}, all faces": other.errors(over_all=True)}
    return found | dict(rankings)


def unseen(table: MemberTable, shorter: Iterable[MemberTable]) -> MemberTable | None:
    """The trainings of seeds that none of the shorter trainings has; None where there are none."""
    seeds = _seeds(table).difference(*map(_seeds, shorter))
    return _of_seeds(table, seeds) if seeds else None


def _seeds(table: MemberTable) -> set[int]:
    return {training.seed for training in table.trainings}


def learnt(table: MemberTable, digests: Sequence[str], shorter: Sequence[Scores]) -> Scores:
    """Errors that a ridge regression on counts and short trainings foretells, each from the other members."""
    known = [digest for digest in digests if all(digest in scores for scores in shorter)]
    if len(known) < LEAST:
        return {}
    counts = predictors(table, {}, {}).values()
    features = np.array([[scores[digest] for scores in (*counts, *shorter)] for digest in known], dtype=float)
    features = (features - features.mean(0)) / np.where(features.std(0) > 0, features.std(0), 1)
    every = table.errors()
    errors = np.array([every[digest] for digest in known])
    found = {}
    for place, digest in enumerate(known):
        others = np.arange(len(known)) != place
        level = errors[others].mean()
        among = features[others]
        matrix = among.T @ among + RIDGE * np.eye(features.shape[1])
        weights = np.linalg.solve(matrix, among.T @ (errors[others] - level))
        found[digest] = float(level + features[place] @ weights)
    return found


def residuals(values: np.ndarray, cause: np.ndarray) -> np.ndarray:
    """What a straight line through `cause` leaves of `values`."""
    if not np.ptp(cause):
        return values - values.mean()
    slope, level = np.polyfit(cause / np.abs(cause).max(), values, 1)
    return values - slope * cause / np.abs(cause).max() - level


def judged(table: MemberTable, scores: Scores, digests: Sequence[str]) -> dict[str, float] | None:
    """A predictor on a band's members that it knows; None where they are too few."""
    known = [digest for digest in digests if digest in scores]
    if len(known) < LEAST:
        return None
    every = table.errors()
    errors = np.array([every[digest] for digest in known])
    test = np.array([table.errors("test")[digest] for digest in known])
    values = np.array([scores[digest] for digest in known], dtype=float)
    parameters = np.array([table.by_member[digest][0].parameters for digest in known], dtype=float)
    best = np.flatnonzero(values == values.min())
    return {
        "members": len(known),
        "tau": kendall(values, errors),
        "beyond": kendall(np.round(residuals(values, parameters), 9), residuals(errors, parameters)),
        "regret": float(errors[best].mean() - errors.min()),
        "test": float(test[best].mean()),
        "test_random": float(test.mean()),
        "test_error": float(test.std(ddof=1) / math.sqrt(len(test))),
    }


def rankings_of(path: Path, table: MemberTable) -> dict[str, Scores]:
    """The supernets' scores in a record of `benchmarks.ranking`: the mean over the seeds of each way.

    Raises:
        UserError: the record is of another table's members, or none at all.
    """
    mend = "make it by `python -m benchmarks.ranking --table FILE`"
    record = read_json(path, mend)
    members = {one["hash"] for ranking in record.get("rankings", []) for one in ranking["members"]}
    if not members or not members <= set(table.by_member):
        raise UserError(f"{path} is no ranking of this table's members: {mend}")
    sums: dict[str, dict[str, list[float]]] = {}
    for one in record["rankings"]:
        of = sums.setdefault(f"supernet, {one['sampler']}, {one['steps']} steps, {one['batch_norm']}", {})
        for member in one["members"]:
            of.setdefault(member["hash"], []).append(member["supernet"])
    return {name: {digest: float(np.mean(values)) for digest, values in of.items()} for name, of in sums.items()}


def spread_table(table: MemberTable, bands: Mapping[str, Sequence[str]]) -> str:
    """How much members differ, band by band."""
    body = []
    for band, digests in bands.items():
        if len(digests) < 2:
            continue
        errors = [table.errors()[digest] for digest in digests]
        between, seeds = spread(table, digests)
        of = (
            ["one seed", NOTHING]
            if math.isnan(seeds)
            else [f"{seeds:.3f}", f"{between / seeds:.2f}" if seeds else NOTHING]
        )
        own = tuple(one for digest in digests for one in table.by_member[digest])
        agreed = replace(table, trainings=own).agreement()
        of += [NOTHING if math.isnan(agreed) else f"{agreed:+.3f}"]
        body.append([band, str(len(digests)), f"{min(errors):.2f}", f"{np.median(errors):.2f}", f"{between:.3f}", *of])
    head = ["band", "members", "best", "median", "sd of members", "sd of seeds", "ratio", "tau of two seeds"]
    return text_table(head, body)


def predictor_table(results: Sequence[Mapping[str, Any]]) -> str:
    """A line for every predictor and band."""
    body = [
        [
            one["predictor"],
            one["band"],
            str(one["members"]),
            f"{one['tau']:+.3f}",
            NOTHING if one["predictor"] == "parameters" else f"{one['beyond']:+.3f}",
            f"{one['regret']:.3f}",
            f"{one['test']:.2f}",
            f"{one['test_random']:.2f} ± {one['test_error']:.2f}",
        ]
        for one in results
    ]
    header = ["predictor", "band", "members", "tau", "tau beyond parameters", "regret", "test NME", "of all"]
    return text_table(header, body)


def halved(tests: Scores, rounds: Sequence[Scores], digests: Sequence[str], begin: int) -> float:
    """Test error (%) of what a search in rounds finds, the mean over choices of `begin` of the members (all of them, or
    `CHOICES` random ones): the best `GO_ON` of each round go on but after the last, whose best is found."""
    found = []
    for chosen in _choices(digests, begin):
        left = list(chosen)
        for scores in rounds[:-1]:
            left = sorted(left, key=scores.__getitem__)[:GO_ON]
        found.append(tests[min(left, key=rounds[-1].__getitem__)])
    return float(np.mean(found))


def _choices(digests: Sequence[str], begin: int) -> Iterable[Sequence[str]]:
    if math.comb(len(digests), begin) <= CHOICES:
        return itertools.combinations(digests, begin)
    rng = np.random.default_rng(begin)
    return (list(rng.choice(digests, begin, replace=False)) for _ in range(CHOICES))


def halving_table(
    table: MemberTable, bands: Mapping[str, Sequence[str]], shorter: Mapping[str, MemberTable]
) -> str | None:
    """Test error (%) of what two rounds find, replayed in each band, beside a random choice."""
    body, tests = [], table.errors("test")
    for first, last, replays in _two_rounds(table, shorter):
        for band, every in bands.items():
            digests = [digest for digest in every if all(digest in scores for scores in replays[0][0])]
            if len(digests) < max(BEGIN):
                continue
            found = [np.mean([halved(told, rounds, digests, begin) for rounds, told in replays]) for begin in BEGIN]
            mean = np.mean([tests[digest] for digest in digests])
            body.append([first, last, band, *(f"{error:.2f}" for error in found), f"{mean:.2f}"])
    head = ["first", "last", "band", *(f"best of {begin}" for begin in BEGIN), "random choice"]
    return text_table(head, body) if body else None


def _two_rounds(
    table: MemberTable, shorter: Mapping[str, MemberTable]
) -> Iterator[tuple[str, str, list[tuple[list[Scores], Scores]]]]:
    """What each of two rounds trains, and the replays: both rounds' errors, and the test errors of what is found. The
    last round is a longer one of the short trainings, or a whole training of one seed; the test is of seeds that
    neither round has, where there are such."""
    for (first, one), (last, other) in itertools.combinations(shorter.items(), 2):
        yield first, last, [([one.errors(), other.errors()], (unseen(table, [one, other]) or table).errors("test"))]
    seeds = _seeds(table)
    for first, one in shorter.items():
        told = [(seed, seeds - {seed} - _seeds(one)) for seed in sorted(seeds)]
        if not any(others for _, others in told):
            told = [(seed, seeds - {seed}) for seed in sorted(seeds)]
        replays = [
            ([one.errors(), _of_seeds(table, {seed}).errors()], _of_seeds(table, others).errors("test"))
            for seed, others in told
            if others
        ]
        if replays:
            yield first, "whole training, one seed", replays


def _of_seeds(table: MemberTable, seeds: Collection[int]) -> MemberTable:
    return replace(table, trainings=tuple(one for one in table.trainings if one.seed in seeds))


def main(arguments: Sequence[str]) -> None:
    """Read the tables, judge, print, write."""
    parsed = parse(__doc__.splitlines()[0], OPTIONS, arguments, "bands")
    own = parsed.own
    table = load_table(own["table"])
    shorter: dict[str, MemberTable] = {}
    truth: dict[str, MemberTable] = {}  # what a predictor has to foretell, where that is not the whole table
    for path in own["shorter"] or (SHORTER if own["table"] == "bands" else ()):
        other = load_table(path)
        retrain = other.settings["retrain"]
        name, others = f"training of {retrain['steps']} steps of {retrain['batch_size']}", unseen(table, [other])
        name += "" if others else ", same seed"
        shorter[name], truth[name], truth[f"{name}, all faces"] = other, others or table, others or table
    rankings: dict[str, Scores] = {}
    for path in own["rankings"]:
        rankings |= rankings_of(Path(path), table)
    bands = bands_of(table)
    known = predictors(table, shorter, rankings)
    if shorter:
        trained, told = [known[name] for name in shorter], unseen(table, shorter.values())
        truth["learnt"] = told or table
        known["learnt"] = {
            digest: error
            for digests in bands.values()
            for digest, error in learnt(truth["learnt"], digests, trained).items()
        }
    results = []
    for name, scores in known.items():
        for band, digests in bands.items():
            if found := judged(truth.get(name, table), scores, digests):
                results.append({"predictor": name, "band": band, **found})
    print(f"NME (%) on validation faces\n\n{spread_table(table, bands)}\n\n{predictor_table(results)}")
    if halvings := halving_table(table, bands, shorter):
        print(f"\nthe best {GO_ON} of the first round go on to the last; NME (%) on test faces\n\n{halvings}")
    path = own["json"]
    write_json(path, {"table": table.fingerprint, "predictors": results})
    print(f"\nfigures  {path}")


if __name__ == "__main__":
    run_benchmark(main)
