"""`nasface list`."""

from __future__ import annotations

from jsonargparse.typing import PositiveFloat

from nasface.cli.command import SIZES, Command
from nasface.config import Experiment
from nasface.utils.errors import UserError


def list_networks(experiment: Experiment, scale: PositiveFloat = 1.0) -> None:
    """Print every network that `retrain` knows by name, and what it costs.

    Args:
        experiment: every setting.
        scale: multiplier of a fixed network's widths: 1 is the paper's, 0.5 or 0.25 is for a CPU.
    """
    from nasface.nets.multipath import MemberSpec
    from nasface.nets.network import NetworkSpec
    from nasface.nets.registry import NETWORKS, BaselineSpec
    from nasface.pipelines.architectures import member
    from nasface.report.tables import NOTHING, quantity, text_table
    from nasface.space.presets import PRESETS

    sizes, scale = experiment.network, float(scale)
    entries: list[tuple[str, str, NetworkSpec]] = []
    for name in NETWORKS.names():
        entries.append((name, NETWORKS.get(name).paper, BaselineSpec(name, sizes.input_size, sizes.map_size, scale)))
    for preset in sorted(PRESETS):
        name = f"preset/{preset}"
        entries.append((name, "multi-path space of MONAS", MemberSpec(member(name), sizes)))
    widths = [2 + max(map(len, column)) for column in list(zip(*entries, strict=True))[:2]]
    body, reasons = [], []
    for name, paper, spec in entries:
        try:
            figures = [quantity(value) for value in spec.cost()]
        except UserError as error:
            figures = [NOTHING, NOTHING]
            reasons.append(f"{name}: {error}")
        body.append([f"{name:{widths[0]}s}{paper:{widths[1]}s}{spec.target}", *figures])
    print(
        f"{sizes.input_size} x {sizes.input_size} pixels, {sizes.map_size} x {sizes.map_size} map;"
        f" fixed networks at scale {scale:g}, presets at width {sizes.widths or sizes.width}\n"
    )
    print(text_table([f"{'name':{widths[0]}s}{'paper':{widths[1]}s}target", "parameters", "MACs"], body))
    print("".join(f"\n{reason}" for reason in reasons), end="\n" if reasons else "")


COMMAND = Command(list_networks, (*SIZES, "network.widths", "network.stem_stride", "network.head_width"))
