"""The camera: from linear light to the bytes of a picture, with its defects."""

from __future__ import annotations

import cv2
import numpy as np

from nasface.rendering.painting.looks import Look

_LUMINANCE = np.array([[0.3], [0.59], [0.11]], np.float32)
_SHOULDER = np.float32(0.65)  # linear light beyond which the film's response bends


def develop(light: np.ndarray) -> np.ndarray:
    """sRGB (gamma 2) in [0, 1] of linear light (S, S, 3): bright parts are compressed, not cut."""
    over = np.maximum(light - _SHOULDER, 0)
    room = 1 - _SHOULDER
    return np.sqrt(np.minimum(light, _SHOULDER) + room * (1 - np.exp(-over / room)))


def take(rng: np.random.Generator, image: np.ndarray, look: Look) -> np.ndarray:
    """Bytes of a developed image (S, S, 3): white balance, contrast, vignette, focus, motion, noise, resolution,
    compression."""
    side = len(image)
    warmth, green = rng.normal(0, 0.5 * look.tint), rng.normal(0, 0.12 * look.tint)
    image = image * np.exp([0.5 * warmth, green, -0.5 * warmth]).astype(np.float32)
    image = np.clip(image, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.2)))
    image = _contrast(image, np.float32(np.exp(rng.normal(look.contrast, 0.3))))
    grey = image @ _LUMINANCE
    image = grey + (image - grey) * np.float32(rng.uniform(0.4, 1.25))
    if rng.random() < 0.3:
        line = np.linspace(-1, 1, side, dtype=np.float32)
        image = image * (1 - np.float32(rng.uniform(0, 0.25)) * (line**2 + line[:, None] ** 2))[..., None]
    if rng.random() < look.grey:
        image = np.repeat(image @ _LUMINANCE, 3, axis=2)
    if rng.random() < look.coarse:
        low = max(16, round(side * rng.uniform(0.35, 0.8)))
        image = cv2.resize(cv2.resize(image, (low, low), interpolation=cv2.INTER_AREA), (side, side))
    if rng.random() < look.blur:
        image = cv2.GaussianBlur(image, (0, 0), side / 64 * rng.uniform(0.2, 0.65))
    if rng.random() < look.motion:
        image = _move(rng, image)
    if rng.random() < 0.7:
        deviation = np.float32(look.noise * rng.random() ** 2)
        image = image + deviation * (1.3 - image) * rng.standard_normal(image.shape, dtype=np.float32)
    image = to_bytes(image)
    if rng.random() < look.cut:
        _cut(rng, image)
    if rng.random() < look.jpeg:
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*look.quality))])
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    return image


def _contrast(image: np.ndarray, factor: np.float32) -> np.ndarray:
    """An image in [0, 1] stretched about its mean; ends are bent, not cut."""
    stretched = image.mean() + factor * (image - image.mean())
    return np.clip(stretched, 0, 1) if factor < 1 else 0.5 + 0.5 * np.tanh(2 * stretched - 1) / np.float32(np.tanh(1))


def _cut(rng: np.random.Generator, image: np.ndarray) -> None:
    """The photograph's edge within the crop: black beyond it."""
    for turn in rng.permutation(4)[: rng.integers(1, 3)]:
        np.rot90(image, turn)[: round(len(image) * rng.uniform(0, 0.22))] = 0


def _move(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Blur along one direction."""
    length, angle = max(3, round(len(image) / 64 * rng.uniform(2, 5))), rng.uniform(0, np.pi)
    kernel = np.zeros((length, length), np.float32)
    middle, reach = (length - 1) / 2, (length - 1) / 2 * np.array([np.cos(angle), np.sin(angle)])
    ends = np.round(np.stack([middle - reach, middle + reach]) * 16).astype(np.int32)
    cv2.polylines(kernel, [ends], False, 1.0, 1, cv2.LINE_8, 4)
    return cv2.filter2D(image, -1, kernel / max(kernel.sum(), 1), borderType=cv2.BORDER_REFLECT)


def to_bytes(image: np.ndarray) -> np.ndarray:
    """uint8 of an image in [0, 1]."""
    return np.clip(np.round(image * 255), 0, 255).astype(np.uint8)
