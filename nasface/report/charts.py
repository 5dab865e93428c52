"""Charts as inline SVG: no script, colours from the page's style sheet, a title and a description for screen readers.

Series differ by colour and by dashes, so that a chart reads without colours, too.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 400, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 42
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2")
_MOST_POINTS = 400
COLOURS = len(_DASHES)
"""Colours that the style sheet has: classes s0, s1, ..."""


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


class _Scale:
    """Takes values to places between two ends, and says where ticks are."""

    def __init__(self, values: np.ndarray, axis: Axis, start: float, end: float) -> None:
        self.log, self.start, self.end = axis.log, start, end
        values = values[np.isfinite(values) & ((values > 0) | (not axis.log))]
        low = axis.least if axis.least is not None else (values.min() if len(values) else 0.1)
        high = axis.most if axis.most is not None else (values.max() if len(values) else 1.0)
        low, high = (math.log10(low), math.log10(high)) if self.log else (float(low), float(high))
        if high - low < 1e-9 * max(1.0, abs(high)):
            low, high = low - 0.5, high + 0.5
        margin = 0.04 * (high - low)
        self.low = low if axis.least is not None else low - margin
        self.high = high if axis.most is not None else high + margin

    def __call__(self, values: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            inner = np.log10(values) if self.log else values
        return self.start + (inner - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        if self.log:
            powers = range(math.ceil(self.low), math.floor(self.high) + 1)
            if len(powers) < 2:
                values = [
                    f * 10.0**k for k in range(math.floor(self.low), math.ceil(self.high)) for f in (1, 2, 3, 5, 7)
                ]
                return [value for value in values if self.low <= math.log10(value) <= self.high]
            return [10.0**power for power in powers[:: max(1, math.ceil(len(powers) / 6))]]
        step = _nice_step((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _nice_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))


def line_chart(series: Sequence[Series], x: Axis, y: Axis, title: str, description: str) -> str:
    """An SVG of lines or points over common axes, with a legend where there is more than one.

    Args:
        title: short, the chart's name to a screen reader.
        description: what it shows, in words and figures.
    """
    xs, ys = (
        np.concatenate([np.asarray(getattr(one, name), dtype=float) for one in series] or [np.zeros(0)])
        for name in "xy"
    )
    rows = -(-len(series) // 2) if len(series) > 1 else 0
    height = _HEIGHT + 18 * rows
    across, up = _Scale(xs, x, _LEFT, _WIDTH - _RIGHT), _Scale(ys, y, _HEIGHT - _BOTTOM, _TOP)
    parts = [*_frame(across, up, x, y)]
    clip = f"clip{zlib.crc32(f'{title} {description}'.encode()):08x}"
    box = (
        f'<rect x="{_LEFT}" y="{_TOP - 4}" width="{_WIDTH - _LEFT - _RIGHT}" height="{_HEIGHT - _TOP - _BOTTOM + 8}"/>'
    )
    parts.append(f'<clipPath id="{clip}">{box}</clipPath><g clip-path="url(#{clip})">')
    for place, one in enumerate(series):
        number = place if one.style is None else one.style
        places = across(np.asarray(one.x, dtype=float)), up(np.asarray(one.y, dtype=float))
        parts.append(_points(*places, number) if one.points else _line(*places, number, one.step))
    parts.append("</g>")
    for one in series:
        places = across(np.asarray(one.x, dtype=float)), up(np.asarray(one.y, dtype=float))
        for label, left, top in zip(one.labels, *places, strict=False):
            anchor = "end" if left > _WIDTH * 0.65 else "start"
            shift = -6 if anchor == "end" else 6
            parts.append(
                f'<text x="{left + shift:.1f}" y="{top - 5:.1f}" text-anchor="{anchor}">{escape(label)}</text>'
            )
    if rows:
        parts += _legend(series)
    return svg(_WIDTH, height, "".join(parts), title, description)


def bar_chart(groups: Sequence[str], series: Sequence[tuple[str, Sequence[float | None]]], y: Axis, title: str,
              description: str) -> str:  # fmt: skip
    """An SVG of bars: for each group one bar of each series, with its value above it where there is room."""
    values = np.array([[np.nan if v is None else float(v) for v in row] for _, row in series], dtype=float)
    top = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    axis = Axis(y.label, least=0.0, most=1.12 * top)
    up = _Scale(values.ravel(), axis, _HEIGHT - _BOTTOM, _TOP)
    rows = -(-len(series) // 2) if len(series) > 1 else 0
    width = (_WIDTH - _LEFT - _RIGHT) / len(groups)
    bar = 0.8 * width / len(series)
    parts = [*_frame(None, up, Axis(""), axis)]
    base = _HEIGHT - _BOTTOM
    for g, group in enumerate(groups):
        centre = _LEFT + (g + 0.5) * width
        parts.append(f'<text x="{centre:.1f}" y="{base + 16}" text-anchor="middle">{escape(group)}</text>')
        for s in range(len(series)):
            if not math.isfinite(values[s, g]):
                continue
            left, height = centre - 0.4 * width + s * bar, float(up(values[s, g]))
            parts.append(
                f'<rect class="bar s{s % COLOURS}" x="{left + 1:.1f}" y="{height:.1f}" width="{bar - 2:.1f}"'
                f' height="{base - height:.1f}"/>'
            )
            if bar > 24:
                place = f'x="{left + bar / 2:.1f}" y="{height - 4:.1f}"'
                parts.append(f'<text {place} text-anchor="middle">{values[s, g]:.2f}</text>')
    if rows:
        parts += _legend([Series(name, [], []) for name, _ in series], bars=True)
    return svg(_WIDTH, _HEIGHT + 18 * rows, "".join(parts), title, description)


def svg(width: float, height: float, content: str, title: str, description: str) -> str:
    """An image that a screen reader names and describes."""
    return (
        f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title, quote=True)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{content}</svg>"
    )


def _frame(across: _Scale | None, up: _Scale, x: Axis, y: Axis) -> list[str]:
    right, base = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for value in up.ticks():
        place = float(up(np.asarray(value)))
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{place:.1f}" y2="{place:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{place + 4:.1f}" text-anchor="end">{_number(value, up)}</text>')
    if across is not None:
        for value in across.ticks():
            place = float(across(np.asarray(value)))
            parts.append(f'<line class="tick" x1="{place:.1f}" x2="{place:.1f}" y1="{base}" y2="{base + 4}"/>')
            parts.append(f'<text x="{place:.1f}" y="{base + 16}" text-anchor="middle">{_number(value, across)}</text>')
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{base}" y2="{base}"/>')
    middle = (_LEFT + right) / 2
    parts.append(f'<text class="label" x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x.label)}</text>')
    height = (_TOP + base) / 2
    upright = f'transform="translate(13 {height}) rotate(-90)"'
    parts.append(f'<text class="label" {upright} text-anchor="middle">{escape(y.label)}</text>')
    return parts


def _number(value: float, scale: _Scale) -> str:
    if scale.log:
        power = round(math.log10(value))
        if not math.isclose(value, 10.0**power):
            return f"{value:g}"
        return f'10<tspan dy="-4" font-size="9">{power}</tspan>' if not -2 <= power <= 3 else f"{value:g}"
    return f"{round(value, 10):g}".replace("-", "−")


def _line(x: np.ndarray, y: np.ndarray, number: int, step: bool) -> str:
    if len(x) > _MOST_POINTS:
        kept = np.unique(np.linspace(0, len(x) - 1, _MOST_POINTS).round().astype(int))
        x, y = x[kept], y[kept]
    path, drawing = [], False
    for left, top in zip(x, y, strict=True):
        if not (math.isfinite(left) and math.isfinite(top)):
            drawing = False
            continue
        if step and drawing:
            path.append(f"H{left:.1f}V{top:.1f}")
        else:
            path.append(f"{'L' if drawing else 'M'}{left:.1f} {top:.1f}")
        drawing = True
    return f'<path class="line s{number % COLOURS}"{_dash(number)} d="{"".join(path)}"/>'


def _points(x: np.ndarray, y: np.ndarray, number: int) -> str:
    kept = np.isfinite(x) & np.isfinite(y)
    radius = 2 if kept.sum() > 30 else 4
    circles = (f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{radius}"/>' for a, b in zip(x[kept], y[kept], strict=True))
    return f'<g class="points s{number % COLOURS}">{"".join(circles)}</g>'


def _legend(series: Sequence[Series], bars: bool = False) -> list[str]:
    parts = []
    for place, one in enumerate(series):
        left, top = _LEFT + place % 2 * (_WIDTH - _LEFT) / 2, _HEIGHT + 8 + 18 * (place // 2)
        number = place if one.style is None else one.style
        if bars:
            mark = f'<rect class="bar s{number % COLOURS}" x="{left}" y="{top - 5}" width="20" height="9"/>'
        elif one.points:
            mark = f'<g class="points s{number % COLOURS}"><circle cx="{left + 10}" cy="{top}" r="3"/></g>'
        else:
            mark = f'<path class="line s{number % COLOURS}"{_dash(number)} d="M{left:.1f} {top}H{left + 22:.1f}"/>'
        name = one.name if len(one.name) <= 21 else f"{one.name[:20]}…"
        parts.append(f'{mark}<text x="{left + 28:.1f}" y="{top + 4}">{escape(name)}</text>')
    return parts


def _dash(number: int) -> str:
    dashes = _DASHES[number % len(_DASHES)]
    return f' stroke-dasharray="{dashes}"' if dashes else ""
