"""The searched network against random members of its space with about the same multiply-adds, all trained alike.

    python -m benchmarks.searched_vs_random [--arch best.json] [--seeds 0 1 2] [--members 5] [--steps N] [--workers 2]

Settings are those of the search that found the architecture, unless `--experiment` or `--config` says otherwise; each
can be overridden (`--retrain.batch_size 16`). A finished training is kept as JSON in
RUNS/benchmarks/searched_vs_random/ and not repeated; a killed one goes on from its last checkpoint. With several
workers each is one process with one thread. All errors are on the test faces.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nasface
from benchmarks.common import SETTINGS, Option, described, parse, run_benchmark, take, with_settings_of
from nasface.config import Experiment, MultipathConfig, experiment_file
from nasface.evaluation.costs import Measure, MemberCosts
from nasface.nets.cost import cpu_latency
from nasface.nets.multipath import MemberSpec
from nasface.pipelines.architectures import resolve_network
from nasface.pipelines.retrain import retrain
from nasface.pipelines.workers import train_side_by_side
from nasface.pipelines.workspace import Workspace, prepare
from nasface.rendering.synthetic import RENDERER_VERSION
from nasface.report.tables import NMERow, text_table, yaw_table
from nasface.runs.run import Run
from nasface.space.catalogue import load_space
from nasface.space.neighbours import random_neighbour
from nasface.space.record import load_record
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError
from nasface.utils.files import write_json
from nasface.utils.progress import stage_bar

DRAWS = 5000
"""Uniform members that are drawn before the band is entered by a walk."""
WALK = 500
"""Steps of a walk inside the band."""
OPTIONS = (
    Option("arch", str, "best.json", "architecture that a search found"),
    Option("seeds", int, [0, 1, 2], "seeds of the trainings (initial weights, order, augmentation)"),
    Option("members", int, 5, "random members"),
    Option("tolerance", float, 0.05, "greatest relative difference of a random member's multiply-adds"),
    Option("steps", int | None, None, "optimizer steps of each training; those of the experiment where empty"),
    Option("workers", int, 1, "trainings side by side, each in a process with one thread"),
)


# Random members -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draw:
    """Random members and how they were come by.

    Attributes:
        members: all different, none the searched one.
        method: in words, for the report.
    """

    members: tuple[Architecture, ...]
    method: str


def draw_members(
    space: MultipathSpace,
    config: MultipathConfig,
    searched: Architecture,
    count: int,
    tolerance: float,
    seed: int,
    draws: int = DRAWS,
) -> Draw:
    """`count` random members whose multiply-adds are within `tolerance` of the searched one's.

    They are uniform among those members: uniform draws, of which the others are thrown away. Where `draws` of them give
    too few, the rest come from random walks over neighbours, which start at uniform members, go towards the band, and
    then make `WALK` steps within it; these are no longer exactly uniform, and `method` says so.

    Raises:
        UserError: the band cannot be reached.
    """
    rng = np.random.default_rng([seed, 0x5A])
    macs = MemberCosts(space, config).macs
    target = macs(searched)
    seen, members = {searched.digest}, []

    def inside(architecture: Architecture) -> bool:
        return abs(macs(architecture) - target) <= tolerance * target

    def keep(architecture: Architecture) -> None:
        if architecture.digest not in seen:
            seen.add(architecture.digest)
            members.append(architecture)

    drawn = 0
    while len(members) < count and drawn < draws:
        candidate = space.random_architecture(rng)
        drawn += 1
        if inside(candidate):
            keep(candidate)
    uniform = len(members)
    method = f"{uniform} uniform in the band ({drawn} uniform members drawn)"
    attempts = 0
    while len(members) < count:
        attempts += 1
        if attempts > 4 * count:
            raise UserError(
                f"found only {len(members)} of {count} members within {100 * tolerance:g} % of {target} multiply-adds:"
                " give a larger --tolerance or fewer --members"
            )
        candidate = _walk(space, macs, target, tolerance, rng)
        if candidate is not None:
            keep(candidate)
    if len(members) > uniform:
        method += f", {len(members) - uniform} by a random walk over neighbours into the band (not exactly uniform)"
    return Draw(tuple(members), method)


def _walk(
    space: MultipathSpace, macs: Measure, target: float, tolerance: float, rng: np.random.Generator
) -> Architecture | None:
    """A member in the band after a walk from a uniform one; None where the walk does not get there."""
    current, steps_inside = space.random_architecture(rng), 0
    for _ in range(20 * WALK):
        if steps_inside >= WALK:
            break
        candidate = random_neighbour(current, rng)
        # Outside the band only towards it, inside never out of it.
        if abs(macs(candidate) - target) <= max(tolerance * target, abs(macs(current) - target)):
            current = candidate
        steps_inside += abs(macs(current) - target) <= tolerance * target
    return current if abs(macs(current) - target) <= tolerance * target else None


# Trainings ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        label: of the network.
        architecture: to train.
        seed: of the training.
        folder: where its result and its checkpoints lie.
        key: of its files: network, seed and every setting that can change its result.
    """

    label: str
    architecture: Architecture
    seed: int
    folder: Path
    key: str

    @property
    def result(self) -> Path:
        return self.folder / f"{self.key}.json"

    def load(self) -> dict[str, Any] | None:
        """The recorded result, None where there is none yet.

        Raises:
            UserError: the file is damaged.
        """
        try:
            record = json.loads(self.result.read_text(encoding="utf-8"))
            _row(record)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.result} is damaged ({error}): delete it to train again") from None
        return record

    def train(self, workspace: Workspace) -> None:
        """Train and test the network, and record its result."""
        experiment = workspace.experiment
        seeded = replace(experiment, seed=self.seed, log=replace(experiment.log, wandb="off"))
        run = Run(self.folder / self.key)
        run.path().mkdir(parents=True, exist_ok=True)
        spec = MemberSpec(self.architecture, experiment.network)
        row = retrain(replace(workspace, experiment=seeded), spec, run, label=f"{self.label}, seed {self.seed}").row
        record = {
            "label": self.label,
            "digest": self.architecture.digest,
            "code": list(self.architecture.digits),
            "seed": self.seed,
            "seconds": row.train_s,
            "threads": torch.get_num_threads(),
            "row": asdict(row),
        }
        write_json(self.result, record)
        shutil.rmtree(run.folder, ignore_errors=True)  # its checkpoints, which only an unfinished training needs


def make_jobs(
    experiment: Experiment, networks: Sequence[tuple[str, Architecture]], seeds: Sequence[int], folder: Path
) -> list[Job]:
    """All trainings, one seed after the other."""
    return [
        Job(label, architecture, seed, folder, f"{architecture.digest}-{seed}-{_settings_hash(experiment)}")
        for seed in seeds
        for label, architecture in networks
    ]


def _settings_hash(experiment: Experiment) -> str:
    """Of what a training's result depends on, beside the network and the seed."""
    data = {key: value for key, value in asdict(experiment.data).items() if key != "cache"}
    settings = {
        "program": [nasface.__version__, RENDERER_VERSION],
        "data": data,
        "network": asdict(experiment.network),
        "retrain": asdict(experiment.retrain),
        "precision": experiment.device.precision,
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]


def run_jobs(experiment: Experiment, space: MultipathSpace, jobs: Sequence[Job], workers: int) -> None:
    """Train what is not on record yet.

    Raises:
        UserError: a training's numbers became infinite, or a worker was killed. What the others have done is kept.
    """
    waiting = [job for job in jobs if job.load() is None]
    print(f"{len(jobs)} trainings of {experiment.retrain.steps} steps, {len(jobs) - len(waiting)} of them on record")
    if not waiting:
        return
    workspace = prepare(experiment, space)  # with several workers too: the faces are made once, not by each
    if workers == 1:
        for job in waiting:
            job.train(workspace)
        return
    folder = waiting[0].folder
    settings = replace(experiment, device=replace(experiment.device, threads=1))
    with stage_bar("trainings", len(waiting)) as bar:
        for job, error in train_side_by_side(settings, waiting, folder, workers):
            if error is not None:
                raise error
            bar.update(1)
            record = job.load()
            bar.write(f"{job.label}, seed {job.seed}: {record['row']['mean']:.3f} % in {record['seconds']:.0f} s")


# Report ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """The searched network against the random ones under one seed; all NME in percent, mean of the bins.

    Attributes:
        seed: of the trainings.
        searched: its error.
        random: the random members' errors.
    """

    seed: int
    searched: float
    random: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.random)

    @property
    def deviation(self) -> float:
        return statistics.stdev(self.random) if len(self.random) > 1 else 0.0

    @property
    def difference(self) -> float:
        """Below zero where the searched network is better."""
        return self.searched - self.mean

    @property
    def beaten(self) -> int:
        return sum(self.searched < value for value in self.random)


def rows_by_network(records: Sequence[dict[str, Any]]) -> dict[str, list[NMERow]]:
    """Rows of each label over the seeds, in the order of the records."""
    rows: dict[str, list[NMERow]] = {}
    for record in records:
        rows.setdefault(record["label"], []).append(replace(_row(record), name=record["label"]))
    return rows


def _row(record: dict[str, Any]) -> NMERow:
    row = record["row"]
    return NMERow(**(row | {"bins": tuple(row["bins"])}))


def mean_rows(networks: Sequence[Sequence[NMERow]], name: str) -> list[NMERow]:
    """Per seed the mean row of several networks: what random sampling gives on the average."""
    result = []
    for rows in zip(*networks, strict=True):
        bins = tuple(float(np.nanmean(values)) for values in zip(*(_numbers(row.bins) for row in rows), strict=True))
        result.append(
            NMERow(
                name=name,
                bins=bins,
                mean=_mean(row.mean for row in rows),
                all=_mean(row.all for row in rows),
                parameters=_mean(row.parameters for row in rows),
                macs=_mean(row.macs for row in rows),
                latency_ms=_mean(row.latency_ms for row in rows),
            )
        )
    return result


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else float(value) for value in values]


def _mean(values: Iterator[float]) -> float:
    return statistics.fmean(values)


def compare(searched: Sequence[NMERow], random: Sequence[Sequence[NMERow]], seeds: Sequence[int]) -> list[Comparison]:
    return [
        Comparison(seed, searched[number].mean, tuple(rows[number].mean for rows in random))
        for number, seed in enumerate(seeds)
    ]


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """One line for each seed and one over the seeds."""
    body = [
        [
            str(item.seed),
            f"{item.searched:.3f}",
            f"{item.mean:.3f} ± {item.deviation:.3f}",
            f"{item.difference:+.3f}",
            f"{item.beaten} of {len(item.random)}",
        ]
        for item in comparisons
    ]
    if len(comparisons) > 1:
        differences = [item.difference for item in comparisons]
        body.append(
            [
                "all",
                f"{statistics.fmean(item.searched for item in comparisons):.3f}",
                f"{statistics.fmean(item.mean for item in comparisons):.3f}",
                f"{statistics.fmean(differences):+.3f} ± {statistics.stdev(differences):.3f}",
                f"{sum(item.beaten for item in comparisons)} of {sum(len(item.random) for item in comparisons)}",
            ]
        )
    return text_table(["seed", "searched", "random, mean ± sd", "difference", "beats"], body)


def verdict(comparisons: Sequence[Comparison]) -> str:
    difference = statistics.fmean(item.difference for item in comparisons)
    better = sum(item.difference < 0 for item in comparisons)
    word = "better" if difference < 0 else "worse"
    return (
        f"The searched network is {abs(difference):.3f} points of NME {word} than the mean of the random ones,"
        f" and better in {better} of {len(comparisons)} seeds."
    )


def with_latency(rows: dict[str, list[NMERow]], specs: dict[str, MemberSpec]) -> None:
    """Put latencies that are measured now, one after the other, into the rows: those of the trainings were taken
    beside other work."""
    for label, spec in specs.items():
        latency = cpu_latency(spec.build(), spec.input_size)
        rows[label] = [replace(row, latency_ms=latency) for row in rows[label]]


# The command ----------------------------------------------------------------------------------------------------------


def read_arguments(arguments: Sequence[str]) -> tuple[Experiment, dict[str, Any]]:
    """The experiment and the benchmark's own values.

    Raises:
        UserError: a setting that cannot be, or no trace of the architecture's experiment.
    """
    rest = list(arguments)
    arch = take(rest, "--arch")[0] or "best.json"
    rest = with_settings_of(rest, lambda: experiment_of(arch))
    parsed = parse(__doc__.splitlines()[0], OPTIONS, rest, "searched_vs_random")
    own, experiment = parsed.own, parsed.experiment
    if len(set(own["seeds"])) != len(own["seeds"]) or min(own["seeds"]) < 0:
        raise UserError(f"--seeds must be different whole numbers >= 0, not {own['seeds']}")
    for name in ("members", "workers"):
        if own[name] < 1:
            raise UserError(f"--{name} must be at least 1, not {own[name]}")
    if own["steps"] is not None:
        every = min(experiment.retrain.evaluate_every, own["steps"])
        experiment = replace(experiment, retrain=replace(experiment.retrain, steps=own["steps"], evaluate_every=every))
    return experiment, own


def experiment_of(arch: str) -> Path:
    """The settings of the search that found an architecture: its run's, else the experiment's that it names."""
    provenance = load_record(arch).provenance
    settings = Path(str(provenance.get("run", ""))) / SETTINGS
    return settings if settings.is_file() else experiment_file(str(provenance.get("experiment", "")))


def main(arguments: Sequence[str]) -> int:
    experiment, own = read_arguments(arguments)
    experiment, spec, _ = resolve_network(experiment, own["arch"])
    searched = spec.architecture
    space = load_space(experiment.space)
    if space.shape != searched.space.shape:
        raise UserError(f"{own['arch']} is not of {space.title}: give the experiment that it was searched in")
    experiment.network.check(space.scales, space.name)
    drawn = draw_members(space, experiment.network, searched, own["members"], own["tolerance"], experiment.seed)
    networks = [("searched", searched), *((f"random {n}", member) for n, member in enumerate(drawn.members, 1))]
    macs = MemberCosts(space, experiment.network).macs
    print(f"{own['arch']}: {searched.digest}, {macs(searched) / 1e6:.1f} M MACs, experiment {experiment.name}")
    print(f"random members within {100 * own['tolerance']:g} % of its MACs: {drawn.method}")
    folder = Path(experiment.runs, "benchmarks", "searched_vs_random")
    jobs = make_jobs(experiment, networks, own["seeds"], folder)
    run_jobs(experiment, space, jobs, own["workers"])
    # A result may have been recorded under another label, by an earlier run with other seeds or members.
    records = [job.load() | {"label": job.label} for job in jobs]
    rows = rows_by_network(records)
    with_latency(rows, {label: MemberSpec(architecture, experiment.network) for label, architecture in networks})
    random = [rows[label] for label, _ in networks[1:]]
    mean = mean_rows(random, "mean of the random")
    comparisons = compare(rows["searched"], random, own["seeds"])
    print(f"\nNME (%) by yaw on the test faces, mean ± sd over seeds {own['seeds']}\n")
    print(yaw_table([*rows.values(), mean]))
    print(f"\nmean NME (%) for each seed\n\n{comparison_table(comparisons)}\n\n{verdict(comparisons)}")
    output = own["json"]
    write_json(
        output,
        {
            "architecture": own["arch"],
            "members": drawn.method,
            "macs": {label: macs(architecture) for label, architecture in networks},
            "seeds": [
                asdict(item)
                | {"random_mean": item.mean, "random_sd": item.deviation, "difference": item.difference}
                | {"beaten": item.beaten}
                for item in comparisons
            ],
            "verdict": verdict(comparisons),
            "trainings": records,
            "experiment": described(experiment),
        },
    )
    print(f"figures  {output}")
    return 0


if __name__ == "__main__":
    run_benchmark(main, goes_on=True)
