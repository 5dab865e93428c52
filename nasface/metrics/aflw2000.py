"""AFLW2000-3D's protocol (Zhu et al., "Face Alignment Across Large Poses", CVPR 2016; 3DDFA's benchmark_aflw2000.py).

Every image falls into one of three bins by its absolute yaw; the figure that papers call "Mean" is the mean of the
three bin means, not the mean over images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

YAW_EDGES = (30.0, 60.0)
"""Upper edges of the first two bins in degrees, inclusive: [0, 30], (30, 60], the rest."""

YAW_BINS = ("[0,30]", "[30,60]", "[60,90]")
"""The bins as the field prints them."""

DATASET_URL = "http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm"
"""Where AFLW2000-3D and 300W-LP are published."""


def yaw_bin(yaw: ArrayLike) -> np.ndarray:
    """Bin of each yaw: 0, 1, 2, or -1 where the yaw is not a number.

    The last bin is printed as [60,90] but takes everything above 60 degrees, as the benchmark's code does: with the
    yaw of Pose_Para the full set splits 1312 / 383 / 305, and 7 of the 305 are nominally beyond 90 degrees (values
    up to -351 occur, a fit's unwrapped angle).

    Args:
        yaw: (...) degrees, signed or not.

    Returns:
        (...) int64.
    """
    angle = np.abs(np.asarray(yaw, dtype=np.float64))
    # side="left": an angle equal to an edge belongs to the lower bin.
    bins = np.searchsorted(np.asarray(YAW_EDGES), angle, side="left")
    return np.where(np.isnan(angle), -1, bins).astype(np.int64)


@dataclass(frozen=True)
class BinnedNME:
    """NME in percent by yaw bin.

    Attributes:
        bins: mean of each bin, NaN where it has no image.
        counts: images in each bin.
        mean: mean of the bin means, over the bins that have images (of a small sample); NaN without images.
        std: population standard deviation of the same bin means.
        all: mean over all images, including those without a yaw.
    """

    bins: tuple[float, float, float]
    counts: tuple[int, int, int]
    mean: float
    std: float
    all: float

    def as_dict(self) -> dict[str, float]:
        """Flat figures to log, NaN where there is none: nme/0_30, nme/30_60, nme/60_90, nme/mean, nme/all."""
        names = ("nme/0_30", "nme/30_60", "nme/60_90")
        return {**dict(zip(names, self.bins, strict=True)), "nme/mean": self.mean, "nme/all": self.all}

    def __str__(self) -> str:
        per_bin = " / ".join("-" if np.isnan(value) else f"{value:.3f}" for value in self.bins)
        return f"{per_bin}, mean {self.mean:.3f}, all {self.all:.3f} (images {' / '.join(map(str, self.counts))})"


def binned_nme(nme: ArrayLike, yaw: ArrayLike) -> BinnedNME:
    """Sort per-image errors into the yaw bins.

    Args:
        nme: (N,) percent.
        yaw: (N,) degrees.

    Raises:
        ValueError: the two differ in length.
    """
    errors = np.asarray(nme, dtype=np.float64).reshape(-1)
    bins = yaw_bin(yaw).reshape(-1)
    if len(errors) != len(bins):
        raise ValueError(f"{len(errors)} errors and {len(bins)} yaw angles")
    members = [errors[bins == index] for index in range(len(YAW_BINS))]
    means = [float(member.mean()) if len(member) else float("nan") for member in members]
    filled = [mean for mean, member in zip(means, members, strict=True) if len(member)]
    return BinnedNME(
        bins=(means[0], means[1], means[2]),
        counts=(len(members[0]), len(members[1]), len(members[2])),
        mean=float(np.mean(filled)) if filled else float("nan"),
        std=float(np.std(filled)) if filled else float("nan"),
        all=float(errors.mean()) if len(errors) else float("nan"),
    )
