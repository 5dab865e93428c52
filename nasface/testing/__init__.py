"""Contracts that authors of strategies, networks and data sets can run in their own tests, and a toy table on which a
search takes milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nasface.testing.data_sets import check_face_set
from nasface.testing.strategies import STRATEGY_CHECKS, StrategyCase, check_strategy

if TYPE_CHECKING:
    from nasface.testing.networks import NETWORK_CHECKS, check_network

__all__ = ["NETWORK_CHECKS", "STRATEGY_CHECKS", "StrategyCase", "check_face_set", "check_network", "check_strategy"]


def __getattr__(name: str) -> Any:
    if name in ("NETWORK_CHECKS", "check_network"):  # torch takes seconds, which tests of strategies do not need
        from nasface.testing import networks

        return getattr(networks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
