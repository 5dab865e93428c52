"""A contact sheet of synthetic faces over yaw: what is drawn, and every label that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from nasface.faces.landmarks import CLOSED_GROUPS, GROUPS
from nasface.faces.morphable import load_embedded_head
from nasface.faces.uv import UVBasis, position_map, sample_map, uv_basis
from nasface.rendering.synthetic import Face, SyntheticFaces, draw_face, face_yaw, visibility_buffer
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write

_CELL = 192  # pixels of one picture on the sheet
_MOST_FACES = 1000  # of a picture that viewers open
_CANDIDATES = 40  # faces to choose from for each that is shown
_SEEN, _HIDDEN = (60, 230, 120), (235, 60, 60)


def draw_preview(path: str | Path, faces: SyntheticFaces, columns: int = 9, map_size: int = 64) -> None:
    """Write a PNG of synthetic faces in rows of `columns`, yaw rising from left to right.

    Each face has four pictures one below the other: as drawn; with its 68 landmarks, red where the head hides them;
    its UV position map, x, y and z as red, green and blue; and the image read back through that map, in a darker red
    where the head hides the surface. `wild` faces have 2D labels only, hence the first two.

    Args:
        path: PNG.
        faces: from which split and how many, a multiple of `columns`.
        map_size: side of the UV maps, 8 to 512.

    Raises:
        UserError: a setting is out of range, or the file cannot be written.
    """
    if not 8 <= map_size <= 512:
        raise UserError(f"UV maps of {map_size} cells are of no use here: choose 8 to 512")
    if faces.count > _MOST_FACES:
        raise UserError(f"{faces.count} faces are too many for a sheet: choose {_MOST_FACES} at most")
    basis = uv_basis(load_embedded_head(), map_size) if faces.domain == "studio" else None
    rows = []
    for row in spread_over_yaw(faces, columns):
        drawn = [draw_face(faces.seed, faces.split, index, faces.image_size, domain=faces.domain) for index in row]
        rows.append(np.concatenate([_column(face, basis) for face in drawn], axis=1))
    write_sheet(path, rows)


def spread_over_yaw(faces: SyntheticFaces, columns: int) -> np.ndarray:
    """(rows, columns) indices of `count` different faces of the split, each row evenly spread over yaw."""
    candidates = range(_CANDIDATES * faces.count)
    yaw = np.array([face_yaw(faces.seed, faces.split, index, faces.domain) for index in candidates])
    chosen = np.empty((faces.count // columns, columns), dtype=np.int64)
    for place in np.ndindex(*chosen.shape):
        wanted = -90 + 180 * (place[1] + 0.5) / columns
        chosen[place] = np.abs(yaw - wanted).argmin()
        yaw[chosen[place]] = np.inf
    return chosen


def write_sheet(path: str | Path, rows: Sequence[np.ndarray]) -> None:
    """Write pictures of equal width, one below the other, as a PNG."""
    with atomic_write(path) as temporary:
        _, packed = cv2.imencode(".png", np.concatenate(rows)[..., ::-1])
        temporary.write_bytes(packed.tobytes())


def _column(face: Face, basis: UVBasis | None) -> np.ndarray:
    pictures = [enlarge(face.image), with_landmarks(face.image, face.landmarks, face.visible, face.yaw)]
    if basis is not None:
        maps = position_map(basis, face.coefficients, face.pose)
        pictures += [enlarge(_coloured(maps, basis.inside)), enlarge(_read_back(face, maps, basis.inside))]
    return np.concatenate(pictures)


def enlarge(image: np.ndarray) -> np.ndarray:
    """An image as a picture of the sheet."""
    picture = cv2.resize(image, (_CELL, _CELL), interpolation=cv2.INTER_CUBIC)
    label = picture.copy()
    label[-1:], label[:, -1:] = 255, 255
    return label


def with_landmarks(image: np.ndarray, landmarks: np.ndarray, visible: np.ndarray, yaw: float) -> np.ndarray:
    """A picture of the sheet with its 68 landmarks, red where hidden, and its yaw."""
    picture, scale = enlarge(image), _CELL / len(image)
    points = np.round(((landmarks[:, :2] + 0.5) * scale - 0.5) * 16).astype(np.int32)
    for name, group in GROUPS.items():
        cv2.polylines(picture, [points[list(group)]], name in CLOSED_GROUPS, (255, 255, 255), 1, cv2.LINE_AA, 4)
    for point, seen in zip(points.tolist(), visible, strict=True):
        cv2.circle(picture, point, 32, _SEEN if seen else _HIDDEN, -1, cv2.LINE_AA, 4)
    cv2.putText(picture, f"{yaw:+.0f}", (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 0), 1, cv2.LINE_AA)
    return picture


def _coloured(maps: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A position map (3, M, M) as colours."""
    values = maps[:, inside]
    low, high = values.min(axis=1), values.max(axis=1)
    scaled = (maps - low[:, None, None]) / np.maximum(high - low, 1e-6)[:, None, None]
    return (255 * np.clip(scaled, 0, 1) * inside).transpose(1, 2, 0).astype(np.uint8)


def _read_back(face: Face, maps: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The image through its map, hidden cells dark red."""
    span = np.float32(max(len(face.image) - 1, 1))
    cells = maps.reshape(3, -1).T
    texture = sample_map(face.image.transpose(2, 0, 1).astype(np.float32), cells[:, :2] / span)
    unit = float(np.linalg.norm(face.pose[0, :3]))
    seen = visibility_buffer(face.coefficients, face.pose).sees(cells, 0.04 * unit)
    texture = np.where(seen[:, None], texture, 0.25 * texture + [70, 0, 0])
    return np.clip(texture * inside.reshape(-1, 1), 0, 255).reshape(*inside.shape, 3).astype(np.uint8)
