"""What a member of a search by trainings may cost, at each width that it may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from nasface.config import Experiment
from nasface.evaluation.costs import MemberCosts
from nasface.inference.latency_table import kept_latencies
from nasface.inference.member_latencies import Latencies, MemberLatencies
from nasface.nets.multipath import MemberSpec
from nasface.pipelines.scoring import macs_limit, search_constraints
from nasface.runs.run import Run
from nasface.search.strategy import Constraint
from nasface.space.space import MultipathSpace


@dataclass(frozen=True)
class Limits:
    """What a member may cost, at each width: the search's limits, and a least share of one of them: of that on latency
    where there is one, or else of that on multiply-adds."""

    most: Mapping[int, Sequence[Constraint]]
    least: Mapping[int, Constraint]

    @classmethod
    def of(
        cls, experiment: Experiment, space: MultipathSpace, latency: Mapping[int, Latencies] = MappingProxyType({})
    ) -> Limits:
        """`latency` are those of each width, where latency is limited. One limit is enough: multiply-adds have
        none of their own beside it that the user did not ask for."""
        search, of_width = experiment.search, costs_of(space, experiment)
        macs = 0.0
        if search.max_macs is not None or not latency:
            usual = of_width.get(experiment.network.width) or MemberCosts(space, experiment.network)
            macs = macs_limit(experiment, usual)
        limited = replace(experiment, search=replace(search, max_macs=macs))
        most, least = {}, {}
        for width, costs in of_width.items():
            most[width] = search_constraints(limited, costs, latency.get(width))
            leading = [limit for limit in most[width] if limit.name == ("latency" if latency else "macs")]
            least[width] = leading[0] if leading else Constraint("macs", 0.0, costs.macs)
        share = experiment.halving.share
        return cls(most, {width: replace(limit, limit=share * limit.limit) for width, limit in least.items()})

    def allow(self, member: MemberSpec) -> bool:
        return self.off(member) == 0

    def off(self, member: MemberSpec) -> float:
        """By which share a member misses the limits: above 0 where it costs too much, below where too little."""
        width, architecture = member.config.width, member.architecture
        for limit in self.most[width]:
            if (cost := limit.measure(architecture)) > limit.limit:
                return cost / limit.limit - 1
        least = self.least[width]
        return min(0.0, least.measure(architecture) / least.limit - 1) if least.limit else 0.0


def widths_of(space: MultipathSpace, experiment: Experiment) -> tuple[int, ...]:
    """Widths of the finest scale that members may have: the space's, or else the experiment's one."""
    return space.widths or (experiment.network.width,)


def costs_of(space: MultipathSpace, experiment: Experiment) -> dict[int, MemberCosts]:
    """What members cost, by width."""
    widths = widths_of(space, experiment)
    return {width: MemberCosts(space, replace(experiment.network, width=width)) for width in widths}


def latencies_of(experiment: Experiment, space: MultipathSpace, run: Run) -> dict[int, MemberLatencies]:
    """The members' times, by width, measured once for the run; none where latency is not limited."""
    most = experiment.search.max_latency
    if not most:
        return {}
    several = "-{}" if space.widths else ""
    found = {}
    for width, costs in costs_of(space, experiment).items():
        name = f"latency{several.format(width)}.json"
        table = kept_latencies(run.path("search", name), space, costs.config)
        limits = (experiment.halving.share * most, most)
        found[width] = MemberLatencies(table, costs.config, limits, run.path("search", f"{name}l"))
    return found
