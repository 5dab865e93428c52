"""A figure of meta-joint optimisation: which loss was selected after each look-ahead, and by how much.

Guo et al., ECCV 2020, Fig. 7, with the errors that decided above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nasface.report.figures import save_figure

_COLOURS = ("#1f77b4", "#d95f02")


def draw_selection(
    selections: Sequence[dict[str, Any]], branches: tuple[str, str], path: str | Path | None = None
) -> Figure:
    """Draw the selections of a training in their order.

    Args:
        selections: `MetaJointTask.selections`.
        branches: names of the two losses.
        path: where to save a PNG; None saves nothing.

    Returns:
        The figure. It belongs to no window and to no global state.

    Raises:
        ValueError: no selection.
        UserError: the file cannot be written.
    """
    if not selections:
        raise ValueError("there is no selection to draw")
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    errors, chosen = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    batches = [entry["batch"] + 1 for entry in selections]
    for branch, colour in zip(branches, _COLOURS, strict=True):
        errors.plot(batches, [entry[branch] for entry in selections], ".-", color=colour, label=f"after {branch}")
        won = [batch for batch, entry in zip(batches, selections, strict=True) if entry["selected"] == branch]
        chosen.plot(won, [branches.index(branch)] * len(won), "o", color=colour, markersize=5)
    errors.set_yscale("log")
    errors.set_ylabel("VDC, meta-test")
    errors.legend(fontsize=8)
    chosen.set_yticks(range(len(branches)), branches)
    chosen.set_ylim(-0.5, len(branches) - 0.5)
    chosen.set_ylabel("selected")
    chosen.set_xlabel("batch")
    chosen.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (errors, chosen):
        axes.grid(alpha=0.3)
    return save_figure(figure, path)
