"""Faces drawn over their photograph: the dense shape, the 68 landmarks, the head's axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from nasface.faces.camera import euler_to_matrix
from nasface.faces.drawing import PREDICTED, draw_surface
from nasface.faces.landmarks import CLOSED_GROUPS, GROUPS
from nasface.inference.detection import Box

_SHIFT = 4  # binary digits of a drawn point's fraction
_NOSE_TIP = 30
_AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_AXIS_COLOURS = ((226, 61, 61), (46, 176, 80), (64, 124, 245))
"""Red to the image's right on a frontal face, green up, blue out of the face."""


class Drawn(Protocol):
    """What is drawn of a face; `nasface.inference.face.Face` says what each is."""

    @property
    def landmarks(self) -> np.ndarray: ...
    @property
    def angles(self) -> np.ndarray: ...
    @property
    def box(self) -> Box: ...
    @property
    def vertices(self) -> np.ndarray: ...
    @property
    def triangles(self) -> np.ndarray: ...
    @property
    def has_mesh(self) -> bool: ...


def draw_faces(image: np.ndarray, faces: Sequence[Drawn], opacity: float = 0.4) -> np.ndarray:
    """A copy of the photograph (H, W, 3) uint8 with its faces drawn on it.

    Args:
        opacity: of the dense shape, 0..1.
    """
    canvas = np.array(image)
    for face in faces:
        if face.has_mesh and opacity > 0:
            _draw_dense(canvas, face.vertices, face.triangles, opacity)
    for face in faces:
        _draw_points(canvas, face)
        _draw_axes(canvas, face)
    return canvas


def _draw_dense(canvas: np.ndarray, vertices: np.ndarray, triangles: np.ndarray, opacity: float) -> None:
    """Draws in the part of the canvas that the shape covers."""
    if not np.isfinite(vertices).all():
        return
    height, width = canvas.shape[:2]
    left, top = np.maximum(np.floor(vertices[:, :2].min(0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(vertices[:, :2].max(0)).astype(int) + 1, [width, height])
    if left >= right or top >= bottom:
        return
    part = canvas[top:bottom, left:right]
    part[:] = draw_surface(part, vertices - [left, top, 0], triangles, opacity)


def _draw_points(canvas: np.ndarray, face: Drawn) -> None:
    colour = tuple(int(PREDICTED[i : i + 2], 16) for i in (1, 3, 5))
    side = max(face.box[2:])
    line, radius = max(1, round(side / 220)), max(1.0, side / 130)
    points = np.clip(face.landmarks[:, :2], -1e5, 1e5)
    fixed = np.round(points * 2**_SHIFT).astype(np.int32)
    for name, indices in GROUPS.items():
        outline = fixed[list(indices)].reshape(1, -1, 2)
        cv2.polylines(canvas, outline, name in CLOSED_GROUPS, colour, line, cv2.LINE_AA, _SHIFT)
    for point in fixed:
        size = round(radius * 2**_SHIFT)
        cv2.circle(canvas, point.tolist(), size, (255, 255, 255), -1, cv2.LINE_AA, _SHIFT)
        cv2.circle(canvas, point.tolist(), size, colour, line, cv2.LINE_AA, _SHIFT)


def _draw_axes(canvas: np.ndarray, face: Drawn) -> None:
    rotation = euler_to_matrix(face.angles)
    start = face.landmarks[_NOSE_TIP, :2].astype(float)
    side = max(face.box[2:])
    order = np.argsort([(rotation @ axis)[2] for axis in _AXES])  # the one that comes nearest is drawn last
    for k in order:
        along = (rotation @ _AXES[k])[:2] * [1, -1] * 0.4 * side
        if np.hypot(*along) < 0.02 * side:
            continue
        ends = np.round(np.clip([start, start + along], -1e5, 1e5) * 2**_SHIFT).astype(int)
        first, last = ends.tolist()
        cv2.line(canvas, first, last, _AXIS_COLOURS[k], max(2, round(side / 90)), cv2.LINE_AA, _SHIFT)
