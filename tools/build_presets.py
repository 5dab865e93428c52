"""Write well-known networks as members of a multi-path space (MONAS, end of section III-A): PRNet, Hourglass, HRNet.

    python -m tools.build_presets

writes search_spaces/presets/, which comes with the program.

Only their topology is taken: which scales exist at which depth and what is fused where. Blocks are HPM, skips are
identity.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nasface.space.catalogue import load_space
from nasface.space.presets import FOLDER
from nasface.space.space import Architecture, MultipathSpace

IDENTITY, HPM = 1, 2


def prnet(space: MultipathSpace) -> Architecture:
    """An encoder-decoder without skips, as PRNet (Feng et al., ECCV 2018): down the scales one by one, and up again.

    Layers beyond those that the way takes stay at the coarsest scale; with too few layers the way turns back earlier.
    """
    gaps = _empty(space)
    _add_way(gaps, _down_and_up(space))
    return _architecture(space, gaps)


def hourglass(space: MultipathSpace) -> Architecture:
    """One hourglass (Newell et al., ECCV 2016): the way of `prnet`, and at every scale that it leaves a skip (one
    HPM, then identity) that joins it where it comes back to that scale."""
    gaps = _empty(space)
    way = _down_and_up(space)
    for scale in range(min(way) + 1, space.scales):
        first, last = way.index(scale), len(way) - 1 - way[::-1].index(scale)
        for layer in range(first, last):
            gaps[layer + 1][scale, scale] = HPM if layer == first else IDENTITY
    _add_way(gaps, way)
    return _architecture(space, gaps)


def hrnet(space: MultipathSpace) -> Architecture:
    """A high-resolution network (Sun et al., CVPR 2019): the finest scale all along, the next coarser one added at
    every stage.

    Within a stage all streams exchange (HPM in a stream, identity between streams); between stages each goes on, and
    a new one comes from the coarsest. In the end all are fused at the finest scale.
    """
    gaps = _empty(space)
    nodes = space.layers - 1
    streams = [1 + layer * min(space.scales, nodes) // nodes for layer in range(nodes)]
    coarsest = [space.scales - count for count in streams]
    gaps[0][0, -1] = HPM
    for layer, (old, new) in enumerate(zip(coarsest, coarsest[1:], strict=False)):
        block = gaps[layer + 1]
        if new == old:
            block[old:, old:] = IDENTITY
        else:
            block[old, new] = HPM
        np.fill_diagonal(block[old:, old:], HPM)
    gaps[-1][coarsest[-1] :] = IDENTITY
    gaps[-1][-1] = HPM
    return _architecture(space, gaps)


MAKERS: dict[str, Callable[[MultipathSpace], Architecture]] = {"hourglass": hourglass, "hrnet": hrnet, "prnet": prnet}


def write_presets(folder: Path = FOLDER) -> None:
    """Write every preset of the space multipath as <folder>/<name>.json."""
    space = load_space("multipath")
    for name, make in MAKERS.items():
        make(space).save(folder / f"{name}.json", provenance={"preset": name})


def _empty(space: MultipathSpace) -> list[np.ndarray]:
    return [np.zeros(space.gap_shape(gap), dtype=np.int8) for gap in range(space.layers)]


def _down_and_up(space: MultipathSpace) -> list[int]:
    """The scale at each of the layers 1..L-1 of an encoder-decoder whose output has the finest scale."""
    nodes = space.layers - 1
    depth = min(space.scales - 1, (nodes - 1) // 2)
    return [space.scales - 1 - min(layer, nodes - 1 - layer, depth) for layer in range(nodes)]


def _add_way(gaps: list[np.ndarray], way: list[int]) -> None:
    gaps[0][0, way[0]] = HPM
    for layer in range(len(way) - 1):
        gaps[layer + 1][way[layer], way[layer + 1]] = HPM
    gaps[-1][way[-1], 0] = HPM


def _architecture(space: MultipathSpace, gaps: list[np.ndarray]) -> Architecture:
    return Architecture(space, tuple(int(code) for gap in gaps for code in gap.ravel()))


if __name__ == "__main__":
    write_presets()
