"""A figure of cumulative error distributions: the share of the images below each error, one curve a network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nasface.metrics.ced import area_under_ced, ced_curve, failure_rate
from nasface.report.figures import save_figure

# Curves are told apart without colour, too, and one that lies on another shows through it.
_COLOURS = ("#1f5fbf", "#d9822b", "#2e8b57", "#b0413e", "#6b5b95", "#8a8f98", "#23272e")
_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))


def draw_ced(
    errors: Mapping[str, ArrayLike],
    path: str | Path | None = None,
    *,
    threshold: float = 8.0,
    label: str = "NME (%)",
    title: str | None = None,
    dpi: int = 150,
) -> Figure:
    """Draw the curves from 0 to the threshold; the legend tells each one's area and failure rate, the best area first.

    Args:
        errors: (N,) of each name, percent; what is not a number counts as a failure.
        path: where to save a PNG; None saves nothing.
        threshold: right end of the figure, of the area, and of what is not a failure, in percent.
        label: of the axis of errors.
        title: above the figure.
        dpi: pixels an inch.

    Returns:
        The figure. It belongs to no window and to no global state.

    Raises:
        ValueError: no curve, a curve without errors, or a threshold that is not above 0.
        UserError: the file cannot be written.
    """
    if not errors:
        raise ValueError("there is no curve to draw")
    areas = {name: area_under_ced(values, threshold) for name, values in errors.items()}
    # Below the axes stands the legend: beside steep curves there is no room for long names.
    above, below = (0.35 if title else 0.12), 0.62 + 0.2 * len(errors)
    height = 3.0 + above + below
    figure = Figure(figsize=(5.6, height))
    axes = figure.add_axes((0.115, below / height, 0.865, 3.0 / height))
    for number, name in enumerate(sorted(areas, key=areas.__getitem__, reverse=True)):
        x, y = _staircase(errors[name], threshold)
        text = f"{name}: AUC {100 * areas[name]:.1f} %, failures {100 * failure_rate(errors[name], threshold):.1f} %"
        colour, dash = _COLOURS[number % len(_COLOURS)], _DASHES[number % len(_DASHES)]
        axes.plot(x, 100 * y, color=colour, linestyle=dash, linewidth=1.8, label=text)
    axes.set(xlim=(0, threshold), ylim=(0, 100), xlabel=label, ylabel="images (%)")
    axes.set_yticks(range(0, 101, 20))
    axes.grid(color="#e3e5e8", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if title:
        axes.set_title(title, fontsize=10)
    figure.legend(loc="lower center", ncols=1, frameon=False, fontsize=8.5, bbox_to_anchor=(0.5, 0.01))
    return save_figure(figure, path, dpi)


def _staircase(errors: ArrayLike, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the curve from (0, .) to (threshold, .): two at each error below the threshold."""
    values = np.asarray(errors, dtype=np.float64).ravel()
    inside = np.sort(values[values <= threshold])
    steps = np.concatenate([[0.0], inside, [threshold]])
    heights = ced_curve(values, [-math.inf, *inside, threshold])
    return np.repeat(steps, 2)[1:], np.repeat(heights, 2)[:-1]
