"""3DDFA's crops: which square of a photograph its networks see, and how their landmarks go back into the photograph.

A region is four numbers: left, top, right, bottom. Three policies make one, and two codes cut it out:

* the benchmark's (3DDFA, benchmark/benchmarkCrop.m and ImageROI.m): a square around the box of the true landmarks,
  sqrt(2) times its longer side, rounded; 1-based and inclusive as MATLAB counts. What the code keeps is the region
  clipped to the photograph, although the crop is the whole one, filled up with black: the landmarks of the faces whose
  square leaves the photograph (56 of 2000) go back with a wrong scale (`clip_region`). Published figures contain that.
* the landmark policy of the released code (3DDFA_V2, utils/functions.py): the same square, not rounded until it is cut.
* the box policy (ibid.): 1.58 times the mean side of a detector's box, shifted down by 0.14 of it.

Going back, 3DDFA takes x (right - left) / 120 + left (`to_photograph`). The exact inverse of resizing also moves by
half a pixel of each image, (1 - 120 / side) / 2 pixels of the crop; the published networks have learned the former.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from nasface.data.crops import crop_square
from nasface.faces.ddfa_model import CROP_SIZE

BOX_SCALE = 1.58
BOX_SHIFT = 0.14


def landmark_region(landmarks: ArrayLike) -> np.ndarray:
    """The square (4,) float64 around landmarks (M, >=2): its side is sqrt(2) times the longer side of their box."""
    xy = np.asarray(landmarks, dtype=np.float64)[:, :2]
    low, high = xy.min(axis=0), xy.max(axis=0)
    half = (high - low).max() / np.sqrt(2.0)
    centre = (low + high) / 2
    return np.concatenate([centre - half, centre + half])


def benchmark_region(landmarks: ArrayLike) -> np.ndarray:
    """`landmark_region` of 1-based landmarks, rounded as the benchmark does: (4,) int64, 1-based, both ends inside."""
    region = landmark_region(landmarks)
    corner = round_away(region[:2])
    return np.concatenate([corner, round_away(corner + (region[2] - region[0]))]).astype(np.int64)


def box_region(box: ArrayLike) -> np.ndarray:
    """The square (4,) float64 of a detector's box (4,): left, top, right, bottom."""
    left, top, right, bottom = np.asarray(box, dtype=np.float64)
    size = (right - left + bottom - top) / 2
    side = int(size * BOX_SCALE)
    corner = np.array([(left + right) / 2, (top + bottom) / 2 + size * BOX_SHIFT]) - side / 2
    return np.concatenate([corner, corner + side])


def clip_region(region: ArrayLike, width: int, height: int) -> np.ndarray:
    """A 1-based region cut off at the edges of its photograph, as the benchmark stores it; of the same type."""
    left, top, right, bottom = np.asarray(region)
    return np.array([max(left, 1), max(top, 1), min(right, width), min(bottom, height)])


def cut_benchmark(image: np.ndarray, region: ArrayLike, size: int = CROP_SIZE) -> np.ndarray:
    """The crop (size, size, 3) uint8 of a `benchmark_region` that is not clipped; black beyond the photograph.

    MATLAB's imresize is a cubic filter that widens when it shrinks, and so is Pillow's.
    """
    left, top, right, bottom = (int(edge) for edge in np.asarray(region))
    square = crop_square(image, left - 1, top - 1, max(right - left, bottom - top) + 1)
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BICUBIC))


def cut_released(image: np.ndarray, region: ArrayLike, size: int = CROP_SIZE) -> np.ndarray:
    """The crop (size, size, 3) uint8 of a 0-based region as 3DDFA_V2's code cuts it: rounded, right and bottom outside,
    bilinear; black beyond the photograph."""
    left, top, right, bottom = (int(edge) for edge in np.round(np.asarray(region, dtype=np.float64)))
    wide, high = right - left, bottom - top
    part = crop_square(image, left, top, max(wide, high))[:high, :wide]
    return cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR)


def to_photograph(points: ArrayLike, regions: ArrayLike, size: int = CROP_SIZE) -> np.ndarray:
    """Landmarks in pixels of the photographs as 3DDFA computes them; depth takes the mean of both scales.

    Args:
        points: (N, M, 2 or 3) crop pixels.
        regions: (N, 4).
        size: side of the crops.

    Returns:
        (N, M, 2 or 3) float64.
    """
    moved = np.array(points, dtype=np.float64)
    edges = np.asarray(regions, dtype=np.float64)
    scale = (edges[:, 2:] - edges[:, :2]) / size
    moved[..., :2] = moved[..., :2] * scale[:, None] + edges[:, None, :2]
    moved[..., 2:] *= scale.mean(axis=1)[:, None, None]
    return moved


def to_photograph_exactly(points: ArrayLike, regions: ArrayLike, size: int = CROP_SIZE) -> np.ndarray:
    """`to_photograph` by the exact inverse of resizing, for 0-based crop pixels of regions with both ends inside: the
    crop's pixel centres k lie at (k + 0.5) s - 0.5 of the square, s = (right - left + 1) / size."""
    moved = np.array(points, dtype=np.float64)
    edges = np.asarray(regions, dtype=np.float64)
    scale = (edges[:, 2:] - edges[:, :2] + 1) / size
    moved[..., :2] = (moved[..., :2] + 0.5) * scale[:, None] - 0.5 + edges[:, None, :2]
    moved[..., 2:] *= scale.mean(axis=1)[:, None, None]
    return moved


def round_away(values: np.ndarray) -> np.ndarray:
    """MATLAB's round: halves away from zero, where numpy's go to the even number."""
    return np.copysign(np.floor(np.abs(values) + 0.5), values)
