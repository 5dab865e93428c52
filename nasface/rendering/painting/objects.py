"""Things before the face: a hand, what it holds, a microphone, a sheet; rounded by light."""

from __future__ import annotations

import cv2
import numpy as np

from nasface.rendering.painting.light import Light
from nasface.rendering.painting.scenery import muted


def draw_object(
    rng: np.random.Generator, image: np.ndarray, points: np.ndarray, tone: np.ndarray, light: Light
) -> None:
    """Draw one thing over `image` (S, S, 4), linear, near the rim of the face or across it.

    Args:
        points: (68, 2) landmarks in the image's pixels.
        tone: sRGB of the skin, for hands.
    """
    span = float(np.ptp(points, axis=0).max())
    centre = points.mean(axis=0)
    kind = rng.choice(["hand", "held", "microphone", "sheet"], p=[0.45, 0.2, 0.15, 0.2])
    anchor = points[rng.integers(0, 17)] if rng.random() < 0.7 else points[rng.integers(27, 68)]
    away = (anchor - centre) / (np.linalg.norm(anchor - centre) + 1e-6)
    mask = np.zeros(image.shape[:2], np.uint8)
    blur, colour, roundness = rng.uniform(0, 0.01) * span, muted(rng), 0.008
    if kind == "microphone":
        spot = points[62] + rng.normal(0, 0.1, 2) * span + [0, 0.22 * span]
        _line(mask, spot, spot + np.array([rng.normal(0, 0.4), 1.0]) * span, 0.07 * span)
        cv2.circle(mask, *_circle(spot, 0.09 * span), 255, -1, cv2.LINE_AA, 4)
        colour, roundness = np.array([0.12, 0.12, 0.13], np.float32) * np.float32(rng.uniform(0.5, 2)), 0.05
    elif kind == "held":  # a telephone or a cup
        size = span * np.array([0.22, rng.choice([0.26, 0.42])]) * rng.uniform(0.9, 1.2)
        _box(mask, anchor + away * size[0] * rng.uniform(0, 0.6), size, rng.normal(0, 18))
        roundness = 0.02
    elif kind == "sheet":  # a book, a collar, somebody's shoulder: it goes on beyond the picture
        size = span * rng.uniform(0.8, 1.4, 2)
        _box(mask, anchor + away * size.max() * rng.uniform(0.45, 0.65), size, rng.normal(0, 25))
    if kind != "hand":
        _lay(image, mask, colour, roundness * span, light, blur)
    if kind in ("hand", "held"):
        mask[:] = 0
        _hand(rng, mask, anchor + away * span * (0.2 if kind == "held" else 0.0), centre, span)
        _lay(image, mask, tone.astype(np.float32), 0.05 * span, light, blur)


def _box(mask: np.ndarray, middle: np.ndarray, size: np.ndarray, turn: float) -> None:
    corners = cv2.boxPoints((middle.tolist(), size.tolist(), float(turn)))
    cv2.fillPoly(mask, [np.round(corners * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)


def _hand(rng: np.random.Generator, mask: np.ndarray, anchor: np.ndarray, centre: np.ndarray, span: float) -> None:
    """A palm away from the face, fingers toward it."""
    toward = (centre - anchor) / (np.linalg.norm(centre - anchor) + 1e-6)
    turn = rng.normal(0, 0.5)
    toward = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ toward
    across = np.array([-toward[1], toward[0]])
    palm = anchor - toward * span * rng.uniform(0.1, 0.3)
    width = span * rng.uniform(0.045, 0.06)
    _line(mask, palm, palm - toward * span * 0.8, 3.6 * width)
    fan = rng.uniform(0.05, 0.3)
    for finger in range(int(rng.integers(2, 5))):
        place = finger - 1.5
        root = palm + across * place * width * 1.7
        bent = toward + across * place * fan + rng.normal(0, 0.05, 2)
        middle = root + bent * span * 0.16
        tip = middle + (bent + rng.normal(0, 0.15, 2)) * span * rng.uniform(0.08, 0.15)
        _line(mask, root, middle, 1.5 * width)
        _line(mask, middle, tip, 1.35 * width)


def _line(mask: np.ndarray, start: np.ndarray, end: np.ndarray, width: float) -> None:
    ends = np.round(np.stack([start, end]) * 16).astype(np.int32)
    cv2.polylines(mask, [ends], False, 255, max(1, round(width)), cv2.LINE_AA, 4)


def _circle(centre: np.ndarray, radius: float) -> tuple[tuple[int, int], int]:
    return (round(float(centre[0]) * 16), round(float(centre[1]) * 16)), round(radius * 16)


def _lay(image: np.ndarray, mask: np.ndarray, colour: np.ndarray, bulge: float, light: Light, blur: float) -> None:
    """Shade a flat shape as if its rim were round within `bulge` pixels, and lay it over the image."""
    inside = np.minimum(cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3) / max(bulge, 1), 1)
    height = cv2.GaussianBlur(np.sqrt(inside * (2 - inside)), (0, 0), max(0.25 * bulge, 0.6))
    slope_y, slope_x = np.gradient(height * bulge)
    nz = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    facing = np.maximum((-slope_x * light.lamp[0] + slope_y * light.lamp[1] + light.lamp[2]) * nz, 0)[..., None]
    around = (0.45 + 0.4 * nz + 0.15 * slope_y * nz)[..., None]
    shaded = colour.astype(np.float32) ** 2 * (light.ambient * around + light.colour * facing)
    alpha: np.ndarray = mask.astype(np.float32) / 255
    if blur > 0.5:
        alpha = cv2.GaussianBlur(alpha, (0, 0), blur)
    alpha = alpha[..., None]
    image *= 1 - alpha
    image[..., :3] += alpha * shaded.astype(np.float32)
    image[..., 3:] += alpha
