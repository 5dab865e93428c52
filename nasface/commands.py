"""What each command of `nasface` does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jsonargparse.typing import PositiveFloat

from nasface.config import EXPERIMENTS, Experiment
from nasface.errors import UserError
from nasface.nets.fixed import UV_MAP, NetworkSpec
from nasface.nets.multipath import MultipathConfig, MultipathNetwork
from nasface.registry import create_network, get_candidate, network_cost, network_names
from nasface.runs import Run, open_run, settings_file
from nasface.space.architecture import Architecture, load_record
from nasface.space.presets import PRESETS, load_preset
from nasface.space.space import load_space


@dataclass(frozen=True)
class Option:
    """A command's own setting, beside those of the experiment."""

    name: str
    type: Any
    default: Any
    help: str


@dataclass(frozen=True)
class Command:
    """A command: what it does, its own settings, and whether it takes an experiment's."""

    run: Callable[..., None]
    help: str
    options: tuple[Option, ...] = ()
    experiment: bool = True


def search(experiment: Experiment, run: str | None, resume: bool) -> None:
    """Train the supernet, search it, write best.json."""
    from nasface import workflow
    from nasface.tasks.training import make_trainer

    space = load_space(experiment.space)
    # Whatever is wrong with the settings shall come out now, not after the training.
    experiment.network.check(space)
    workflow.make_sampler(experiment, space)
    workflow.make_search_strategy(experiment, space)
    make_trainer(experiment.device, logger=False)
    folder = open_run("search", experiment, space.name, resume, run)
    print(f"run      {folder.folder}")
    print(
        f"space    {space.name}: L={space.layers}, D={space.scales}, {space.num_connections} connections,"
        f" {_power(space.count_members())} members"
    )
    with workflow.timed(folder, "data_s"):
        workspace = workflow.prepare(experiment, space)
    supernet = workflow.train_supernet(workspace, folder)
    result = workflow.search(workspace, supernet, folder, resume)
    best = workflow.write_best(workspace, folder, result)
    folder.update_summary(finished=True)
    _print_search(folder, best)


def _print_search(folder: Run, best: Path) -> None:
    summary = folder.read_summary()
    scores = load_record(best).scores
    found, costs = summary["search"], summary["costs"]
    bins = " / ".join(f"{value:.2f}" for value in scores["nme"])
    print(f"\nfound    {best}: {scores['parameters'] / 1e6:.2f} M parameters, {scores['macs'] / 1e6:.1f} M MACs")
    print(f"NME (%)  {bins}, mean {scores['penalty']:.2f} on validation faces, with the supernet's weights")
    print(
        f"search   {found['evaluations']} evaluations, {found['stopped_early']} stopped early,"
        f" {100 * found['work_saved']:.0f} % of the multiply-adds saved by reuse and early rejection"
    )
    print("costs    " + ", ".join(f"{name.removesuffix('_s')} {seconds:.0f} s" for name, seconds in costs.items()))
    print(f"drawing  {folder.path('architecture.png')}")
    print(f"next     make retrain ARCH={best}")


def retrain(
    experiment: Experiment, arch: str, scale: float, init: str, label: str | None, run: str | None, resume: bool
) -> None:
    """Train one network from scratch, evaluate it, print the field's table."""
    from nasface import workflow
    from nasface.nets.weights import load_supernet
    from nasface.report.tables import yaw_table
    from nasface.tasks.training import make_trainer

    architecture: Architecture | NetworkSpec
    supernet = space = None
    if _is_fixed(arch):
        architecture, name = _fixed_network(experiment, arch, scale, init), arch
    else:
        experiment, architecture, name = resolve_architecture(experiment, arch)
        space = architecture.space
        if scale != 1:
            raise UserError(f"--scale is for fixed networks ({', '.join(network_names())}): give --network.width")
        if init != "scratch":
            supernet = load_supernet(_supernet_file(init, arch), space, experiment.network)
        experiment.network.check(space)
    make_trainer(experiment.device, logger=False)
    folder = open_run("retrain", experiment, architecture.digest, resume, run)
    print(f"run      {folder.folder}")
    with workflow.timed(folder, "data_s"):
        workspace = workflow.prepare(experiment, space)
    trained = workflow.retrain(workspace, architecture, folder, supernet, label or name)
    folder.update_summary(finished=True)
    print(
        f"\nNME (%) by yaw on {workspace.faces.test.name} ({len(workspace.faces.test)} faces),"
        f" trained in {trained.seconds:.0f} s\n"
    )
    print(yaw_table([trained.row]))
    print(f"\nweights  {folder.path('network.pt')}")


def list_networks(experiment: Experiment, scale: float) -> None:
    """Print every network that `retrain` knows by name, and what it costs."""
    from nasface.report.tables import NOTHING, quantity, text_table

    sizes, scale = experiment.network, float(scale)
    entries: list[tuple[str, str, str, Callable[[], tuple[int, int]]]] = []
    for name in network_names():
        candidate, spec = get_candidate(name), NetworkSpec(name, sizes.input_size, sizes.map_size, scale)
        entries.append((name, candidate.paper, candidate.target, partial(network_cost, spec)))
    for preset in sorted(PRESETS):
        name = f"preset/{preset}"
        entries.append((name, "multi-path space of MONAS", UV_MAP, partial(_member_cost, name, sizes)))
    body, reasons = [], []
    for name, paper, target, cost in entries:
        try:
            figures = [quantity(value) for value in cost()]
        except UserError as error:
            figures = [NOTHING, NOTHING]
            reasons.append(f"{name}: {error}")
        body.append([f"{name:19s}{paper:28s}{target}", *figures])
    print(
        f"{sizes.input_size} x {sizes.input_size} pixels, {sizes.map_size} x {sizes.map_size} map;"
        f" fixed networks at scale {scale:g}, presets at width {sizes.widths or sizes.width}\n"
    )
    print(text_table([f"{'name':19s}{'paper':28s}target", "parameters", "MACs"], body))
    print("".join(f"\n{reason}" for reason in reasons), end="\n" if reasons else "")


def _member_cost(arch: str, sizes: MultipathConfig) -> tuple[int, int]:
    """Parameters and multiply-adds for one image of a preset."""
    from nasface.nets.cost import architecture_macs

    architecture = _member(arch)
    with torch.device("meta"):
        network = MultipathNetwork(architecture, sizes)
    return sum(parameter.numel() for parameter in network.parameters()), architecture_macs(architecture, sizes)


def draw(arch: str, output: str) -> None:
    """Draw an architecture."""
    from nasface.report.drawing import draw_architecture

    architecture = _member(arch)
    draw_architecture(architecture, Path(output))
    print(output)


def space(space: str) -> None:
    """Print a space's size."""
    loaded = load_space(space)
    print(f"{loaded.name}: L={loaded.layers}, D={loaded.scales}, {loaded.num_connections} connections")
    print(f"raw codes          {loaded.raw_size}")
    print(f"valid (Eq. 8)      {loaded.count_valid()}")
    print(f"canonical          {loaded.count_canonical()}")
    print(f"in {str(loaded.connections or 'any density'):16s}{loaded.count_members()}")


def _is_fixed(arch: str) -> bool:
    """Whether `--arch` names a fixed network; a registered name goes before a file of that name."""
    if arch in network_names():
        return True
    if arch == "random" or "/" in arch or Path(arch).suffix or Path(arch).exists():
        return False
    raise UserError(
        f"unknown architecture {arch!r}: give a JSON file, random, preset/NAME, or one of {', '.join(network_names())}"
    )


def _fixed_network(experiment: Experiment, arch: str, scale: float, init: str) -> NetworkSpec:
    if init != "scratch":
        raise UserError(f"--init {init} is for networks of a multi-path space; {arch} starts from scratch")
    spec = NetworkSpec(arch, experiment.network.input_size, experiment.network.map_size, float(scale))
    with torch.device("meta"):
        create_network(**asdict(spec))  # sizes that it cannot have come out here
    return spec


def resolve_architecture(experiment: Experiment, arch: str) -> tuple[Experiment, Architecture, str]:
    """The architecture that `--arch` names, and the experiment with the sizes that it was searched with.

    Args:
        arch: a JSON file, `preset/NAME`, or `random` (one uniform member of the experiment's space, drawn by the
            experiment's seed).
    """
    import numpy as np

    if arch == "random":
        space = load_space(experiment.space)
        return (
            experiment,
            space.random_architecture(np.random.default_rng([experiment.seed, 3])),
            f"random (seed {experiment.seed})",
        )
    if arch.startswith("preset/"):
        return experiment, _member(arch), arch
    record = load_record(arch)
    sizes = record.provenance.get("network")
    if isinstance(sizes, dict) and set(sizes) == set(vars(experiment.network)):
        # A found network is retrained at the sizes that it was found at, unless the user asks for others.
        experiment = replace(experiment, network=_merged(experiment.network, sizes))
    return experiment, record.architecture, "searched" if "strategy" in record.provenance else Path(arch).stem


def _merged(network: Any, sizes: dict[str, Any]) -> Any:
    defaults = type(network)()
    changed = {name for name, value in vars(network).items() if value != getattr(defaults, name)}
    return replace(network, **{name: value for name, value in sizes.items() if name not in changed})


def _member(arch: str) -> Architecture:
    name = arch.removeprefix("preset/")
    if name == arch:
        return load_record(arch).architecture
    if name not in PRESETS:
        known = ", ".join(f"preset/{preset}" for preset in sorted(PRESETS))
        raise UserError(f"unknown preset {arch!r}; known are: {known}")
    return load_preset(name)


def recorded_experiment(arch: str) -> Path | None:
    """The settings that an architecture file was searched with: those of its run, or else its experiment's; None where
    it names neither."""
    try:
        provenance = json.loads(Path(arch).read_text(encoding="utf-8"))["provenance"]
        run, name = str(provenance.get("run", "")), str(provenance.get("experiment", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # read again, and complained of, where the architecture itself is read
    places = [settings_file(run)] if run else []
    places += [experiment for experiment in EXPERIMENTS.glob("*.yaml") if experiment.stem == name]
    return next((place for place in places if place.is_file()), None)


def _supernet_file(init: str, arch: str) -> Path:
    if init != "supernet":
        return Path(init)
    run = load_record(arch).provenance.get("run")
    if not run:
        raise UserError(
            f"{arch} does not say which run's supernet it comes from: give --init runs/<id>/supernet/supernet.pt"
        )
    return Path(run) / "supernet" / "supernet.pt"


def _power(number: int) -> str:
    text = str(number)
    return text if len(text) < 7 else f"{text[0]}.{text[1]}e{len(text) - 1}"


_RUN = Option("run", str | None, None, "id of the run, its folder under runs/; made from time and settings where empty")
_RESUME = Option("resume", bool, False, "go on with the newest unfinished run of these settings (or with --run)")
_ARCH = "architecture: a JSON file such as best.json, preset/hourglass, preset/prnet, preset/hrnet, or random"

_SCALE = Option(
    "scale",
    PositiveFloat,
    1.0,
    "multiplier of a fixed network's widths: 1 is the paper's, 0.5 or 0.25 is for a CPU",
)

COMMANDS: dict[str, Command] = {
    "search": Command(search, "Train the multi-path supernet, search it, write best.json.", (_RUN, _RESUME)),
    "retrain": Command(
        retrain,
        "Train one network from scratch, evaluate it, print its table.",
        (
            Option("arch", str, "best.json", f"{_ARCH}; or a fixed network by its name in `nasface list`"),
            _SCALE,
            Option(
                "init",
                str,
                "scratch",
                "first weights: scratch, supernet (of the run in the architecture's file), or a supernet.pt",
            ),
            Option("label", str | None, None, "name of the row in the table"),
            _RUN,
            _RESUME,
        ),
    ),
    "list": Command(
        list_networks,
        "List the fixed networks and presets with paper, target, parameters and multiply-adds.",
        (_SCALE,),
    ),
    "draw": Command(
        draw,
        "Draw an architecture as SVG or PNG.",
        (
            Option("arch", str, "best.json", _ARCH),
            Option("output", str, "architecture.svg", "file to write, .svg or .png"),
        ),
        experiment=False,
    ),
    "space": Command(
        space,
        "Count the members of a space.",
        (Option("space", str, "multipath", "a name in search_spaces/ or a YAML file"),),
        experiment=False,
    ),
}
