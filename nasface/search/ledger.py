"""The cost ledger of a search: how many evaluations of which kind."""

from __future__ import annotations

from typing import Any

from nasface.search.strategy import Strategy
from nasface.search.study import StudyResult


def search_counts(strategy: Strategy, result: StudyResult) -> dict[str, Any]:
    """Evaluations: all of them, of how many different members, again of a member whose first evaluation had stopped
    early, stopped early; members that limits kept from being evaluated; and members whose value was known already."""
    members = {evaluation.architecture.digest for evaluation in result.evaluations}
    workers = {evaluation.outcome.details.get("worker") for evaluation in result.evaluations} - {None}
    return {
        "evaluations": len(result.evaluations),
        "unique": len(members),
        "duplicate": len(result.evaluations) - len(members),
        "stopped_early": result.rejected,
        "looked_up": int(result.status.get("known", 0)),
        "rejected": strategy.rejected,
        "workers": sorted(workers),
    }
