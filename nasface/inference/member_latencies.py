"""Times of members under a limit: foretold where that is enough, else measured, each once in a search.

A forecast (`LatencyTable`) costs nothing and is off by a tenth or two; a measurement takes half a second. Most members
are far from the limit, and those that are near it are few.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from nasface.config import MultipathConfig
from nasface.inference.latency_table import LatencyTable, measured_latency
from nasface.nets.multipath import MemberSpec
from nasface.space.space import Architecture
from nasface.utils.line_record import append_line, read_entries


class Latencies(Protocol):
    """What knows, or foretells, the time of a member."""

    def milliseconds(self, architecture: Architecture, parameters: float) -> float:
        """Of one image through a member with so many parameters."""
        ...


class MemberLatencies:
    """Times of the members of one width. What was measured is kept, so that a search that goes on decides as before.

    Args:
        table: the forecasts.
        config: sizes of the networks.
        limits: milliseconds; on which side of each a member lies is to be certain.
        path: of the record, a line a member.

    Raises:
        UserError: the record is damaged.
    """

    def __init__(self, table: LatencyTable, config: MultipathConfig, limits: Sequence[float], path: Path) -> None:
        self.table, self.config, self.limits, self.path = table, config, tuple(limits), path
        self._measured = dict(read_entries(path, lambda entry: (str(entry["digest"]), float(entry["ms"]))))

    def milliseconds(self, architecture: Architecture, parameters: float) -> float:
        """The time of a member with so many parameters: foretold, and measured where the forecast, if it were off by as
        much as the table's worst, could be on the wrong side of a limit."""
        foretold = self.table.milliseconds(architecture, parameters)
        worst = self.table.worst  # of forecasts, in units of what was measured
        most = foretold / (1 - worst) if worst < 1 else math.inf
        if any(foretold / (1 + worst) <= limit <= most for limit in self.limits):
            return self.measured(architecture)
        return foretold

    def measured(self, architecture: Architecture) -> float:
        """The measured time of a member; measured now if it was not before.

        Raises:
            UserError: a package of the extra `export` is not installed, or the record cannot be written.
        """
        digest = architecture.digest
        if digest not in self._measured:
            milliseconds = measured_latency(MemberSpec(architecture, self.config))
            self.path.parent.mkdir(parents=True, exist_ok=True)
            append_line(self.path, json.dumps({"digest": digest, "ms": milliseconds}))
            self._measured[digest] = milliseconds
        return self._measured[digest]
