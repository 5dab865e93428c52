"""`nasface list`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nasface.cli.command import SCALE, SIZES, Command
from nasface.config import Experiment, MultipathConfig
from nasface.utils.errors import UserError


def list_networks(experiment: Experiment, scale: float) -> None:
    """Print every network that `retrain` knows by name, and what it costs."""
    from nasface.nets.network import UV_MAP, NetworkSpec
    from nasface.nets.registry import get_candidate, network_cost, network_names
    from nasface.report.tables import NOTHING, quantity, text_table
    from nasface.space.presets import PRESETS

    sizes, scale = experiment.network, float(scale)
    entries: list[tuple[str, str, str, Callable[[], tuple[int, int]]]] = []
    for name in network_names():
        candidate, spec = get_candidate(name), NetworkSpec(name, sizes.input_size, sizes.map_size, scale)
        entries.append((name, candidate.paper, candidate.target, partial(network_cost, spec)))
    for preset in sorted(PRESETS):
        name = f"preset/{preset}"
        entries.append((name, "multi-path space of MONAS", UV_MAP, partial(_member_cost, name, sizes)))
    widths = [2 + max(map(len, column)) for column in list(zip(*entries, strict=True))[:2]]
    body, reasons = [], []
    for name, paper, target, cost in entries:
        try:
            figures = [quantity(value) for value in cost()]
        except UserError as error:
            figures = [NOTHING, NOTHING]
            reasons.append(f"{name}: {error}")
        body.append([f"{name:{widths[0]}s}{paper:{widths[1]}s}{target}", *figures])
    print(
        f"{sizes.input_size} x {sizes.input_size} pixels, {sizes.map_size} x {sizes.map_size} map;"
        f" fixed networks at scale {scale:g}, presets at width {sizes.widths or sizes.width}\n"
    )
    print(text_table([f"{'name':{widths[0]}s}{'paper':{widths[1]}s}target", "parameters", "MACs"], body))
    print("".join(f"\n{reason}" for reason in reasons), end="\n" if reasons else "")


def _member_cost(arch: str, sizes: MultipathConfig) -> tuple[int, int]:
    """Parameters and multiply-adds for one image of a preset."""
    import torch

    from nasface.nets.cost import NoValues, architecture_macs
    from nasface.nets.multipath import MultipathNetwork
    from nasface.pipelines.architectures import member

    architecture = member(arch)
    with torch.device("meta"), NoValues():
        network = MultipathNetwork(architecture, sizes)
    return sum(parameter.numel() for parameter in network.parameters()), architecture_macs(architecture, sizes)


COMMAND = Command(
    list_networks,
    (SCALE,),
    (*SIZES, "network.widths", "network.stem_stride", "network.head_width"),
)
