"""What the parts of multi-path networks cost, as tables: the cost of a member is the sum over its live connections.

`nasface.nets.cost` says what a multiply-add is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from nasface.config import MultipathConfig
from nasface.nets.cost import count_macs, count_parameters, on_meta
from nasface.nets.multipath import HPM_BLOCK, IDENTITY, Connection, Stem
from nasface.nets.uv_head import make_head
from nasface.space.space import MultipathSpace

Place = tuple[int, int, int]
"""Gap, source and target of a connection."""

_CODES = (IDENTITY, HPM_BLOCK)


def connection_macs(space: MultipathSpace, config: MultipathConfig) -> dict[Place, dict[int, int]]:
    """Multiply-adds of every connection by operation code, for one image."""
    finest, widths = config.input_size // config.stem_stride, config.scale_widths(space.scales)
    return _table(space, lambda start, end: _connection_macs(space, widths, finest, start, end, config.resample))


def _table(space: MultipathSpace, costs: Callable[[int, int], dict[int, int]]) -> dict[Place, dict[int, int]]:
    """The costs of every connection, a function of the scales that it starts and ends at."""
    table: dict[Place, dict[int, int]] = {}
    for gap in range(space.layers):
        for source, target in np.ndindex(*space.gap_shape(gap)):
            start = source if gap > 0 else space.scales - 1
            end = target if gap < space.layers - 1 else space.scales - 1
            table[gap, source, target] = costs(start, end)
    return table


def _connection_macs(
    space: MultipathSpace, widths: list[int], finest: int, start: int, end: int, kind: str
) -> dict[int, int]:
    sides = [finest >> (space.scales - 1 - scale) for scale in (start, end)]
    width = widths[start]
    half, quarter = width // 2, width // 4
    hpm = sides[0] ** 2 * 9 * (width * half + half * quarter + quarter * quarter)
    if start == end:
        resample = 0
    elif kind == "cells":  # a cell of the finer scale meets one of the coarser once, whichever way the connection goes
        resample = max(sides) ** 2 * width * widths[end]
    else:
        resample = min(sides) ** 2 * (9 if kind == "conv" and end < start else 1) * width * widths[end]
    return {IDENTITY: resample, HPM_BLOCK: resample + hpm}


def head_macs(config: MultipathConfig, width: int) -> int:
    """Multiply-adds of the head for one image."""
    with on_meta():
        head = make_head(config, width).eval()
    return count_macs(head, config.input_size // config.stem_stride, width)


def stem_macs(config: MultipathConfig, width: int) -> int:
    """Multiply-adds of the stem for one image."""
    with on_meta():
        stem = Stem(config, width).eval()
    return count_macs(stem, config.input_size)


def connection_parameters(space: MultipathSpace, config: MultipathConfig) -> dict[Place, dict[int, int]]:
    """Parameters of every connection by operation code; one connection of each pair of scales is built, without
    memory, to count them."""
    widths = config.scale_widths(space.scales)

    @cache
    def count(start: int, end: int) -> dict[int, int]:
        with on_meta():
            made = {
                code: Connection(widths[start], widths[end], end - start, code == HPM_BLOCK, config.resample)
                for code in _CODES
            }
        return {code: count_parameters(connection) for code, connection in made.items()}

    return _table(space, count)


def fixed_parameters(config: MultipathConfig, width: int) -> int:
    """Parameters of stem and head, which all members share."""
    with on_meta():
        return count_parameters(Stem(config, width)) + count_parameters(make_head(config, width))
