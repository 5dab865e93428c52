"""The networks that `--arch` names: files, presets, random members, fixed networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nasface.config import EARLIER_SIZES, EXPERIMENTS, Experiment, MultipathConfig
from nasface.nets.cost import on_meta
from nasface.nets.multipath import MemberSpec
from nasface.nets.network import NetworkSpec
from nasface.nets.registry import NETWORKS, BaselineSpec
from nasface.space.catalogue import load_space
from nasface.space.presets import PRESETS, load_preset
from nasface.space.record import Record, found_width, load_record
from nasface.space.space import Architecture
from nasface.utils.errors import UserError, nearest
from nasface.utils.reading import read_json
from nasface.utils.run_files import settings_file
from nasface.utils.schema import checked


def resolve_network(experiment: Experiment, arch: str, scale: float = 1.0) -> tuple[Experiment, NetworkSpec, str]:
    """The network that `--arch` names, the experiment with the sizes that it was searched with, and the name of its
    row.

    Args:
        arch: a baseline's name (it goes before a file of that name), an architecture's JSON file, `preset/NAME`, or
            `random` (one uniform member of the experiment's space, drawn by the experiment's seed).
        scale: multiplier of a baseline's widths; members of a space ignore it.

    Raises:
        UserError: there is no such network, or not of these sizes.
    """
    if arch in NETWORKS.names():
        spec = BaselineSpec(arch, experiment.network.input_size, experiment.network.map_size, float(scale))
        with on_meta():
            spec.build()  # sizes that it cannot have come out here
        return experiment, spec, arch
    experiment, architecture, name = _resolve_member(experiment, arch)
    experiment.network.check(architecture.space.scales, architecture.space.name)
    return experiment, MemberSpec(architecture, experiment.network), name


def _resolve_member(experiment: Experiment, arch: str) -> tuple[Experiment, Architecture, str]:
    if arch == "random":
        rng = np.random.default_rng([experiment.seed, 3])
        return experiment, load_space(experiment.space).random_architecture(rng), f"random (seed {experiment.seed})"
    if arch.startswith("preset/"):
        return experiment, member(arch), arch
    if not ("/" in arch or Path(arch).suffix or Path(arch).exists()):
        known = NETWORKS.names()
        raise UserError(
            f"unknown architecture {arch!r}: give a JSON file (best.json of a search), random, preset/NAME, or a name"
            " of `nasface list`" + nearest(arch, (*known, "random", *(f"preset/{name}" for name in PRESETS)))
        )
    record = load_record(arch)
    sizes = record.provenance.get("network")
    if isinstance(sizes, dict) and set(sizes) <= set(vars(experiment.network)):
        try:
            checked(MultipathConfig, sizes, "provenance.network")
        except ValueError as error:
            raise UserError(f"{arch}: {error}; correct it, or search again") from None
        # A found network is retrained at the sizes that it was found at, unless the user asks for others.
        network = _merged(experiment.network, EARLIER_SIZES | sizes)
        if found_width(record.provenance):  # it was found, as the connections were
            network = replace(network, width=sizes.get("width", network.width))
        experiment = replace(experiment, network=network)
    return experiment, record.architecture, "searched" if "strategy" in record.provenance else Path(arch).stem


def _merged(network: Any, sizes: dict[str, Any]) -> Any:
    defaults = type(network)()
    changed = {name for name, value in vars(network).items() if value != getattr(defaults, name)}
    return replace(network, **{name: value for name, value in sizes.items() if name not in changed})


def member(arch: str) -> Architecture:
    """The architecture of a JSON file or of `preset/NAME`."""
    return member_record(arch).architecture


def member_record(arch: str) -> Record:
    """As `member`, with what the file says beside it."""
    name = arch.removeprefix("preset/")
    return load_record(arch) if name == arch else Record(load_preset(name), {}, {})


def recorded_experiment(arch: str) -> Path | None:
    """The settings that an architecture file was searched with: those of its run, or else its experiment's; None where
    it names neither."""
    try:
        provenance = read_json(arch, "")["provenance"]
        run, name = str(provenance.get("run", "")), str(provenance.get("experiment", ""))
    except (UserError, KeyError, AttributeError):
        return None  # read again, and complained of, where the architecture itself is read
    places = [settings_file(run)] if run else []
    places += [experiment for experiment in EXPERIMENTS.glob("*.yaml") if experiment.stem == name]
    return next((place for place in places if place.is_file()), None)
