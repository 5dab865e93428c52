"""Square crops around faces, as the benchmarks cut them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nasface.utils.errors import UserError
from nasface.utils.progress import Progress

CROP_MARGIN = 2.0**0.5
"""Side of the benchmark's crop in units of the longer side of the landmarks' box (3DDFA, benchmarkCrop.m)."""

LARGEST = 2**14
"""Pixels of the longer side of the largest face; greater ones are mistakes that would ask for the whole memory."""


def is_face_box(low: np.ndarray, high: np.ndarray) -> bool:
    """Whether corners (..., 2) in pixels are those of faces: finite, with an area, neither huge nor far off."""
    corners = np.stack([low, high])
    return bool(
        np.isfinite(corners).all()
        and (low < high).all()
        and np.abs(corners).max() <= 2 * LARGEST
        and (high - low).max() <= LARGEST
    )


@dataclass(frozen=True)
class CropSettings:
    """The crops that a reader of a data set makes.

    Attributes:
        size: their side in pixels.
        margin: side of the square that is cut in units of the longer side of the face's box, > 0; sets that consist of
            crops are only resized.
        cache_dir: where to keep them; they are read from there the next time, unless a source has changed. Made in
            memory each time where None.
        progress: called with (images done, images).

    Raises:
        UserError: the margin is not above 0.
    """

    size: int
    margin: float = CROP_MARGIN
    cache_dir: str | Path | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if not self.margin > 0:
            raise UserError(
                f"a crop margin of {self.margin} is not possible: set a positive number (the benchmark's is 1.414)"
            )


def crop_window(landmarks: np.ndarray, margin: float = CROP_MARGIN) -> tuple[np.ndarray, int]:
    """First pixel (x, y) and side, in whole pixels, of the crop around landmarks (68, >=2); it may leave the image."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    side = max(1, int(np.round(float((high - low).max()) * margin)))
    # Pixel k covers k - 0.5 to k + 0.5.
    return np.round((low + high) / 2 + 0.5 - side / 2).astype(np.int64), side


def resize_image(image: np.ndarray, size: int) -> np.ndarray:
    """A (H, W, 3) image at (size, size): area averages when shrinking, bilinear when enlarging."""
    if image.shape[:2] == (size, size):
        return image
    shrinks = size <= min(image.shape[:2])
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def crop_square(image: np.ndarray, left: int, top: int, side: int) -> np.ndarray:
    """The (side, side, 3) square whose first pixel is (left, top); black where it leaves the image."""
    height, width = image.shape[:2]
    square = np.zeros((side, side, 3), dtype=image.dtype)
    x0, x1 = max(left, 0), min(left + side, width)
    y0, y1 = max(top, 0), min(top + side, height)
    if x0 < x1 and y0 < y1:
        square[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return square
