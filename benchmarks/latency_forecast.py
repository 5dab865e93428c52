"""How far a search's forecast of latency is off: foretold and measured times of members that the table has not seen.

    python -m benchmarks.latency_forecast [--members 28] [--space multipath] [--network.width 32]

The space's connections and a dozen whole members are measured, as `nasface search --search.max_latency` does; then the
well-known networks of the space and random members of every density are foretold and measured, in onnxruntime on one
thread (extra `export`), each as `nasface export` would write its network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jsonargparse.typing import PositiveInt

from benchmarks.common import Option, parse, run_benchmark
from nasface.config import MultipathConfig
from nasface.evaluation.costs import MemberCosts
from nasface.inference.latency_table import LatencyTable, measure_latencies, measured_latency
from nasface.nets.multipath import MemberSpec
from nasface.report.tables import milliseconds, quantity, text_table
from nasface.space.catalogue import load_space
from nasface.space.presets import presets_in
from nasface.space.random_members import members_of_every_density
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.files import write_json
from nasface.utils.progress import stage_bar

OPTIONS = (Option("members", PositiveInt, 28, "random members beside the well-known networks"),)


@dataclass(frozen=True)
class Foretold:
    """One member: its name, multiply-adds, and milliseconds, foretold and measured."""

    name: str
    macs: float
    foretold: float
    measured: float

    @property
    def off(self) -> float:
        """Relative difference of the forecast from the measured time."""
        return self.foretold / self.measured - 1


def members_to_measure(space: MultipathSpace, count: int) -> Iterator[tuple[str, Architecture]]:
    """The well-known networks and so many random members, with their names."""
    yield from presets_in(space).items()
    drawn = members_of_every_density(space, np.random.default_rng(0xF0))
    for number in range(1, count + 1):
        yield f"random {number}", next(drawn)


def forecasts(table: LatencyTable, space: MultipathSpace, config: MultipathConfig, count: int) -> list[Foretold]:
    """What the table foretells of members, and what they take."""
    costs, found = MemberCosts(space, config), []
    chosen = list(members_to_measure(space, count))
    with stage_bar("measuring members", len(chosen)) as bar:
        for name, member in chosen:
            foretold = table.milliseconds(member, costs.parameters(member))
            measured = measured_latency(MemberSpec(member, config))
            found.append(Foretold(name, costs.macs(member), foretold, measured))
            bar.update()
    return found


def summary(found: Sequence[Foretold]) -> str:
    """A line a member, those furthest off first, and the mean and greatest difference."""
    ordered = sorted(found, key=lambda one: -abs(one.off))
    body = [
        [one.name, quantity(one.macs), milliseconds(one.foretold), milliseconds(one.measured), f"{one.off:+.1%}"]
        for one in ordered
    ]
    off = np.abs([one.off for one in found])
    table = text_table(["member", "MACs", "foretold", "measured", "off"], body)
    return f"{table}\n\n{len(found)} members: off by {off.mean():.1%} in the mean, {off.max():.1%} at most"


def main(arguments: Sequence[str]) -> None:
    parsed = parse(__doc__.splitlines()[0], OPTIONS, arguments, "latency_forecast")
    config, space = parsed.experiment.network, load_space(parsed.experiment.space)
    table = measure_latencies(space, config)
    found = forecasts(table, space, config, int(parsed.own["members"]))
    print(
        f"{space.name}, width {config.width}, {config.input_size} pixels, onnxruntime, one thread\n\n{summary(found)}"
    )
    rows = [asdict(one) | {"off": one.off} for one in found]
    write_json(parsed.own["json"], {"table": asdict(table), "network": asdict(config), "members": rows})


if __name__ == "__main__":
    run_benchmark(main)
