"""What Optuna's plots show of a member: its trials have the strategies' codes as attributes, and of those no plot knows
anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from nasface.space.space import OPERATIONS, Architecture

_LARGEST = 1e15  # of a cost; a study's distributions must not differ


def plotted_parameters(
    member: Architecture, details: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    """A member as parameters of a trial: its live connections, the share of them that are HPM blocks, and the costs
    that were measured with its evaluation, if any. No strategy reads them."""
    codes = [code for code in member.canonical.codes if code]
    blocks = sum(code == OPERATIONS.index("hpm") for code in codes)
    costs = {name: float(value) for name, value in details.get("costs", {}).items() if value and 1 <= value < _LARGEST}
    return {"connections": len(codes), "hpm_share": blocks / max(len(codes), 1), **costs}, {
        "connections": IntDistribution(0, member.space.num_connections),
        "hpm_share": FloatDistribution(0.0, 1.0),
        **{name: FloatDistribution(1.0, _LARGEST, log=True) for name in costs},
    }
