"""Test-time mirroring: the average of what a network finds on a face and on its mirror image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nasface.faces.landmarks import FLIP_68

Regress = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]


def with_mirrored(regress: Regress) -> Regress:
    """A network that averages its predictions for each crop (N, S, S, 3) and for the mirrored one.

    Landmarks (N, 68, 3) and UV maps (N, 3, M, M) or None, as of `regress`; a map's chart must be mirror symmetric, as
    all charts here are.
    """

    def averaged(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        size = crops.shape[1]
        landmarks, maps = regress(crops)
        other, other_maps = regress(np.ascontiguousarray(crops[:, :, ::-1]))
        other = other[:, FLIP_68]
        other[..., 0] = size - 1 - other[..., 0]
        landmarks = (landmarks + other) / 2
        if maps is None or other_maps is None:
            return landmarks, None
        mirrored = other_maps[..., ::-1].copy()
        mirrored[:, 0] = size - 1 - mirrored[:, 0]
        return landmarks, (maps + mirrored) / 2

    return averaged
