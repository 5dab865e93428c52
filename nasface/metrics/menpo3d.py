"""Menpo-3D: videos with 3D landmarks and the stability of motion; the error of still frames is `aflw2000.nme_2d`.

3DDFA_V2 (Guo et al., ECCV 2020), section 3.1: with dp the true and dq the predicted motion of each landmark from one
frame to the next, stability is the mean ||dp - dq|| over the box's size. A constant offset thus costs nothing, jitter
does. The 55 videos of 300-VW carry 84 points, papers keep the 68 of 300-W.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nasface.metrics.nme import box_size, normalised_mean, point_errors


def stability(prediction: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Error (T - 1,) in percent of the motion between neighbouring frames of one video; lower is steadier.

    Both take (T, M, >=2) in the order of the frames, T > 1. The box is that of the later frame (the paper does not say
    which; neighbouring frames hardly differ).
    """
    predicted, wanted = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if predicted.ndim != 3 or wanted.ndim != 3 or len(wanted) < 2:
        raise ValueError(f"frames of shapes {predicted.shape} and {wanted.shape} hold no motion")
    motion = point_errors(np.diff(predicted, axis=0), np.diff(wanted, axis=0))
    return normalised_mean(motion, box_size(wanted[1:]))


def over_videos(figures: list[np.ndarray]) -> float:
    """The mean over all frames of all videos, long videos counting more; NaN without any."""
    joined = np.concatenate([np.ravel(values) for values in figures]) if figures else np.empty(0)
    return float(joined.mean()) if joined.size else float("nan")
