"""Backgrounds: backdrops, rooms, outdoors and clutter, sRGB."""

from __future__ import annotations

import cv2
import numpy as np

from nasface.rendering.painting.looks import Look
from nasface.rendering.painting.noise import fractal
from nasface.rendering.painting.skin import skin_tone


def draw_background(rng: np.random.Generator, side: int, look: Look) -> np.ndarray:
    """(side, side, 3) float32 in [0, 1]."""
    if rng.random() < look.backdrop:
        image = _backdrop(rng, side)
    else:
        image = (_room, _outdoors, _clouds)[rng.integers(3)](rng, side)
        for _ in range(int(rng.integers(0, 9))):
            _thing(rng, image)
        if rng.random() < 0.6:
            image = cv2.GaussianBlur(image, (0, 0), side * rng.uniform(0.006, 0.05))
    return np.clip(image, 0, 1)


def muted(rng: np.random.Generator) -> np.ndarray:
    """A colour as most things have: rarely vivid, of any lightness."""
    light, vivid = rng.beta(1.4, 1.6), rng.beta(1.1, 3.5)
    hue = rng.uniform(0, 3) - np.arange(3)
    tint = np.cos(hue * 2 * np.pi / 3)
    return np.clip(light + vivid * 0.5 * tint * (0.4 + light), 0.01, 0.99).astype(np.float32)


def _ramp(rng: np.random.Generator, side: int, first: np.ndarray, second: np.ndarray, angle: float) -> np.ndarray:
    line = np.linspace(-1, 1, side, dtype=np.float32)
    t = np.clip(0.5 + 0.5 * (np.float32(np.cos(angle)) * line + np.float32(np.sin(angle)) * line[:, None]), 0, 1)
    return first + t[..., None] * (second - first)


def _backdrop(rng: np.random.Generator, side: int) -> np.ndarray:
    """Paper or cloth behind the sitter, lit from somewhere, dark toward the corners."""
    base = muted(rng)
    image = _ramp(rng, side, base, np.clip(base * np.float32(rng.uniform(0.5, 1.3)), 0, 1), rng.uniform(0, 6.3))
    image = image * (1 + np.float32(rng.uniform(0, 0.12)) * fractal(rng, side))[..., None]
    line = np.linspace(-1, 1, side, dtype=np.float32)
    x, y = line - np.float32(rng.uniform(-0.6, 0.6)), line[:, None] - np.float32(rng.uniform(-0.6, 0.6))
    return (image * np.exp(-np.float32(rng.uniform(0, 0.5)) * (x * x + y * y))[..., None]).astype(np.float32)


def _room(rng: np.random.Generator, side: int) -> np.ndarray:
    """A wall with upright and level things on it: doors, shelves, windows, frames."""
    wall = muted(rng)
    image = np.ascontiguousarray(_ramp(rng, side, wall, wall * np.float32(0.75), rng.uniform(0, 6.3)), np.float32)
    for _ in range(int(rng.integers(2, 8))):
        x, y = rng.uniform(-0.2, 1, 2) * side
        w, h = rng.uniform(0.05, 0.6, 2) * side
        colour = (
            muted(rng)
            if rng.random() < 0.75
            else np.array([0.9, 0.92, 0.95], np.float32) * np.float32(rng.uniform(0.8, 1.1))
        )
        corner, end = (int(x), int(y)), (int(x + w), int(y + h))
        cv2.rectangle(image, corner, end, colour.tolist(), -1)
        if rng.random() < 0.6:
            cv2.rectangle(image, corner, end, (colour * np.float32(0.6)).tolist(), max(1, side // 60))
    return image


def _outdoors(rng: np.random.Generator, side: int) -> np.ndarray:
    """Sky over leaves, stone or ground, with discs of light out of focus."""
    sky = np.array([rng.uniform(0.45, 0.85), rng.uniform(0.6, 0.9), rng.uniform(0.75, 1.0)], np.float32)
    low = np.array(
        [[0.2, 0.3, 0.12], [0.45, 0.42, 0.38], [0.5, 0.4, 0.25], [0.3, 0.34, 0.3]][rng.integers(4)], np.float32
    )
    low = low * np.float32(rng.uniform(0.5, 1.4))
    noise = fractal(rng, side)
    line = np.linspace(0, 1, side, dtype=np.float32)[:, None]
    edge = np.clip((line - np.float32(rng.uniform(-0.4, 1.1)) + 0.25 * noise) * np.float32(rng.uniform(3, 12)), 0, 1)
    ground = low * (1 + 0.45 * fractal(rng, side))[..., None]
    image = np.ascontiguousarray(sky * (1 - edge[..., None]) + ground * edge[..., None], np.float32)
    if rng.random() < 0.5:
        spots = np.zeros_like(image)
        for _ in range(int(rng.integers(3, 20))):
            centre = (rng.uniform(0, 1, 2) * side).astype(int).tolist()
            radius = int(side * rng.uniform(0.02, 0.08)) + 1
            cv2.circle(spots, centre, radius, (rng.uniform(0.1, 0.5) * (low + sky)).tolist(), -1)
        image += spots
    return image


def _clouds(rng: np.random.Generator, side: int) -> np.ndarray:
    """Two colours in clouds."""
    first, second = muted(rng), muted(rng)
    t = np.clip(0.5 + np.float32(rng.uniform(0.2, 0.6)) * fractal(rng, side), 0, 1)[..., None]
    return np.ascontiguousarray(first + t * (second - first), np.float32)


def _thing(rng: np.random.Generator, image: np.ndarray) -> None:
    """One box, disc, bar or far face somewhere."""
    side = len(image)
    colour = (skin_tone(rng) * rng.uniform(0.4, 1.1) if rng.random() < 0.25 else muted(rng)).tolist()
    x, y, w, h = rng.uniform([0, 0, 0.04, 0.04], [1, 1, 0.4, 0.5]) * side
    kind = rng.integers(3)
    if kind == 0:
        corners = cv2.boxPoints(((x, y), (w, h), float(rng.normal(0, 12))))
        cv2.fillPoly(image, [np.round(corners).astype(np.int32)], colour)
    elif kind == 1:
        cv2.ellipse(image, (int(x), int(y)), (int(w / 2), int(h / 2)), float(rng.uniform(0, 180)), 0, 360, colour, -1)
    else:
        end = rng.uniform(-0.2, 1.2, 2) * side
        cv2.line(
            image, (int(x), int(y)), (int(end[0]), int(end[1])), colour, max(1, int(side * rng.uniform(0.01, 0.06)))
        )
