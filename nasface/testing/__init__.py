"""Contracts that authors of strategies and data sets can run in their own tests, and a toy table on which a search
takes milliseconds."""

from nasface.testing.data_sets import check_face_set
from nasface.testing.strategies import STRATEGY_CHECKS, StrategyCase, check_strategy

__all__ = ["STRATEGY_CHECKS", "StrategyCase", "check_face_set", "check_strategy"]
