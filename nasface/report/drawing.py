"""A drawing of an architecture, as in Fig. 3 of the MONAS paper: layers from left to right, the finest scale on top."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyArrowPatch

from nasface.report.figures import inline_svg, save_figure
from nasface.space.space import OPERATIONS, Architecture
from nasface.utils.errors import UserError

FORMATS = (".svg", ".png", ".pdf")

_HPM = OPERATIONS.index("hpm")
_BLUE, _GREY, _INK, _FAINT, _ORANGE = "#1f5fbf", "#8a8f98", "#23272e", "#e3e5e8", "#d9822b"
_STYLES: dict[int, dict[str, Any]] = {
    OPERATIONS.index("identity"): {"color": _GREY, "linewidth": 1.1, "linestyle": (0, (4, 2.5)), "zorder": 2},
    _HPM: {"color": _BLUE, "linewidth": 1.8, "linestyle": "-", "zorder": 3},
}
DIRECTIONS = ("downward", "full-scale", "upward")
"""Toward coarser scales, at one scale, toward finer ones (the paper's three fusions)."""
COUNTED = (*DIRECTIONS, "HPM", "identity", "all")
_COLOURS = (_BLUE, "#5d6470", "#b3500a")  # of the directions
_COLUMN, _ROW = 1.45, 1.0  # distances of nodes
_RADIUS = 0.17  # of a node, in the same unit
_INCH = 0.72  # inches a unit


def draw_architecture(
    architecture: Architecture,
    path: str | Path | None = None,
    directions: bool = False,
    width: int | None = None,
) -> Figure:
    """Draw the canonical form of an architecture.

    HPM connections are solid blue, identity connections dashed grey; nodes that the network does not use are faint.

    Args:
        architecture: what to draw.
        path: where to save it, as .svg, .png or .pdf; None saves nothing.
        directions: colour the connections by direction.
        width: of the network, where the search chose it; written beside the number of connections.

    Returns:
        The figure. It belongs to no window and to no global state.

    Raises:
        UserError: the path has another ending, or cannot be written.
    """
    if path is not None and Path(path).suffix.lower() not in FORMATS:
        raise UserError(f"cannot draw to {path}: use a name that ends in {', '.join(FORMATS)}")
    network = architecture.canonical
    space = network.space
    # Small networks get margin at the right, so that the heading and the legend fit.
    left, right = -1.5, max(space.layers * _COLUMN + 0.9, 6.5)
    bottom, top = -1.25, (space.scales - 1) * _ROW + 1.45
    figure = Figure(figsize=((right - left) * _INCH, (top - bottom) * _INCH))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.axis("off")
    _draw_nodes(axes, network)
    for gap, source, target, operation in network.connections():
        style = _STYLES[operation]
        if directions:
            style = style | {"color": _COLOURS[_direction(network, gap, source, target)]}
        axes.add_patch(_arrow(_position(network, gap, source), _position(network, gap + 1, target), style))
    _draw_labels(axes, network, directions, width)
    return save_figure(figure, path, dpi=150)


def architecture_svg(architecture: Architecture, width: int | None = None) -> str:
    """The drawing as an element of a page, coloured by direction; `width` as of `draw_architecture`."""
    sums = zip(layer_counts(architecture).sum(0), DIRECTIONS, strict=False)
    words = ", ".join(f"{count} {name}" for count, name in sums)
    figure = draw_architecture(architecture, directions=True, width=width)
    return inline_svg(figure, "The searched architecture", f"Connections by direction: {words}.")


def _position(network: Architecture, layer: int, scale: int) -> tuple[float, float]:
    """Where the node of a layer (0 the stem, L the output) is drawn; the stem and the output stand at the finest
    scale."""
    top = network.space.scales - 1
    return layer * _COLUMN, (top if layer in (0, network.space.layers) else scale) * _ROW


def _draw_nodes(axes: Axes, network: Architecture) -> None:
    space = network.space
    live = {(gap + 1, target) for gap, _, target, _ in network.connections() if gap < space.layers - 1}
    for layer in range(1, space.layers):
        for scale in range(space.scales):
            edge, face = (_INK, "white") if (layer, scale) in live else (_FAINT, "#fafafa")
            axes.add_patch(_node(_position(network, layer, scale), edge, face))
    for layer, text in ((0, "stem"), (space.layers, "output")):
        x, y = _position(network, layer, 0)
        axes.add_patch(_node((x, y), _ORANGE, "#fdf3e7"))
        axes.text(x, y + 0.33, text, ha="center", va="bottom", fontsize=9, color=_INK)


def _node(centre: tuple[float, float], edge: str, face: str) -> Circle:
    return Circle(centre, _RADIUS, edgecolor=edge, facecolor=face, linewidth=1.2, zorder=4)


def _arrow(start: tuple[float, float], end: tuple[float, float], style: dict[str, Any]) -> FancyArrowPatch:
    length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
    along = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)
    gap = _RADIUS + 0.03
    tail, head = (
        (point[0] + sign * gap * along[0], point[1] + sign * gap * along[1]) for point, sign in ((start, 1), (end, -1))
    )
    return FancyArrowPatch(tail, head, arrowstyle="-|>", mutation_scale=8, shrinkA=0, shrinkB=0, **style)


def _draw_labels(axes: Axes, network: Architecture, directions: bool, width: int | None) -> None:
    space = network.space
    operations = [operation for _, _, _, operation in network.connections()]
    hpm = operations.count(_HPM)
    left, top = -1.35, (space.scales - 1) * _ROW
    axes.text(left, top + 1.28, str(network), ha="left", va="top", fontsize=11, weight="bold", color=_INK)
    counts = f"{len(operations)} connections: {hpm} HPM, {len(operations) - hpm} identity"
    counts += f", width {width}" if width else ""
    axes.text(left, top + 0.98, counts, ha="left", va="top", fontsize=9.5, color=_INK)
    for scale in range(space.scales):
        fraction = "1" if scale == space.scales - 1 else f"1/{2 ** (space.scales - 1 - scale)}"
        axes.text(left, scale * _ROW, fraction, ha="left", va="center", fontsize=9, color=_COLOURS[1])
    for layer in range(1, space.layers):
        axes.text(layer * _COLUMN, -0.36, str(layer), ha="center", va="top", fontsize=9, color=_COLOURS[1])
    axes.text(left, -0.36, "layer", ha="left", va="top", fontsize=9, color=_COLOURS[1])
    shown = {OPERATIONS[operation]: style for operation, style in reversed(_STYLES.items())}
    if directions:
        lines = dict(zip(DIRECTIONS, _COLOURS, strict=True))
        shown = {name: style | {"color": _INK} for name, style in shown.items()} | {
            name: _STYLES[_HPM] | {"color": colour} for name, colour in lines.items()
        }
    handles = [Line2D([], [], label="HPM" if name == "hpm" else name, **style) for name, style in shown.items()]
    for label, edge in (("node", _INK), ("unused node", _FAINT)):
        handles.append(
            Line2D([], [], color=edge, label=label, marker="o", markersize=8, markerfacecolor="white", linestyle="none")
        )
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(left - 0.02, -1.15),
        bbox_transform=axes.transData,
        ncols=4,
        frameon=False,
        fontsize=9,
        borderaxespad=0,
    )


def layer_counts(architecture: Architecture) -> np.ndarray:
    """How many connections of the canonical form lead into the layers 1..L, of which L is the output; int (L, 6), the
    columns as in `COUNTED`."""
    network = architecture.canonical
    counts = np.zeros((network.space.layers, len(COUNTED)), dtype=int)
    for gap, source, target, operation in network.connections():
        counts[gap, [_direction(network, gap, source, target), 3 if operation == _HPM else 4, 5]] += 1
    return counts


def _direction(network: Architecture, gap: int, source: int, target: int) -> int:
    """Place in `DIRECTIONS` of a connection."""
    change = _position(network, gap + 1, target)[1] - _position(network, gap, source)[1]
    return 1 + (change > 0) - (change < 0)
