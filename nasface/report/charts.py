"""Charts of a page as inline SVG; series differ by colour and by dashes, so that a chart reads without colours, and
whoever points at a value reads it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from nasface.report.figures import inline_svg

SERIES = ("#1f5fbf", "#b3500a", "#1d7a46", "#a8326e", "#6a50b8", "#5d6470")
"""Colours of the series of a chart."""
_DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (7, 2)), (0, (2, 1)))
_WIDTH, _HEIGHT = 400, 268  # points
_SHOWN = 100  # values of a series that can be pointed at


@dataclass(frozen=True)
class Series:
    """One line, or one set of points.

    Attributes:
        name: in the legend.
        x, y: as long as each other; a point that is not finite interrupts the line.
        points: drawn as points instead of a line.
        step: y holds until the next x.
        style: number of its colour and dashes; its place among the series where None.
    """

    name: str
    x: np.ndarray | Sequence[float]
    y: np.ndarray | Sequence[float]
    points: bool = False
    step: bool = False
    style: int | None = None


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        label: what and in which unit.
        log: logarithmic.
        whole: of whole numbers, such as steps.
        least, most: of the scale; from the data where None.
    """

    label: str
    log: bool = False
    whole: bool = False
    least: float | None = None
    most: float | None = None


def line_chart(series: Sequence[Series], x: Axis, y: Axis, title: str, description: str) -> str:
    """An SVG of lines or points over common axes, with a legend where there is more than one.

    Args:
        title: short, the chart's name to a screen reader.
        description: what it shows, in words and figures.
    """
    figure, axes = _axes(y)
    keys, hits = [], []
    for place, one in enumerate(series):
        number = place if one.style is None else one.style
        colour, dashes = SERIES[number % len(SERIES)], _DASHES[number % len(_DASHES)]
        if one.points:
            style: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 8 if len(one.x) <= 30 else 4}
            style |= {"alpha": 0.6, "markeredgewidth": 0}
        else:
            style = {"linestyle": dashes, "drawstyle": "steps-post" if one.step else "default"}
            style |= {"marker": "o"} if len(one.x) == 1 else {}  # a line of one value would not be seen
        axes.plot(one.x, one.y, color=colour, **style)
        keys.append((one.name, '<circle cx="12" cy="5" r="4"/>' if one.points else _line(dashes), number))
        for i in range(0, len(one.x), max(1, -(-len(one.x) // _SHOWN))):
            hits.append((float(one.x[i]), float(one.y[i]), f"{one.name}: {_said(one.x[i])}, {_said(one.y[i])}"))
    _scale(axes, "x", x)
    _scale(axes, "y", y)
    return _svg(figure, keys, hits, title, description)


def bar_chart(
    groups: Sequence[str], series: Sequence[tuple[str, Sequence[float | None]]], y: Axis, title: str, description: str
) -> str:
    """An SVG of bars: for each group one bar of each series, with its value above it where there is room."""
    figure, axes = _axes(y)
    places, width, keys, hits = np.arange(len(groups)), 0.8 / len(series), [], []
    for number, (name, values) in enumerate(series):
        heights = [math.nan if value is None else float(value) for value in values]
        left = places - 0.4 + (number + 0.5) * width
        bars = axes.bar(left, heights, 0.95 * width, color=SERIES[number % len(SERIES)])
        if len(groups) * len(series) <= 6:
            axes.bar_label(bars, ["" if math.isnan(height) else f"{height:.2f}" for height in heights], fontsize=11)
        keys.append((name, '<rect x="4" width="16" height="10"/>', number))
        for x, height, group in zip(left, heights, groups, strict=True):
            hits.append((float(x), height, f"{name}, {group}: {_said(height)}"))
    axes.set_xticks(places, groups)
    axes.set_ylim(0, 1.12 * axes.dataLim.y1 if axes.dataLim.y1 > 0 else 1)
    return _svg(figure, keys, hits, title, description)


def _axes(y: Axis) -> tuple[Figure, Axes]:
    """Empty axes below the label of the upright one, which stands level: turned, a long one would be cut off."""
    figure = Figure(figsize=(_WIDTH / 72, _HEIGHT / 72), dpi=72)
    axes = figure.add_axes((0.14, 42 / _HEIGHT, 0.83, (_HEIGHT - 74) / _HEIGHT))
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#e8eaee")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#8a8f98")
    axes.tick_params(labelsize=11.5, color="#8a8f98", length=3)
    axes.tick_params(axis="y", length=0)
    figure.text(0.02, 1 - 14 / _HEIGHT, y.label, fontsize=12, color="#8a8f98")
    return figure, axes


def _scale(axes: Axes, which: str, axis: Axis) -> None:
    """Scale and limits of `x` or `y`, and the label of `x`."""
    if which == "x":
        axes.set_xlabel(axis.label, fontsize=12, color="#8a8f98")
    ticks = getattr(axes, f"{which}axis")
    low, high = getattr(axes.dataLim, f"interval{which}")
    least = getattr(axes.dataLim, f"minpos{which}")
    plain = FuncFormatter(lambda value, _: f"{value:.6g}" if value == round(value) else f"{value:.4g}")
    if low == high and axis.least is None and axis.most is None:  # all values are one: it is the only tick
        ticks.set_major_locator(FixedLocator([low]))
        ticks.set_major_formatter(plain)
    elif axis.log and 3 * least < high:  # over less, a logarithm has no round numbers to stand at
        getattr(axes, f"set_{which}scale")("log")
        ticks.set_major_locator(
            LogLocator(subs=(1, 2, 5) if high < 1000 * least else (1,), numticks=7)
            if high > 10 * least
            else MaxNLocator(5)
        )
        ticks.set_major_formatter(plain)
        ticks.set_minor_locator(NullLocator())
    else:
        ticks.set_major_locator(MaxNLocator(6, integer=axis.whole))
    getattr(axes, f"set_{which}lim")(axis.least, axis.most)


def _line(dashes: Any) -> str:
    pattern = "" if dashes == "-" else f' stroke-dasharray="{" ".join(f"{2 * length:g}" for length in dashes[1])}"'
    return f'<path d="M0 5H24" stroke-width="2"{pattern}/>'


def _said(value: Any) -> str:
    return f"{float(value):.4g}"


def _svg(
    figure: Figure,
    keys: Sequence[tuple[str, str, int]],
    hits: Sequence[tuple[float, float, str]],
    title: str,
    description: str,
) -> str:
    """The figure's SVG with a place over every value that says it; of several series, within an element with a legend.

    Args:
        keys: name, sign and number of each series.
        hits: place in the data's units, and what is said there.
    """
    svg = inline_svg(figure, title, description)
    (axes,) = figure.axes
    places = []
    for x, y, words in hits:
        across, up = axes.transData.transform((x, y))
        if math.isfinite(across) and math.isfinite(up) and axes.bbox.padded(2).contains(across, up):
            circle = f'<circle cx="{across:.1f}" cy="{_HEIGHT - up:.1f}" r="5"/>'
            places.append(f'<g class="hit"><title>{escape(words)}</title>{circle}</g>')
    svg = svg.removesuffix("</svg>") + "".join(places) + "</svg>"
    if len(keys) < 2:
        return svg
    entries = (
        f'<li><svg class="key" viewBox="0 0 24 10" style="--key: var(--c{number % len(SERIES)})" aria-hidden="true">'
        f"{sign}</svg>{escape(name)}</li>"
        for name, sign, number in keys
    )
    return f'<div>{svg}<ul class="legend">{"".join(entries)}</ul></div>'
