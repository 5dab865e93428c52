"""An architecture as inline SVG, as in Fig. 3 of the MONAS paper, in the page's colours; its connections counted by
direction."""

from __future__ import annotations

from dataclasses import dataclass

from nasface.report.charts import svg
from nasface.space.space import OPERATIONS, Architecture

_COLUMN, _ROW, _RADIUS = 70, 52, 9
_LEFT, _TOP = 56, 34
_HPM = OPERATIONS.index("hpm")
DIRECTIONS = ("downward", "full-scale", "upward")
"""Toward coarser scales, at one scale, toward finer ones (the paper's three fusions)."""


@dataclass(frozen=True)
class LayerCounts:
    """The connections into one layer.

    Attributes:
        layer: 1..L; L is the output.
        directions: downward, full-scale, upward.
        hpm, identity: by operation.
    """

    layer: int
    directions: tuple[int, int, int]
    hpm: int
    identity: int

    @property
    def total(self) -> int:
        return self.hpm + self.identity


def layer_counts(architecture: Architecture) -> list[LayerCounts]:
    """The connections of the canonical form, layer by layer."""
    network = architecture.canonical
    rows = []
    for gap in range(network.space.layers):
        inner = [entry for entry in network.connections() if entry[0] == gap]
        kinds = [_direction(network, *entry[:3]) for entry in inner]
        hpm = sum(entry[3] == _HPM for entry in inner)
        rows.append(LayerCounts(gap + 1, (kinds.count(0), kinds.count(1), kinds.count(2)), hpm, len(inner) - hpm))
    return rows


def _scale(network: Architecture, layer: int, node: int) -> int:
    """Stem and output stand at the finest scale."""
    return node if 0 < layer < network.space.layers else network.space.scales - 1


def _direction(network: Architecture, gap: int, source: int, target: int) -> int:
    change = _scale(network, gap + 1, target) - _scale(network, gap, source)
    return 1 + (change > 0) - (change < 0)


def architecture_svg(architecture: Architecture) -> str:
    """The canonical form: layers from left to right, the finest scale on top; HPM connections solid, identities
    dashed, coloured by direction."""
    network = architecture.canonical
    space = network.space
    width = _LEFT + space.layers * _COLUMN + 34
    height = _TOP + (space.scales - 1) * _ROW + 56

    def place(layer: int, node: int) -> tuple[float, float]:
        return _LEFT + layer * _COLUMN, _TOP + (space.scales - 1 - _scale(network, layer, node)) * _ROW

    parts = []
    for scale in range(space.scales):
        level = space.scales - 1 - scale
        top = _TOP + level * _ROW
        parts.append(f'<text x="4" y="{top + 4}">{"1" if level == 0 else f"1/{2**level}"}</text>')
    for gap, source, target, operation in network.connections():
        (x0, y0), (x1, y1) = place(gap, source), place(gap + 1, target)
        kind = ("down", "full", "up")[_direction(network, gap, source, target)]
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        dx, dy = (x1 - x0) / length * (_RADIUS + 1), (y1 - y0) / length * (_RADIUS + 1)
        dashes = "" if operation == _HPM else ' stroke-dasharray="4 4"'
        parts.append(
            f'<line class="connection {kind}"{dashes} x1="{x0 + dx:.1f}" y1="{y0 + dy:.1f}"'
            f' x2="{x1 - dx:.1f}" y2="{y1 - dy:.1f}"/>'
        )
    live = {(gap + 1, target) for gap, _, target, _ in network.connections() if gap < space.layers - 1}
    for layer in range(space.layers + 1):
        outer = layer in (0, space.layers)
        for node in range(1 if outer else space.scales):
            x, y = place(layer, node)
            kind = "end" if outer else "live" if (layer, node) in live else "idle"
            parts.append(f'<circle class="node {kind}" cx="{x}" cy="{y}" r="{_RADIUS}"/>')
        name = "stem" if layer == 0 else "output" if layer == space.layers else str(layer)
        parts.append(f'<text x="{_LEFT + layer * _COLUMN}" y="{height - 30}" text-anchor="middle">{name}</text>')
    parts.append(f'<text x="4" y="{height - 30}">layer</text>')
    counts = layer_counts(network)
    sums = [sum(row.directions[k] for row in counts) for k in range(3)]
    description = ", ".join(f"{count} {name}" for count, name in zip(sums, DIRECTIONS, strict=True))
    return svg(width, height, "".join(parts), "The searched architecture", f"Connections by direction: {description}.")
