"""Charts of a page as inline SVG; series differ by colour and by dashes, so that a chart reads without colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from nasface.report.figures import inline_svg

SERIES = ("#1f5fbf", "#b3500a", "#1d7a46", "#a8326e", "#6a50b8", "#5d6470")
"""Colours of the series of a chart."""
_DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (7, 2)), (0, (2, 1)))
_WIDTH, _HEIGHT, _LEGEND_ROW = 400, 250, 18  # points


@dataclass(frozen=True)
class Series:
    """One line, or one set of points.

    Attributes:
        name: in the legend.
        x, y: as long as each other; a point that is not finite interrupts the line.
        points: drawn as points instead of a line.
        step: y holds until the next x.
        labels: of the points, shown beside them.
        style: number of its colour and dashes; its place among the series where None.
    """

    name: str
    x: np.ndarray | Sequence[float]
    y: np.ndarray | Sequence[float]
    points: bool = False
    step: bool = False
    labels: Sequence[str] = ()
    style: int | None = None


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        label: what and in which unit.
        log: powers of ten.
        least, most: of the scale; from the data where None.
    """

    label: str
    log: bool = False
    least: float | None = None
    most: float | None = None


def line_chart(series: Sequence[Series], x: Axis, y: Axis, title: str, description: str) -> str:
    """An SVG of lines or points over common axes, with a legend where there is more than one.

    Args:
        title: short, the chart's name to a screen reader.
        description: what it shows, in words and figures.
    """
    figure, axes = _axes(len(series), y)
    for place, one in enumerate(series):
        number = place if one.style is None else one.style
        if one.points:
            few = len(one.x) <= 30
            style: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 8 if few else 4, "alpha": 0.6}
            style["markeredgewidth"] = 0
        else:
            style = {"linestyle": _DASHES[number % len(_DASHES)], "drawstyle": "steps-post" if one.step else "default"}
        axes.plot(one.x, one.y, color=SERIES[number % len(SERIES)], label=_short(one.name), **style)
    _scale(axes, "x", x)
    _scale(axes, "y", y)
    for one in series:
        for label, *point in zip(one.labels, one.x, one.y, strict=False):
            right = axes.transAxes.inverted().transform(axes.transData.transform(point))[0] > 0.65
            side, shift = ("right", -6) if right else ("left", 6)
            axes.annotate(
                label, (point[0], point[1]), xytext=(shift, 5), textcoords="offset points", ha=side, fontsize=12
            )
    return _svg(figure, len(series), title, description)


def bar_chart(
    groups: Sequence[str], series: Sequence[tuple[str, Sequence[float | None]]], y: Axis, title: str, description: str
) -> str:
    """An SVG of bars: for each group one bar of each series, with its value above it where there is room."""
    figure, axes = _axes(len(series), y)
    places, width = np.arange(len(groups)), 0.8 / len(series)
    for number, (name, values) in enumerate(series):
        heights = [math.nan if value is None else float(value) for value in values]
        left = places - 0.4 + (number + 0.5) * width
        bars = axes.bar(left, heights, 0.95 * width, color=SERIES[number % len(SERIES)], label=_short(name))
        if len(groups) * len(series) <= 12:
            axes.bar_label(bars, ["" if math.isnan(height) else f"{height:.2f}" for height in heights], fontsize=11)
    axes.set_xticks(places, groups)
    axes.set_ylim(0, 1.12 * axes.dataLim.y1 if axes.dataLim.y1 > 0 else 1)
    return _svg(figure, len(series), title, description)


def _axes(series: int, y: Axis) -> tuple[Figure, Axes]:
    """Empty axes above as many rows of a legend as the series need."""
    below = _LEGEND_ROW * -(-series // 2) if series > 1 else 0
    figure = Figure(figsize=(_WIDTH / 72, (_HEIGHT + below) / 72))
    height = _HEIGHT + below
    axes = figure.add_axes((0.14, (below + 42) / height, 0.83, (_HEIGHT - 56) / height))
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#e8eaee")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#8a8f98")
    axes.tick_params(labelsize=11.5, color="#8a8f98", length=3)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel(y.label, fontsize=12, color="#8a8f98")
    return figure, axes


def _scale(axes: Axes, which: str, axis: Axis) -> None:
    """Scale, limits and label of `x` or `y`."""
    getattr(axes, f"set_{which}label")(axis.label, fontsize=12, color="#8a8f98")
    if axis.log and getattr(axes.dataLim, f"minpos{which}") < np.inf:
        getattr(axes, f"set_{which}scale")("log")
        getattr(axes, f"{which}axis").set_minor_formatter(NullFormatter())
    else:
        getattr(axes, f"{which}axis").set_major_locator(MaxNLocator(6))
    getattr(axes, f"set_{which}lim")(axis.least, axis.most)


def _short(name: str) -> str:
    return name if len(name) <= 21 else f"{name[:20]}…"


def _svg(figure: Figure, series: int, title: str, description: str) -> str:
    if series > 1:
        figure.legend(loc="lower center", ncols=2, frameon=False, fontsize=11.5, borderaxespad=0.1, labelspacing=0.2)
    return inline_svg(figure, title, description)
