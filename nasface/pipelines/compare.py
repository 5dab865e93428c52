"""Several networks trained and tested alike: one data set, budget, protocol and set of seeds for every row."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nasface.config import EXPERIMENTS, Experiment, experiment_of
from nasface.nets.cost import cpu_latency
from nasface.nets.network import NetworkSpec
from nasface.nets.weights import load_network
from nasface.pipelines.architectures import resolve_network
from nasface.pipelines.retrain import retrain
from nasface.pipelines.workers import train_side_by_side
from nasface.pipelines.workspace import Workspace
from nasface.report.tables import NMERow
from nasface.runs.run import Run
from nasface.tracking.artifacts import parents_of
from nasface.utils.errors import UserError, nearest
from nasface.utils.files import write_json
from nasface.utils.progress import stage_bar
from nasface.utils.reading import read_json
from nasface.utils.yaml_files import load_yaml

_OWN = ("retrain", "volume", "heatmap", "parameters")
"""Sections of the settings that a row may change; faces, sizes and device are common to all."""


@dataclass(frozen=True)
class Entry:
    """A network to compare.

    Attributes:
        name: of its row.
        spec: the network.
        experiment: the comparison's settings, with the sizes that the network was searched at and the row's own
            settings.
        own: those that the row changes: as they were written, and the sizes that its network was found at where the
            comparison has others.
        arch: what `--arch` would name the network by.
    """

    name: str
    spec: NetworkSpec
    experiment: Experiment
    own: tuple[str, ...] = ()
    arch: str = ""

    @cached_property
    def digest(self) -> str:
        """Tells its trainings from those of other rows; good for a file's name."""
        if not self.own:
            return self.spec.digest
        return f"{self.spec.digest}-{hashlib.sha256(json.dumps(sorted(self.own)).encode()).hexdigest()[:8]}"

    @cached_property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        return self.spec.cost()[1]


def read_entries(experiment: Experiment) -> list[Entry]:
    """The networks that an experiment compares; the searched one only where a search has written it.

    Raises:
        UserError: an unknown network or setting, one or a seed twice, a scale that is no number, or other input or map
            sizes.
    """
    seeds = experiment.compare.seeds
    if not seeds or len(set(seeds)) != len(seeds):
        raise UserError(f"compare.seeds must name at least one seed, and none twice, not {seeds}")
    absent = absent_search(experiment)
    entries = [_read_entry(experiment, text) for text in names_of(experiment) if text != absent]
    entries = _join_searched(entries, experiment.output)
    names = [entry.name for entry in entries]
    if not names:
        raise UserError("compare.networks must name at least one network, such as [hrnet]")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(
            f"compare.networks has several rows {twice[0]!r}: leave one out, or give it a name, as in"
            " 'best_1.json as other'"
        )
    if len({entry.digest for entry in entries}) != len(entries):
        raise UserError("compare.networks must name no network twice with the same settings")
    for entry in entries:
        for size in ("input_size", "map_size"):
            own, common = getattr(entry.experiment.network, size), getattr(experiment.network, size)
            if own != common:
                raise UserError(f"{entry.name} is of network.{size} {own}, the others of {common}: leave it out")
    return entries


def _join_searched(entries: Sequence[Entry], output: str) -> list[Entry]:
    """Join the searched network's row with that of its twin: a search may find a hand-made network."""
    for searched in entries:
        twin = next((one for one in entries if one is not searched and one.digest == searched.digest), None)
        if searched.arch == output and twin is not None:
            joined = replace(searched, name=f"{searched.name} = {twin.name}")
            return [joined if one is searched else one for one in entries if one is not twin]
    return list(entries)


def absent_search(experiment: Experiment) -> str | None:
    """The file of the searched network, where it is among those to compare and is not written yet."""
    file = experiment.output
    return file if file in names_of(experiment) and not Path(file).exists() else None


def names_of(experiment: Experiment) -> list[str]:
    """`compare.networks`, with the content of a list in the place of its name."""
    texts: list[str] = []
    for text in experiment.compare.networks:
        texts += _read_list(text[1:]) if text.startswith("@") else [text]
    return texts


def _read_list(name: str) -> list[str]:
    folder = EXPERIMENTS / "lists"
    path = next((path for path in (folder / f"{name}.yaml", Path(name)) if name and path.is_file()), None)
    if path is None:
        known = sorted(f"@{path.stem}" for path in folder.glob("*.yaml"))
        raise UserError(
            f"compare.networks: unknown list @{name}: give one of {', '.join(known)}, or @ and a YAML file's path"
            + nearest(f"@{name}", known)
        )
    texts = load_yaml(path)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UserError(f"{path} must be a list of networks, a line `- hourglass2@0.25` for each")
    return texts


def _read_entry(experiment: Experiment, text: str) -> Entry:
    definition, named, label = text.partition(" as ")
    if named and not label.strip():
        raise UserError(f"compare.networks: {text!r} has no name behind its `as`: give one, or leave it out")
    try:
        network, *own = shlex.split(definition)
    except ValueError:
        raise UserError(f"compare.networks: {text!r} names no network: write it as hourglass2@0.25") from None
    experiment = _with_settings(experiment, own) if own else experiment
    arch, _, scale = network.partition("@")
    try:
        factor = float(scale or 1)
    except ValueError:
        raise UserError(f"compare.networks: the scale of {text!r} is no number: write it as hourglass2@0.25") from None
    common = asdict(experiment.network)
    experiment, spec, name = resolve_network(experiment, arch, factor)
    found = [f"network.{key}={value}" for key, value in asdict(experiment.network).items() if value != common[key]]
    if spec.architecture is None:
        name = text
    elif scale:
        raise UserError(f"compare.networks: {arch} takes no scale: give network.width for members of a space")
    else:
        name = " ".join((name, *own))
    return Entry(label.strip() or name, spec, experiment, (*own, *found), arch)


def _with_settings(experiment: Experiment, assignments: Sequence[str]) -> Experiment:
    """The experiment with `section.name=value` of a row.

    Raises:
        UserError: one is no such setting, or not of its type.
    """
    settings = asdict(experiment)
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        *sections, last = name.split(".")
        place: Any = settings
        for section in sections:
            place = place.get(section) if isinstance(place, dict) else None
        if (
            not equals
            or sections[:1] not in [[own] for own in _OWN]
            or not isinstance(place, dict)
            or last not in place
        ):
            raise UserError(
                f"compare.networks: {assignment!r} is no setting of a row: give {'.*, '.join(_OWN)}.* as name=value"
            )
        place[last] = value
    try:
        return experiment_of(settings)
    except UserError as error:
        raise UserError(f"compare.networks: {' '.join(assignments)}: {error}") from None


@dataclass(frozen=True)
class Training:
    """One row's training with one seed, and the run's folder that keeps it."""

    entry: Entry
    seed: int
    folder: Path

    def result(self) -> NMERow | None:
        """What came out, or None where it is not finished."""
        result = Run(self.folder).read_summary().get("result")
        if result is None:
            return None
        return NMERow(**{**result, "name": self.entry.name, "bins": tuple(result["bins"])})

    def train(self, workspace: Workspace) -> NMERow:
        """Train and test it, or go on where it was."""
        seeded = replace(self.entry.experiment, seed=self.seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        own = replace(workspace, experiment=seeded)
        entry, parents = self.entry, parents_of(self.entry.arch)
        row = retrain(own, entry.spec, Run(self.folder), label=entry.name, parents=parents).row
        # Its checkpoint is only for a training that was cut short.
        shutil.rmtree(self.folder / "retrain", ignore_errors=True)
        return row


def compare(workspace: Workspace, entries: Sequence[Entry], run: Run, workers: int = 1) -> list[list[NMERow]]:
    """Train and test every network with every seed; what is done already is kept. One list of rows per network, one row
    per seed.

    A training that a UserError ends (numbers that are not finite) lets the others go on; its network has fewer rows, or
    is left out.

    Args:
        workspace: the common faces and targets.
        entries: the networks.
        run: keeps the trainings.
        workers: trainings side by side, each in a process of its own. With the same number of threads
            (`device.threads`) the rows are the same, whatever the number of workers.

    Raises:
        UserError: no training has ended well, or a worker was killed.
    """
    seeds = workspace.experiment.compare.seeds
    trainings = [
        [Training(entry, seed, run.path("networks", f"{entry.digest}-seed{seed}")) for seed in seeds]
        for entry in entries
    ]
    waiting = [one for seeds in trainings for one in seeds if one.result() is None]
    if workers > 1:  # the longest first, or one worker would be busy with it after the others have ended
        waiting.sort(key=lambda training: -training.entry.macs)
    total = len(entries) * len(seeds)
    trained = train_side_by_side(workspace.experiment, waiting, run.folder, workers, workspace)
    for number, (training, error) in enumerate(trained, total - len(waiting) + 1):
        row = training.result()
        said = str(error) if row is None else f"NME {row.mean:.2f} %, {row.train_s:.0f} s of training"
        print(f"{number}/{total}  {training.entry.name}, seed {training.seed}: {said}", file=sys.stderr, flush=True)
    ended = [done for seeds in trainings if (done := [one for one in seeds if one.result() is not None])]
    if not ended:
        raise UserError("none of the trainings ended well: see what each said above")
    latencies = _latencies([seeds[0] for seeds in ended], run.path("latencies.json"), anew=bool(waiting))
    return [
        [replace(row, latency_ms=latency) for one in seeds if (row := one.result()) is not None]
        for seeds, latency in zip(ended, latencies, strict=True)
    ]


def _latencies(trainings: Sequence[Training], file: Path, anew: bool) -> list[float]:
    """Milliseconds of one image through each trained network, measured one after another once the trainings have
    ended: what each measured itself had other trainings beside it. They are kept in `file`."""
    kept = {} if anew or not file.exists() else read_json(file, "delete it, and --resume measures again")
    if kept.keys() != {one.entry.digest for one in trainings}:
        kept = {}
        with stage_bar("measuring latencies", len(trainings)) as bar:
            for one in trainings:
                network = load_network(one.folder / "network.pt")
                kept[one.entry.digest] = cpu_latency(network, one.entry.experiment.network.input_size)
                bar.update()
        write_json(file, kept)
    return [kept[one.entry.digest] for one in trainings]
