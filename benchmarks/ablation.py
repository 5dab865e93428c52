"""What the path sampler and the search strategy are each worth: {uniform, MNUS} x {random search, SAMOS}, and one draw.

    python -m benchmarks.ablation [--experiment ablation_cpu] [--seeds 0 1 2] [--workers 2]

For every seed, both samplers train a supernet for the same steps; on each, SAMOS searches with the experiment's
iterations, and random search evaluates as many members as SAMOS did. The winners and one uniform draw from the space
are trained from scratch, all alike, and tested. The table has the form of the MONAS paper's Table IV. Beside it: the
time in which each sampler's supernet reached the same mean NME of random members. All stages are kept in
RUNS/benchmarks/ablation/; a killed ablation goes on where it was. With several workers each is a process with one
thread, and costs are of one thread.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

import nasface
from benchmarks.common import Option, described, parse, run_benchmark, with_settings_of
from nasface.config import Experiment, SearchConfig, experiment_file
from nasface.evaluation.supernet import make_evaluator
from nasface.nets.multipath import MemberSpec, Supernet
from nasface.nets.weights import save_weights
from nasface.pipelines import compare as comparison
from nasface.pipelines.compare import Entry
from nasface.pipelines.scoring import make_search_strategy
from nasface.pipelines.search import search_supernet
from nasface.pipelines.supernet import load_trained_supernet, make_sampler, train_supernet
from nasface.pipelines.workers import run_side_by_side
from nasface.pipelines.workspace import Workspace, prepare
from nasface.report.tables import NMERow, duration, spread, text_table
from nasface.runs.run import Run
from nasface.search.strategy import Proposal
from nasface.space.catalogue import load_space
from nasface.space.space import Architecture
from nasface.training.fit import TrainingClock
from nasface.training.supernet import SupernetTask
from nasface.utils.errors import UserError
from nasface.utils.files import write_json

SAMPLERS = ("uniform", "mnus")
STRATEGIES = ("samos", "random")
"""SAMOS first: it says how many members random search evaluates."""
ROWS = {
    ("uniform", "random"): "uniform paths, random search (baseline)",
    ("uniform", "samos"): "uniform paths, SAMOS (w/o MNUS)",
    ("mnus", "random"): "MNUS, random search (w/o SAMOS)",
    ("mnus", "samos"): "MNUS, SAMOS (MONAS)",
    ("none", "draw"): "one random draw, no search",
}
SNAPSHOTS = 8
"""Points of a supernet's training at which its members are scored."""
OPTIONS = (
    Option("seeds", int, [0, 1, 2], "of everything: supernet, search and retraining"),
    Option("children", int, 30, "random members whose mean NME says how far a supernet is"),
    Option("workers", int, 1, "processes side by side, each with one thread"),
)


# Stages --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Supernets:
    """The first half: one supernet and the searches on it.

    Attributes:
        sampler: of its paths.
        seed: of everything.
        children: members of the curve.
    """

    sampler: str
    seed: int
    children: int

    @property
    def label(self) -> str:
        return f"supernet by {self.sampler}, seed {self.seed}"

    def outcome(self, record: dict[str, Any]) -> str:
        """What a bystander is told."""
        found = ", ".join(f"{one['strategy']} {one['penalty']:.2f} %" for one in record["searches"])
        return f"{duration(record['supernet_s'])} of training; least NME on validation faces: {found}"


@dataclass(frozen=True)
class Training:
    """The second half: one network that a search found.

    Attributes:
        label: for the user.
        architecture: the network.
        seed: of its training.
    """

    label: str
    architecture: Architecture
    seed: int

    def outcome(self, record: dict[str, Any]) -> str:
        """What a bystander is told."""
        return f"NME {record['row']['mean']:.2f} %"


class Snapshots(pl.Callback):
    """Keeps the supernet's weights at some steps, and the seconds of training until then."""

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: SupernetTask, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = pl_module.steps_done
        path = self.folder / f"step_{step:06d}.pt"
        if step % self.every or path.exists():
            return
        clock = next(one for one in trainer.callbacks if isinstance(one, TrainingClock))
        seconds = clock.state_dict()["seconds"]
        save_weights(path, pl_module.network)
        write_json(path.with_suffix(".json"), {"step": step, "seconds": seconds})


def train_and_search(workspace: Workspace, job: Supernets, folder: Path) -> dict[str, Any]:
    """Train a supernet, follow its members' mean NME, search it with both strategies; the record is kept."""
    experiment = of_job(workspace.experiment, job.seed, job.sampler)
    workspace = replace(workspace, experiment=experiment)
    run = Run(folder / f"{job.sampler}-seed{job.seed}")
    done = run.read_summary().get("ablation")
    if done is not None:
        return done
    run.path("snapshots").mkdir(parents=True, exist_ok=True)
    every = max(1, experiment.supernet.steps // SNAPSHOTS)
    supernet = train_supernet(workspace, run, [Snapshots(run.path("snapshots"), every)])
    record: dict[str, Any] = {"sampler": job.sampler, "seed": job.seed, "searches": []}
    record["supernet_s"] = run.read_summary()["costs"]["supernet_s"]
    record["curve"] = learning_curve(workspace, run.path("snapshots"), job.children)
    evaluations = None
    for strategy in STRATEGIES:
        found = search_with(workspace, supernet, strategy, evaluations, Run(run.path(strategy)))
        evaluations = found["evaluations"]
        record["searches"].append(found)
    run.update_summary(ablation=record)
    return record


def of_job(experiment: Experiment, seed: int, sampler: str) -> Experiment:
    supernet = replace(experiment.supernet, sampler=sampler)
    return replace(experiment, seed=seed, supernet=supernet, log=replace(experiment.log, wandb="off"))


def of_strategy(config: SearchConfig, strategy: str) -> SearchConfig:
    """The settings of a search with that strategy; its own ones are left to the experiment's."""
    own = config.settings if strategy == config.strategy else {}
    return replace(config, strategy=strategy, settings=own, storage="")


def search_with(
    workspace: Workspace, supernet: Supernet, strategy: str, evaluations: int | None, run: Run
) -> dict[str, Any]:
    """One search; with `evaluations`, of exactly so many members."""
    config = of_strategy(workspace.experiment.search, strategy)
    if evaluations is not None:
        config = replace(config, iterations=max(1, evaluations - 1))
    experiment = replace(workspace.experiment, search=config)
    run.path().mkdir(parents=True, exist_ok=True)
    result = search_supernet(replace(workspace, experiment=experiment), supernet, run, resume=True)
    costs = run.read_summary()["costs"]
    return {
        "strategy": strategy,
        "code": list(result.best.codes),
        "digest": result.best.digest,
        "penalty": result.penalty,
        "evaluations": len(result.evaluations),
        "search_s": costs["search_s"] + costs["calibration_s"],
    }


def learning_curve(workspace: Workspace, folder: Path, count: int) -> list[dict[str, float]]:
    """Mean NME (%) of the same random members at every snapshot: [{step, seconds, nme}, ...]."""
    space, curve = workspace.space, []
    rng = np.random.default_rng([workspace.experiment.data.seed, 0xC4])
    members = [space.random_architecture(rng) for _ in range(count)]
    for path in sorted(folder.glob("step_*.pt")):
        supernet = load_trained_supernet(path, space, workspace.experiment)
        evaluate = make_evaluator(supernet, workspace.uv, workspace.faces, workspace.experiment)
        nme = statistics.fmean(evaluate(Proposal(member)).penalty for member in members)
        curve.append({**json.loads(path.with_suffix(".json").read_text(encoding="utf-8")), "nme": nme})
    return curve


def train_network(workspace: Workspace, job: Training, folder: Path) -> dict[str, Any]:
    """Train and test one network from scratch; the row is kept."""
    experiment = replace(workspace.experiment, log=replace(workspace.experiment.log, wandb="off"))
    spec = MemberSpec(job.architecture, experiment.network)
    place = folder / "networks" / f"{job.architecture.digest}-seed{job.seed}"
    training = comparison.Training(Entry(job.label, spec, experiment), job.seed, place)
    row = training.result() or training.train(workspace)
    return {"digest": job.architecture.digest, "seed": job.seed, "row": asdict(row)}


# Side by side --------------------------------------------------------------------------------------------------------


def run_all(workspace: Workspace, jobs: Sequence[Supernets | Training], workers: int) -> list[dict[str, Any]]:
    """Records of all jobs, in no particular order: made in this process, or in several with one thread each."""
    records = []
    for job, record in _ended(workspace, jobs, workers):
        records.append(record)
        print(f"{len(records)}/{len(jobs)}  {job.label}: {job.outcome(record)}", file=sys.stderr, flush=True)
    return records


def _ended(
    workspace: Workspace, jobs: Sequence[Supernets | Training], workers: int
) -> Iterator[tuple[Supernets | Training, dict[str, Any]]]:
    """Every job as it ends."""
    if workers == 1:
        yield from ((job, run_job(workspace, job)) for job in jobs)
        return
    single = replace(workspace.experiment, device=replace(workspace.experiment.device, threads=1))
    folder = folder_of(workspace.experiment)
    for job, future in run_side_by_side(single, workspace.space, folder, workers, run_job, jobs):
        yield job, future.result()


def run_job(workspace: Workspace, job: Supernets | Training) -> dict[str, Any]:
    folder = folder_of(workspace.experiment)
    if isinstance(job, Supernets):
        return train_and_search(workspace, job, folder)
    return train_network(workspace, job, folder)


# Report --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A line of the table, over the seeds.

    Attributes:
        name: of the method.
        rows: of the retrained winners.
        supernet_s: seconds of supernet training.
        search_s: seconds of search.
        evaluations: members evaluated.
    """

    name: str
    rows: tuple[NMERow, ...]
    supernet_s: tuple[float, ...]
    search_s: tuple[float, ...]
    evaluations: tuple[int, ...]


def make_lines(
    searches: Sequence[dict[str, Any]], draws: dict[int, str], rows: dict[tuple[str, int], NMERow]
) -> list[Line]:
    """The five lines.

    Args:
        searches: records of `train_and_search`.
        draws: seed -> digest of the draw.
        rows: (digest, seed) -> row of the retrained network.
    """
    lines = []
    for (sampler, strategy), name in ROWS.items():
        if sampler == "none":
            zeros = (0.0,) * len(draws)
            own = tuple(rows[digest, seed] for seed, digest in draws.items())
            lines.append(Line(name, own, zeros, zeros, (0,) * len(draws)))
            continue
        records = sorted((one for one in searches if one["sampler"] == sampler), key=lambda one: one["seed"])
        found = [next(s for s in one["searches"] if s["strategy"] == strategy) for one in records]
        lines.append(
            Line(
                name,
                tuple(rows[s["digest"], one["seed"]] for s, one in zip(found, records, strict=True)),
                tuple(one["supernet_s"] for one in records),
                tuple(s["search_s"] for s in found),
                tuple(s["evaluations"] for s in found),
            )
        )
    return lines


def ablation_table(lines: Sequence[Line]) -> str:
    """Table IV: method, training cost, search cost, NME; mean ± sample standard deviation over the seeds."""
    body = [
        [
            line.name,
            duration(statistics.fmean(line.supernet_s)),
            duration(statistics.fmean(line.search_s)),
            f"{statistics.fmean(line.evaluations):.0f}",
            spread(row.mean for row in line.rows),
            " / ".join(f"{row.mean:.2f}" for row in line.rows),
        ]
        for line in lines
    ]
    return text_table(["method", "training cost", "search cost", "evaluations", "NME (%)", "each seed"], body)


def time_to(curve: Sequence[dict[str, float]], target: float) -> float | None:
    """Seconds of training until a curve is at `target` or below, linear between its points; None where it is not."""
    before: dict[str, float] | None = None
    for point in curve:
        if point["nme"] <= target:
            if before is None or before["nme"] == point["nme"]:
                return point["seconds"]
            share = (before["nme"] - target) / (before["nme"] - point["nme"])
            return before["seconds"] + share * (point["seconds"] - before["seconds"])
        before = point
    return None


def sampler_table(searches: Sequence[dict[str, Any]]) -> str:
    """For each seed, the seconds in which each sampler's supernet reached the mean NME that both reached."""
    body = []
    for seed in sorted({one["seed"] for one in searches}):
        curves = {one["sampler"]: one["curve"] for one in searches if one["seed"] == seed}
        target = max(min(point["nme"] for point in curve) for curve in curves.values())
        times = {sampler: time_to(curve, target) for sampler, curve in curves.items()}
        ends = " / ".join(f"{curves[sampler][-1]['nme']:.2f}" for sampler in SAMPLERS)
        body.append(
            [
                str(seed),
                f"{target:.2f}",
                *(duration(times[sampler]) for sampler in SAMPLERS),
                f"{times['uniform'] / times['mnus']:.2f}",
                ends,
            ]
        )
    header = ["seed", "mean NME (%)", *SAMPLERS, "uniform / mnus", "at the end"]
    return text_table(header, body)


def verdict(lines: Sequence[Line]) -> list[str]:
    """What each part is worth: differences of the winners' NME, of each seed the mean over the other part's two: those
    share supernets and seed, so that the seeds alone are independent."""
    by_key = dict(zip(ROWS, lines, strict=True))

    def means(*key: str) -> list[float]:
        return [row.mean for row in by_key[key].rows]

    pairs = {
        "MNUS instead of uniform paths": [(("mnus", s), ("uniform", s)) for s in STRATEGIES],
        "SAMOS instead of random search": [((s, "samos"), (s, "random")) for s in SAMPLERS],
        "MONAS instead of one random draw": [(("mnus", "samos"), ("none", "draw"))],
    }
    result = []
    for name, keys in pairs.items():
        pairs_of_seed = zip(*(zip(means(*new), means(*old), strict=True) for new, old in keys), strict=True)
        differences = [statistics.fmean(a - b for a, b in of) for of in pairs_of_seed]
        better = sum(value < 0 for value in differences)
        error = statistics.stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else float("nan")
        result.append(
            f"{name}: {statistics.fmean(differences):+.3f} ± {error:.3f} points of NME (mean ± standard error),"
            f" lower in {better} of {len(differences)} seeds"
        )
    return result


# The command ---------------------------------------------------------------------------------------------------------


def read_arguments(arguments: Sequence[str]) -> tuple[Experiment, dict[str, Any]]:
    """The experiment, `ablation_cpu` by default, and the benchmark's own values.

    Raises:
        UserError: a setting that cannot be.
    """
    rest = with_settings_of(arguments, lambda: experiment_file("ablation_cpu"))
    parsed = parse(__doc__.splitlines()[0], OPTIONS, rest, "ablation")
    own = parsed.own
    if not own["seeds"] or len(set(own["seeds"])) != len(own["seeds"]) or min(own["seeds"]) < 0:
        raise UserError(f"--seeds must be different whole numbers >= 0, not {own['seeds']}")
    for name in ("children", "workers"):
        if own[name] < 1:
            raise UserError(f"--{name} must be at least 1, not {own[name]}")
    return parsed.experiment, own


def folder_of(experiment: Experiment) -> Path:
    """Of an ablation's stages: other settings, another folder."""
    names = ("space", "data", "network", "supernet", "search", "retrain")
    settings = [nasface.__version__, {name: asdict(experiment)[name] for name in names}]
    settings[1]["data"].pop("cache")
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    return Path(experiment.runs, "benchmarks", "ablation", f"{experiment.name}-{digest}")


def main(arguments: Sequence[str]) -> int:
    experiment, own = read_arguments(arguments)
    space, seeds, folder = load_space(experiment.space), own["seeds"], folder_of(experiment)
    experiment.network.check(space.scales, space.name)
    for sampler in SAMPLERS:
        make_sampler(of_job(experiment, 0, sampler), space)
    for strategy in STRATEGIES:
        make_search_strategy(replace(experiment, search=of_strategy(experiment.search, strategy)), space)
    draws = {seed: space.random_architecture(np.random.default_rng([seed, 3])) for seed in seeds}
    jobs = [Supernets(sampler, seed, own["children"]) for seed in seeds for sampler in SAMPLERS]
    print(f"{experiment.name}: {len(jobs)} supernets of {experiment.supernet.steps} steps, {2 * len(jobs)} searches")
    print(f"stages in {folder}; the same command goes on with what is missing")
    workspace = prepare(experiment, space)
    searches = run_all(workspace, jobs, own["workers"])
    winners = {(draw.digest, seed): Training(f"draw, seed {seed}", draw, seed) for seed, draw in draws.items()}
    for one in searches:
        for found in one["searches"]:
            label = f"{one['sampler']} + {found['strategy']}, seed {one['seed']}"
            member = Architecture(space, tuple(found["code"]))
            winners.setdefault((found["digest"], one["seed"]), Training(label, member, one["seed"]))
    trained = run_all(workspace, list(winners.values()), own["workers"])
    rows = {(one["digest"], one["seed"]): _row(one["row"]) for one in trained}
    lines = make_lines(searches, {seed: draw.digest for seed, draw in draws.items()}, rows)
    print(f"\nNME (%) of the retrained networks on the test faces, mean of the yaw bins, seeds {seeds}\n")
    print(f"{ablation_table(lines)}\n\n" + "\n".join(verdict(lines)))
    print(f"\ntraining until {own['children']} random members reach the same mean NME\n\n{sampler_table(searches)}\n")
    output = own["json"]
    write_json(
        output,
        {
            "lines": [asdict(line) for line in lines],
            "verdict": verdict(lines),
            "searches": searches,
            "experiment": described(experiment),
        },
    )
    print(f"figures  {output}")
    return 0


def _row(values: dict[str, Any]) -> NMERow:
    return NMERow(**(values | {"bins": tuple(values["bins"])}))


if __name__ == "__main__":
    run_benchmark(main, goes_on=True)
