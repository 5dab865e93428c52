"""Menpo-3D: videos with 3D landmarks; the error of still frames, and the stability of motion.

3DDFA_V2 (Guo et al., ECCV 2020), section 3.1: with dp the true and dq the predicted motion of each landmark from one
frame to the next, stability is the mean ||dp - dq|| over the box's size. A constant offset thus costs nothing, jitter
does. The 55 videos of 300-VW carry 84 points, papers keep the 68 of 300-W.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nasface.metrics.nme import box_sides, box_size, nme_68, normalised_mean, point_errors

VIDEOS = 55


def frame_nme(prediction: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Per-frame NME over 68 landmarks in the image plane, normalised by sqrt(w * h) of their true box.

    Args:
        prediction: (T, 68, >=2).
        target: (T, 68, >=2).

    Returns:
        (T,) float64, percent.
    """
    return nme_68(prediction, target, box_sides(target))


def stability(prediction: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Error of the motion between neighbouring frames of one video, lower is steadier.

    The box is that of the later frame (the paper does not say which; neighbouring frames hardly differ).

    Args:
        prediction: (T, M, >=2) in the order of the frames, T >= 2.
        target: (T, M, >=2).

    Returns:
        (T - 1,) float64, percent.

    Raises:
        ValueError: shapes that do not fit, or a single frame.
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
