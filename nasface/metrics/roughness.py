"""How rough a dense shape is: creases between cells show here, where the NME does not see them."""

from __future__ import annotations

import torch
from torch import Tensor


def roughness(maps: Tensor, inside: Tensor, box: Tensor) -> Tensor:
    """Mean length (B,) of the second differences of position maps (B, 3, M, M) along rows and columns, in percent of
    sqrt(w * h) of the true landmarks' boxes (B, 2), width and height in pixels.

    A plane has 0 whatever its tilt; the rendered heads have a few tenths of a percent at 64 x 64 cells. A difference
    counts where all of its three cells are `inside` (M, M), the skin.
    """
    total, count = maps.new_zeros(len(maps)), 0
    for axis in (-1, -2):
        size = maps.shape[axis] - 2
        first, middle, last = (maps.narrow(axis, start, size) for start in range(3))
        whole = torch.stack([inside.narrow(axis, start, size) for start in range(3)]).all(0)
        lengths = (first - 2 * middle + last).norm(dim=1)[:, whole]
        total, count = total + lengths.sum(1), count + lengths.shape[1]
    return 100 * total / max(count, 1) / box.prod(-1).sqrt()
