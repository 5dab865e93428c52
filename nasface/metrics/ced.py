"""Cumulative error distribution (CED): its curve, the area under it, and the failure rate at a threshold.

The area up to a threshold was proposed as a figure of merit by H. Yang et al., "An empirical study of recent face
alignment methods" (arXiv 1511.05049); FAN's evaluation takes it up to 7 % (1adrianb/2D-and-3D-face-alignment,
utils.lua), others up to 8 or 10 %.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def ced_curve(errors: ArrayLike, thresholds: ArrayLike) -> np.ndarray:
    """Share (T,) float64, 0..1, of the errors (N,), at least one, that are at most each of the thresholds (T,); an
    error that is not a number is above every threshold."""
    return np.searchsorted(_sorted(errors), np.asarray(thresholds, dtype=np.float64), side="right") / np.size(errors)


def area_under_ced(errors: ArrayLike, threshold: float) -> float:
    """The exact area under the CED curve of errors (N,), >= 0, from 0 to `threshold`, > 0, divided by the threshold:
    0..1, 1 without any error.

    The curve is a staircase, so the integral is a mean: max(0, threshold - error) / threshold over the images. A sum
    over a grid of thresholds (see `area_under_ced_fan`) tends to it as the grid becomes finer.
    """
    if not threshold > 0:
        raise ValueError(f"a threshold of {threshold} bounds no area")
    return float(np.clip(threshold - _sorted(errors), 0.0, None).mean() / threshold)


def area_under_ced_fan(errors: ArrayLike) -> float:
    """The area up to 7 % as FAN's evaluation sums it (1adrianb/2D-and-3D-face-alignment, utils.lua).

    The mean, over the first 70 of 1000 thresholds from 0 to 100 %, of the share of errors (N,) in percent strictly
    below: a little under the exact area up to 7 %, since every step counts with its lower end.
    """
    thresholds = np.linspace(0, 100, 1000)[:70]
    return float((np.searchsorted(_sorted(errors), thresholds, side="left") / np.size(errors)).mean())


def failure_rate(errors: ArrayLike, threshold: float) -> float:
    """Share (0..1) of the errors (N,) that are above the threshold, often 8 or 10 %, or not a number."""
    return 1.0 - float(ced_curve(errors, [threshold])[0])


def _sorted(errors: ArrayLike) -> np.ndarray:
    """The errors from the least to the greatest, those that are no numbers as infinite."""
    values = np.asarray(errors, dtype=np.float64).ravel()
    if values.size == 0:
        raise ValueError("there is no error to count")
    return np.sort(np.where(np.isnan(values), np.inf, values))
