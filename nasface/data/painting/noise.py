"""Tileable noise, made once: faces differ in where they read it."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

SIDE = 256
"""Side of every field of `bank`; a power of two, so that positions wrap by a mask."""
BLOTCHES, MOTTLE, PORES, STRANDS = range(4)
"""Fields of `bank`: wavelengths of about 80, 16 and 3 cells, and streaks along the rows' axis (hair)."""


@lru_cache(maxsize=1)
def bank() -> np.ndarray:
    """(4, SIDE, SIDE) float32, each field of zero mean and unit deviation and periodic in both directions."""
    rng = np.random.default_rng(20_240_607)
    fy, fx = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
    radius = np.hypot(fx, fy)
    bands = (
        _band(radius, 1 / 80),
        _band(radius, 1 / 16),
        _band(radius, 1 / 3.5),
        np.exp(-((fy * 70) ** 2) / 2) * np.abs(fx) ** 0.15 * np.exp(-((fx / 0.28) ** 2) / 2),
    )
    fields = [np.fft.ifft2(np.fft.fft2(rng.standard_normal((SIDE, SIDE))) * band).real for band in bands]
    return np.stack([(f - f.mean()) / f.std() for f in fields]).astype(np.float32)


def _band(radius: np.ndarray, centre: float) -> np.ndarray:
    """A transfer function an octave wide around a frequency (cycles a cell)."""
    return np.where(radius > 0, np.exp(-(np.log2(np.maximum(radius, 1e-9) / centre) ** 2) / (2 * 0.5**2)), 0)


def smooth(rng: np.random.Generator, cells: int, side: int, channels: int = 1) -> np.ndarray:
    """Smooth noise of unit deviation a cell, (side, side) or (side, side, channels) float32."""
    coarse = rng.standard_normal((cells, cells, channels), dtype=np.float32)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def fractal(rng: np.random.Generator, side: int) -> np.ndarray:
    """(side, side) float32: cloud-like noise of about unit deviation, from `bank` at three scales."""
    fields = bank()
    total = np.zeros((side, side), np.float32)
    for zoom, share in ((2.0, 0.75), (0.9, 0.5), (0.4, 0.35)):
        window = max(8, min(SIDE, round(SIDE / (2 * zoom))))
        row, column = rng.integers(0, SIDE - window + 1, 2)
        part = fields[BLOTCHES if zoom > 0.5 else MOTTLE][row : row + window, column : column + window]
        total += share * cv2.resize(part, (side, side), interpolation=cv2.INTER_LINEAR)
    return total
