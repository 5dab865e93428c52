"""Tileable noise, made once: faces differ in where they read it."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

SIDE = 256
"""Side of every field of `bank`; a power of two, so that positions wrap by a mask."""
BLOTCHES, MOTTLE, PORES, STRANDS, CLOUDS = range(5)
"""Fields of `bank`: wavelengths of about 80, 16 and 3 cells, streaks along the rows' axis (hair), and all wavelengths,
the long ones strongest."""


@lru_cache(maxsize=1)
def bank() -> np.ndarray:
    """(5, SIDE, SIDE) float32, each field of zero mean and unit deviation and periodic in both directions."""
    rng = np.random.default_rng(20_240_607)
    fy, fx = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
    radius = np.hypot(fx, fy)
    bands = (
        _band(radius, 1 / 80),
        _band(radius, 1 / 16),
        _band(radius, 1 / 3.5),
        np.exp(-((fy * 70) ** 2) / 2) * np.abs(fx) ** 0.15 * np.exp(-((fx / 0.28) ** 2) / 2),
        np.where(radius > 0, np.maximum(radius, 1 / 120) ** -1.6, 0),
    )
    fields = [np.fft.ifft2(np.fft.fft2(rng.standard_normal((SIDE, SIDE))) * band).real for band in bands]
    return np.stack([(f - f.mean()) / f.std() for f in fields]).astype(np.float32)


def _band(radius: np.ndarray, centre: float) -> np.ndarray:
    """A transfer function an octave wide around a frequency (cycles a cell)."""
    return np.where(radius > 0, np.exp(-(np.log2(np.maximum(radius, 1e-9) / centre) ** 2) / (2 * 0.5**2)), 0)


def fractal(rng: np.random.Generator, side: int) -> np.ndarray:
    """(side, side) float32: cloud-like noise of about unit deviation, a random window of `bank`."""
    window = int(rng.integers(48, SIDE + 1))
    row, column = rng.integers(0, SIDE - window + 1, 2)
    part = bank()[CLOUDS, row : row + window, column : column + window]
    return cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA if side < window else cv2.INTER_LINEAR)
