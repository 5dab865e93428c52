"""The Pareto front of a search: its members, one file each, and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nasface.report.figures import save_figure
from nasface.search.objectives import PENALTY, non_dominated, objective_values
from nasface.search.study import Evaluation

LABELS = {
    "penalty": "NME (%)",
    "macs": "multiply-adds (M)",
    "parameters": "parameters (M)",
    "memory": "peak activation memory (MiB)",
    "latency": "CPU latency, one thread (ms)",
    "latency_all": "CPU latency, all threads (ms)",
}
_UNITS = {"macs": 1e6, "parameters": 1e6, "memory": 2**20}


def pareto_front(evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> list[tuple[Evaluation, list[float]]]:
    """The complete evaluations that no other one beats, each member once, by rising penalty."""
    complete = {one.architecture.digest: one for one in evaluations if one.outcome.complete}
    members = list(complete.values())
    values = [objective_values(objectives, one.outcome) for one in members]
    best = np.flatnonzero(non_dominated(np.array(values)))
    return sorted(((members[place], values[place]) for place in best), key=lambda point: point[1])


def pareto_figure(
    evaluations: Sequence[Evaluation], objectives: Sequence[str], path: str | Path | None = None
) -> Figure:
    """One panel for each objective beside the penalty: all complete evaluations, and the front's with their numbers.

    Args:
        evaluations: of a search.
        objectives: penalty and at least one more.
        path: where to write it, with a suffix that matplotlib knows.
    """
    complete = [one for one in evaluations if one.outcome.complete]
    values = np.array([objective_values(objectives, one.outcome) for one in complete])
    front = np.array([point for _, point in pareto_front(evaluations, objectives)])
    others = [name for name in objectives if name != PENALTY]
    figure = Figure(figsize=(4.8 * len(others), 4.0), layout="constrained")
    for panel, name in zip(figure.subplots(1, len(others), squeeze=False)[0], others, strict=True):
        column, unit = list(objectives).index(name), _UNITS.get(name, 1.0)
        panel.scatter(values[:, column] / unit, values[:, 0], s=14, color="0.7", label=f"{len(values)} evaluated")
        order = np.argsort(front[:, column], kind="stable")
        style = {"marker": "o", "color": "tab:red", "linewidth": 1.2, "markersize": 5}
        if len(others) > 1:
            style["linestyle"] = ""  # a front in several dimensions is no line in one of its planes
        panel.plot(front[order, column] / unit, front[order, 0], label=f"{len(front)} on the front", **style)
        for number, point in enumerate(front, start=1):
            place = (point[column] / unit, point[0])
            panel.annotate(str(number), place, xytext=(4, 4), textcoords="offset points", fontsize=8)
        panel.set(xlabel=LABELS.get(name, name), ylabel=LABELS[PENALTY])
        panel.grid(color="0.93")
        panel.set_axisbelow(True)
        panel.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return save_figure(figure, path, 120)
