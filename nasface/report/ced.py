"""A figure of cumulative error distributions: the share of the images below each error, one curve a network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nasface.metrics.ced import area_under_ced, ced_curve, failure_rate
from nasface.report.figures import save_figure

# Curves are told apart without colour, too, and one that lies on another shows through it.
_COLOURS = ("#1f5fbf", "#d9822b", "#2e8b57", "#b0413e", "#6b5b95", "#8a8f98", "#23272e")
_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
_WIDTH, _HEIGHT = 5.6, 3.0  # of a panel with its margins, and of its axes, in inches
_COLUMNS = 3  # panels side by side at most


def draw_ced(
    panels: Mapping[str, Mapping[str, ArrayLike]],
    path: str | Path | None = None,
    *,
    threshold: float = 8.0,
) -> Figure:
    """Draw the curves from 0 to the threshold, one panel a protocol; the legend below a panel tells each curve's area
    and failure rate, the best area first. A network has the same colour and dashes in every panel.

    Args:
        panels: by the panel's title (which may be empty), then by network: (N,) errors in percent; what is not a number
            counts as a failure.
        path: where to save a PNG; None saves nothing.
        threshold: right end of the figure, of the area, and of what is not a failure, in percent.

    Returns:
        The figure. It belongs to no window and to no global state.

    Raises:
        ValueError: no curve, a curve without errors, or a threshold that is not above 0.
        UserError: the file cannot be written.
    """
    if not panels or not all(panels.values()):
        raise ValueError("there is no curve to draw")
    areas = {
        title: {name: area_under_ced(values, threshold) for name, values in curves.items()}
        for title, curves in panels.items()
    }
    ranked = {title: sorted(found, key=found.__getitem__, reverse=True) for title, found in areas.items()}
    styles = {name: number for number, name in enumerate(dict.fromkeys(sum(ranked.values(), [])))}
    # Below the axes stands the legend: beside steep curves there is no room for long names.
    above, below = (0.35 if any(panels) else 0.12), 0.62 + 0.2 * max(map(len, panels.values()))
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    width, height = _WIDTH * columns, (_HEIGHT + above + below) * rows
    figure = Figure(figsize=(width, height))
    for place, (title, names) in enumerate(ranked.items()):
        row, column = divmod(place, columns)
        left, bottom = _WIDTH * (column + 0.115), height * (1 - row / rows) - above - _HEIGHT
        axes = figure.add_axes((left / width, bottom / height, 0.865 / columns, _HEIGHT / height))
        for name in names:
            errors, area = panels[title][name], areas[title][name]
            text = f"{name}: AUC {100 * area:.1f} %, failures {100 * failure_rate(errors, threshold):.1f} %"
            colour, dash = _COLOURS[styles[name] % len(_COLOURS)], _DASHES[styles[name] % len(_DASHES)]
            x, y = _staircase(errors, threshold)
            axes.plot(x, 100 * y, color=colour, linestyle=dash, linewidth=1.8, label=text)
        _dress(axes, title, threshold)
        axes.legend(
            loc="upper center", ncols=1, frameon=False, fontsize=8.5, bbox_to_anchor=(0.5, -0.5 / _HEIGHT + 0.04)
        )
    return save_figure(figure, path, dpi=150)


def _dress(axes: Axes, title: str, threshold: float) -> None:
    axes.set(xlim=(0, threshold), ylim=(0, 100), xlabel="NME (%)", ylabel="images (%)")
    axes.set_yticks(range(0, 101, 20))
    axes.grid(color="#e3e5e8", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if title:
        axes.set_title(title, fontsize=10)


def _staircase(errors: ArrayLike, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the curve from (0, .) to (threshold, .): two at each error below the threshold."""
    values = np.asarray(errors, dtype=np.float64).ravel()
    inside = np.sort(values[values <= threshold])
    steps = np.concatenate([[0.0], inside, [threshold]])
    heights = ced_curve(values, [-math.inf, *inside, threshold])
    return np.repeat(steps, 2)[1:], np.repeat(heights, 2)[:-1]
