"""AFLW2000-3D's protocol (Zhu et al., "Face Alignment Across Large Poses", CVPR 2016; 3DDFA's benchmark_aflw2000.py).

A face's error is the mean distance of its 68 landmarks over sqrt(w * h) of their true box, in the image plane
(`nme_2d`) or in space (`nme_3d`). Every image falls into one of three bins by its absolute yaw; the figure that papers
call "Mean" is the mean of the three bin means, not the mean over images. Some papers report a balanced subset instead
(`balanced_nme`), which has the same expectation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nasface.metrics.nme import DepthAlignment, align_depth, box_sides, box_size, nme_68, normalised_mean, point_errors

YAW_EDGES = (30.0, 60.0)
"""Upper edges of the first two bins in degrees, inclusive: [0, 30], (30, 60], the rest."""

YAW_BINS = ("[0,30]", "[30,60]", "[60,90]")
"""The bins as the field prints them."""

BIN_NAMES = ("0-30", "30-60", "60-90")
"""The same in the names of settings, logged figures and columns."""

FIGURES = (*BIN_NAMES, "mean", "all")
"""What records have of a network, in this order: the yaw bins, their mean, all faces."""

YAW_FILES = {"AFLW2000-3D.pose.npy": (1312, 383, 305), "AFLW2000-3D-new.pose.npy": (1306, 462, 232)}
"""Images in each bin of the full set by 3DDFA's two files of yaw angles: the first holds the yaw of the files'
`Pose_Para` (its code's default), the second AFLW's own labels (the counts that papers print)."""

DATASET_URL = "http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm"
"""Where AFLW2000-3D and 300W-LP are published."""


def nme_2d(prediction: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Per-image NME of 68 points in the image plane, the benchmark's own; the target is pt3d_68, or x and y of the re-
    annotation (AFLW2000-3D-Reannotated.pts68.npy), which counts pixels from 0 where `pt3d_68` counts from 1."""
    return nme_68(prediction, target, box_sides(target))


def nme_3d(prediction: ArrayLike, target: ArrayLike, depth: DepthAlignment = "mean") -> np.ndarray:
    """Per-image NME of distances in space of 68 points (N, 68, 3), normalised by the same box of x and y; z grows
    toward the camera in their unit.

    `depth` is what is made equal first: mean z (JVCR, utils/evaluation.py; SADRNet's KptNME) or least z (2DASL,
    evaluation/nme_for_alignment_68pts_3d.m).
    """
    return normalised_mean(point_errors(align_depth(prediction, target, depth), target, 3), box_size(target))


def yaw_bin(yaw: ArrayLike) -> np.ndarray:
    """Bin (...) int64 of each yaw (...) in degrees, signed or not: 0, 1, 2, or -1 where the yaw is not a number.

    The last bin is printed as [60,90] but takes everything above 60 degrees, as the benchmark's code does: with the yaw
    of Pose_Para the full set splits 1312 / 383 / 305, and 7 of the 305 are nominally beyond 90 degrees (values up to
    -351 occur, a fit's unwrapped angle).
    """
    angle = np.abs(np.asarray(yaw, dtype=np.float64))
    # side="left": an angle equal to an edge belongs to the lower bin.
    bins = np.searchsorted(np.asarray(YAW_EDGES), angle, side="left")
    return np.where(np.isnan(angle), -1, bins).astype(np.int64)


def yaw_file_of(counts: tuple[int, int, int]) -> str | None:
    """The one of `YAW_FILES` that gives these numbers of images in the bins; None for another set, or a part of it."""
    return next((name for name, known in YAW_FILES.items() if known == tuple(counts)), None)


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
    """Sort per-image errors (N,) into the bins of their yaw (N,) in degrees."""
    errors, members = _by_bin(nme, yaw)
    means = [float(member.mean()) if len(member) else float("nan") for member in members]
    filled = [mean for mean, member in zip(means, members, strict=True) if len(member)]
    return BinnedNME(
        bins=(means[0], means[1], means[2]),
        counts=(len(members[0]), len(members[1]), len(members[2])),
        mean=float(np.mean(filled)) if filled else float("nan"),
        std=float(np.std(filled)) if filled else float("nan"),
        all=float(errors.mean()) if len(errors) else float("nan"),
    )


def _by_bin(nme: ArrayLike, yaw: ArrayLike) -> tuple[np.ndarray, list[np.ndarray]]:
    """All errors (N,), and those of each yaw bin."""
    errors, bins = np.asarray(nme, dtype=np.float64).reshape(-1), yaw_bin(yaw).reshape(-1)
    if len(errors) != len(bins):
        raise ValueError(f"{len(errors)} errors and {len(bins)} yaw angles")
    return errors, [errors[bins == index] for index in range(len(YAW_BINS))]


@dataclass(frozen=True)
class BalancedNME:
    """NME in percent of balanced subsets.

    Attributes:
        mean: over the draws of the mean over a subset's images.
        std: population standard deviation over the draws: how much one paper's draw may be off.
        count: images of each bin in a subset.
        draws: how many subsets.
    """

    mean: float
    std: float
    count: int
    draws: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} +- {self.std:.3f} (3 x {self.count} images, {self.draws} draws)"


def balanced_nme(
    nme: ArrayLike, yaw: ArrayLike, count: int | None = None, draws: int = 200, seed: int = 0
) -> BalancedNME:
    """Mean over random subsets with equally many images of each yaw bin, drawn without repetition.

    Papers use one unpublished draw (696 images: 3 x 232); the expectation is the mean of the bin means.

    Args:
        nme, yaw: as for `binned_nme`.
        count: images of each bin, at most as many as the smallest bin has, and by default that (232 by AFLW's labels).
        draws: subsets to draw, >= 1.
        seed: of the draws.
    """
    _, members = _by_bin(nme, yaw)
    smallest = min(map(len, members))
    count = smallest if count is None else count
    if not 1 <= count <= smallest:
        raise ValueError(f"{count} images of each yaw bin cannot be drawn: the smallest has {smallest}")
    rng = np.random.default_rng(seed)
    means = [np.mean([rng.choice(member, count, replace=False).mean() for member in members]) for _ in range(draws)]
    return BalancedNME(float(np.mean(means)), float(np.std(means)), count, draws)
