"""Several networks trained and tested alike: one data set, budget, protocol and set of seeds for every row."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from nasface.commands.architectures import fixed_network, is_fixed, resolve_architecture
from nasface.config import Experiment
from nasface.errors import UserError
from nasface.nets.fixed import NetworkSpec
from nasface.report.tables import NMERow
from nasface.runs import Run
from nasface.space.architecture import Architecture
from nasface.workflow import Workspace, retrain


@dataclass(frozen=True)
class Entry:
    """A network to compare.

    Attributes:
        name: of its row.
        architecture: the network.
        experiment: the comparison's settings, with the sizes that the network was searched at.
    """

    name: str
    architecture: Architecture | NetworkSpec
    experiment: Experiment


def read_entries(experiment: Experiment) -> list[Entry]:
    """The networks that an experiment compares.

    Raises:
        UserError: an unknown network, one twice, a scale that is no number, or other input or map sizes.
    """
    entries = [_read_entry(experiment, text) for text in experiment.compare.networks]
    names = [entry.name for entry in entries]
    if len(set(names)) != len(names) or not names:
        raise UserError("compare.networks must name at least one network, and none twice")
    for entry in entries:
        for size in ("input_size", "map_size"):
            own, common = getattr(entry.experiment.network, size), getattr(experiment.network, size)
            if own != common:
                raise UserError(f"{entry.name} is of network.{size} {own}, the others of {common}: leave it out")
    return entries


def _read_entry(experiment: Experiment, text: str) -> Entry:
    arch, _, scale = text.partition("@")
    try:
        factor = float(scale or 1)
    except ValueError:
        raise UserError(f"compare.networks: the scale of {text!r} is no number: write it as hourglass2@0.25") from None
    if is_fixed(arch):
        return Entry(text, fixed_network(experiment, arch, factor, "scratch"), experiment)
    if scale:
        raise UserError(f"compare.networks: {arch} takes no scale: give network.width for members of a space")
    experiment, architecture, name = resolve_architecture(experiment, arch)
    experiment.network.check(architecture.space)
    return Entry(name, architecture, experiment)


def compare(workspace: Workspace, entries: Sequence[Entry], run: Run) -> list[list[NMERow]]:
    """Train and test every network with every seed; what is done already is kept. One list of rows per network, one row
    per seed."""
    seeds = workspace.experiment.compare.seeds
    return [[_row(workspace, entry, seed, run) for seed in seeds] for entry in entries]


def _row(workspace: Workspace, entry: Entry, seed: int, run: Run) -> NMERow:
    own = Run(run.path("networks", f"{entry.architecture.digest}-seed{seed}"))
    result = own.read_summary().get("result")
    if result is None:
        seeded = replace(entry.experiment, seed=seed)
        own.path().mkdir(parents=True, exist_ok=True)
        row = retrain(replace(workspace, experiment=seeded), entry.architecture, own, label=entry.name).row
        result = asdict(row)
        # Its checkpoint is only for a training that was cut short.
        shutil.rmtree(own.path("retrain"), ignore_errors=True)
    return NMERow(**{**result, "name": entry.name, "bins": tuple(result["bins"])})
