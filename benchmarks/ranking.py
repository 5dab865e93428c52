"""How well supernets rank members, by sampler and length of training, against the table of members trained alone.

    python -m benchmarks.ranking [--steps 200 800 3200] [--samplers mnus uniform] [--supernet_seeds 0 1]

The default is the space of the tabular benchmark, whose members' own errors are on record; for another space, or other
sizes, `nasface table build --members 20` makes a table first: `--table FILE.parquet`. Every supernet is a run in
RUNS/benchmarks/ranking/ that is kept, and finished where it was killed; its members are scored twice: with batch norm
calibrated for each, as a search does, and with one set of statistics for all. Each folder gets a ranking.json, and
RUNS/benchmarks/ranking.json all of them.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

import nasface
from benchmarks.common import Option, described, parse, run_benchmark, with_settings_of
from benchmarks.rank_correlation import LEAST, Ranking, calibrated_scores, shared_scores
from nasface.config import Experiment, experiment_file, recorded_sizes
from nasface.evaluation.supernet import EvaluationFaces, face_images, make_evaluator
from nasface.pipelines.supernet import train_supernet
from nasface.pipelines.workspace import Workspace, prepare
from nasface.report.tables import text_table
from nasface.runs.run import Run
from nasface.space.space import Architecture
from nasface.tabular.table import SHIPPED, MemberTable, read_table
from nasface.utils.errors import UserError
from nasface.utils.files import write_json

WAYS = {"calibrated": "of the member", "shared": "shared by all"}
OPTIONS = (
    Option(
        "table", str, "table", "`table` or `bands`, which come with the program, or a file of `nasface table build`"
    ),
    Option("members", int, 100, "members to rank, drawn from the table; 0 for all"),
    Option("steps", int, [200, 800, 3200], "lengths of supernet training, in optimizer steps"),
    Option("samplers", str, ["mnus", "uniform"], "path samplers"),
    Option("supernet_seeds", int, [0, 1], "seeds of supernet trainings"),
)


def read_arguments(arguments: Sequence[str]) -> tuple[Experiment, Mapping[str, Any]]:
    """The experiment, `table` by default, and the benchmark's own values.

    Raises:
        UserError: a setting that cannot be.
    """
    rest = with_settings_of(arguments, lambda: experiment_file("table"))
    parsed = parse(__doc__.splitlines()[0], OPTIONS, rest, "ranking")
    own = parsed.own
    for name in ("steps", "samplers", "supernet_seeds"):
        if not own[name] or len(set(own[name])) < len(own[name]):
            raise UserError(f"--{name} must name at least one value, and none twice")
    if min(own["steps"]) < 1:
        raise UserError("--steps must be at least 1")
    if 0 < own["members"] < LEAST:
        raise UserError(f"--members must be at least {LEAST}, or 0 for all")
    return parsed.experiment, own


def matching_table(name: str, experiment: Experiment) -> MemberTable:
    """The table that `--table` names.

    Raises:
        UserError: there is none, or its networks are not of the experiment's sizes.
    """
    if name not in SHIPPED and not name.endswith(".parquet"):
        raise UserError(
            f"--table must be one of {', '.join(SHIPPED)} or a .parquet file of `nasface table build`, not {name!r}"
        )
    table = read_table(name)
    sizes = asdict(recorded_sizes(table.settings["network"]))
    mine = asdict(experiment.network)
    if differing := [f"--network.{key} {value}" for key, value in sizes.items() if mine[key] != value]:
        raise UserError(f"the table's networks are of other sizes: give {' '.join(differing)}, or their experiment")
    return table


def chosen_members(table: MemberTable, count: int) -> list[Architecture]:
    """So many members of a table, drawn once for all supernets; 0 for all of them.

    Raises:
        UserError: the table has too few.
    """
    digests = sorted(table.by_member)
    if len(digests) < LEAST:
        raise UserError(f"the table has {len(digests)} members, a ranking needs {LEAST}: build a larger one")
    order = np.random.default_rng(0x9A).permutation(len(digests))
    return [table.member(digests[place]) for place in order[: count or None]]


def rank(workspace: Workspace, table: MemberTable, members: Sequence[Architecture], run: Run) -> dict[str, Ranking]:
    """Train the run's supernet where that is not done, and rank the members both ways."""
    experiment, faces = workspace.experiment, workspace.faces
    run.path().mkdir(parents=True, exist_ok=True)
    supernet = train_supernet(workspace, run)
    errors = table.errors()
    calibration = faces.train.subset(range(min(experiment.search.calibration, len(faces.train))))
    images = face_images(calibration)
    validation = EvaluationFaces.of(faces.val)
    scores = {
        "calibrated": calibrated_scores(make_evaluator(supernet, workspace.uv, faces, experiment), members),
        "shared": shared_scores(supernet, workspace.uv, images, validation, members, experiment.seed),
    }
    digests = tuple(member.digest for member in members)
    alone = tuple(errors[digest] for digest in digests)
    return {way: Ranking(digests, tuple(values), alone) for way, values in scores.items()}


def run_name(experiment: Experiment, table: MemberTable) -> str:
    """Of a supernet's folder: sampler, steps, seed, and a hash of every setting that can change it."""
    config = experiment.supernet
    settings = [asdict(getattr(experiment, name)) for name in ("data", "network", "supernet")]
    digest = hashlib.sha256(json.dumps([nasface.__version__, settings], sort_keys=True).encode()).hexdigest()[:8]
    return f"{table.space.name}-{config.sampler}-{config.steps}-seed{experiment.seed}-{digest}"


def ranking_table(results: Sequence[Mapping[str, Any]]) -> str:
    """A line for every sampler, length and kind of statistics: mean over the supernets' seeds, each seed's tau."""
    groups: dict[tuple[str, int, str], list[Mapping[str, Any]]] = {}
    for one in results:
        groups.setdefault((one["sampler"], one["steps"], one["batch_norm"]), []).append(one)
    body = []
    for (sampler, steps, way), found in sorted(groups.items(), key=lambda item: (item[0][2], item[0][1], item[0][0])):
        taus = [one["kendall"] for one in found]
        lows, highs = zip(*(one["kendall_95"] for one in found), strict=True)
        body.append(
            [
                sampler,
                str(steps),
                WAYS[way],
                f"{statistics.fmean(taus):+.3f}",
                ", ".join(f"{tau:+.3f}" for tau in taus),
                f"{min(lows):+.2f} to {max(highs):+.2f}",
                f"{statistics.fmean(one['spearman'] for one in found):+.3f}",
                f"{statistics.fmean(one['supernet_mean'] for one in found):.2f}",
                f"{statistics.fmean(one['supernet_s'] for one in found):.0f} s",
            ]
        )
    header = [
        "sampler",
        "steps",
        "batch norm",
        "Kendall tau",
        "each seed",
        "95 % of members",
        "Spearman",
        "NME",
        "training",
    ]
    return text_table(header, body)


def answer(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """The shortest training from which on every seed's tau is above zero with 95 % certainty, for each sampler."""
    lines = []
    for sampler in dict.fromkeys(one["sampler"] for one in results):
        own = [one for one in results if one["sampler"] == sampler and one["batch_norm"] == "calibrated"]
        lengths = sorted({one["steps"] for one in own})
        good = [all(one["kendall_95"][0] > 0 for one in own if one["steps"] == steps) for steps in lengths]
        first = next((steps for place, steps in enumerate(lengths) if all(good[place:])), None)
        text = "at none of these lengths" if first is None else f"from {first} steps on"
        lines.append(f"{sampler}: tau is clearly above zero for every seed {text}")
    return lines


def main(arguments: Sequence[str]) -> int:
    experiment, own = read_arguments(arguments)
    table = matching_table(own["table"], experiment)
    members = chosen_members(table, own["members"])
    folder = Path(experiment.runs, "benchmarks", "ranking")
    workspace = prepare(experiment, table.space)
    print(f"{own['table']}: {len(members)} of {len(table.by_member)} members are ranked")
    results = []
    for steps in own["steps"]:
        for sampler in own["samplers"]:
            for seed in own["supernet_seeds"]:
                settings = replace(experiment.supernet, sampler=sampler, steps=steps)
                seeded = replace(experiment, seed=seed, supernet=settings, log=replace(experiment.log, wandb="off"))
                run = Run(folder / run_name(seeded, table))
                rankings = rank(replace(workspace, experiment=seeded), table, members, run)
                about = {"sampler": sampler, "steps": steps, "seed": seed}
                about["supernet_s"] = run.read_summary().get("costs", {}).get("supernet_s", 0.0)
                found = [
                    about | {"batch_norm": way, "supernet_mean": statistics.fmean(one.supernet)} | one.record()
                    for way, one in rankings.items()
                ]
                write_json(run.path("ranking.json"), found[0] | {"shared": found[1]})
                results += found
                print("  ".join(f"{key} {value}" for key, value in about.items()), f"tau {found[0]['kendall']:+.3f}")
    print(f"\nscores on the validation faces against errors after trainings of their own\n\n{ranking_table(results)}\n")
    print("\n".join(answer(results)))
    output = own["json"]
    write_json(output, {"table": table.fingerprint, "rankings": results, "experiment": described(experiment)})
    print(f"figures  {output}")
    return 0


if __name__ == "__main__":
    run_benchmark(main, goes_on=True)
