"""Several objectives at once: their values, and which members no other one beats in all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasface.search.strategy import Outcome
from nasface.utils.errors import UserError

PENALTY = "penalty"


def require_objectives(names: Sequence[str]) -> tuple[str, ...]:
    """Names of objectives, of which the penalty is the first.

    Raises:
        UserError: another one is the first, or one stands twice.
    """
    names = tuple(names)
    if not names or names[0] != PENALTY or len(set(names)) < len(names):
        raise UserError(f"objectives must begin with penalty and name each further one once, not {', '.join(names)}")
    return names


def objective_values(names: Sequence[str], outcome: Outcome) -> list[float]:
    """An outcome's objectives, lower is better: the penalty, and what it says under `costs`.

    Raises:
        UserError: the outcome does not say what a member costs.
    """
    costs = outcome.details.get("costs", {})
    for name in names:
        if name != PENALTY and name not in costs:
            raise UserError(f"the evaluation did not measure the objective {name!r}; it knows {sorted(costs)}")
    return [float(outcome.penalty) if name == PENALTY else float(costs[name]) for name in names]


def non_dominated(values: np.ndarray) -> np.ndarray:
    """Which points (N, K) no other point beats: none that is nowhere worse and somewhere better. Equal points all
    stay. Bool (N,)."""
    values = np.asarray(values, dtype=float)
    no_worse: np.ndarray = np.all(values[:, None] <= values[None], axis=-1)
    better: np.ndarray = np.any(values[:, None] < values[None], axis=-1)
    return np.logical_not(np.any(no_worse & better, axis=0))


def fronts(values: np.ndarray) -> np.ndarray:
    """The rank of every point (N, K): 0 on the Pareto front, 1 on the front of the rest, and so on (NSGA-II's
    non-dominated sorting). Int (N,)."""
    values = np.asarray(values, dtype=float)
    ranks = np.full(len(values), -1)
    rank = 0
    while (left := np.flatnonzero(ranks < 0)).size:
        ranks[left[non_dominated(values[left])]] = rank
        rank += 1
    return ranks


def crowding(values: np.ndarray) -> np.ndarray:
    """Crowding distance (N,) of the points (N, K) of one front: over the objectives, the gap between a point's two
    neighbours as a share of the front's extent; infinite at the ends (Deb et al., IEEE TEC 6(2), 2002, III-B)."""
    values = np.asarray(values, dtype=float)
    distance = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        extent = column[order[-1]] - column[order[0]]
        distance[order[[0, -1]]] = np.inf
        if extent > 0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / extent
    return distance
