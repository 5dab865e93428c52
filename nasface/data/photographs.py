"""Annotated photographs of any set, cropped to faces: the last step that all readers of photographs share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nasface.data.cache import cached_face_set, fill_images, fingerprint, image_buffer
from nasface.data.crops import CropSettings, crop_square, crop_window, is_face_box, resize_image
from nasface.data.face_set import FaceSet
from nasface.faces.camera import resize_similarity, transform_points, transform_pose
from nasface.utils.errors import UserError
from nasface.utils.images import decode_image
from nasface.utils.reading import beside, files_in

_VERSION = 1  # of the cached sets; to be raised when their content changes


@dataclass(frozen=True)
class Photograph:
    """One face in pixels of its whole photograph (x right, y down, first pixel's centre = 0).

    Attributes:
        image: file of the photograph.
        landmarks: (M, 2) or (M, 3); NaN where a point is not annotated.
        visible: (M,) bool, None where the set does not say. Points that are not annotated are never visible.
        yaw: degrees; NaN where unknown.
        box: (4,) left, top, right, bottom that the set normalises errors by and is cropped around; the box of the
            annotated points where None.
        pose: (3, 4) matrix from model coordinates to pixels of the photograph, or None.
        coefficients: (K,) of the set's morphable model, or None.
    """

    image: Path
    landmarks: np.ndarray
    visible: np.ndarray | None = None
    yaw: float = float("nan")
    box: np.ndarray | None = None
    pose: np.ndarray | None = None
    coefficients: np.ndarray | None = None


def crop_photographs(
    name: str,
    read: Callable[[], Sequence[Photograph]],
    sources: Iterable[Path],
    crops: CropSettings,
    *,
    settings: tuple[object, ...] = (),
    decode: Callable[[int], np.ndarray] | None = None,
) -> FaceSet:
    """Crops of photographs as a face set, in their order.

    The crop is `crop_window` around the face's box, black beyond the photograph. Landmarks of two-dimensional sets have
    z = 0.

    Args:
        name: of the set, also of its folder in the cache.
        read: the photographs; called only where the cache has no crops of them yet.
        sources: every file that the content depends on; a change of one makes the crops anew.
        settings: everything else that the content depends on.
        decode: gives the photograph (H, W, 3) uint8 RGB of a face by its number, where it is no file of its own.

    Raises:
        UserError: there is no face, a face has no extent, or an image does not decode.
    """
    mark = fingerprint(sources, _VERSION, crops.margin, *settings)

    def build() -> FaceSet:
        faces = read()
        if not faces:
            raise UserError(f"{name} holds no face: check its folder and settings")
        boxes = np.stack([face_box(face) for face in faces])
        windows = [crop_window(box.reshape(2, 2), crops.margin) for box in boxes]

        def crop(index: int) -> np.ndarray:
            (left, top), side = windows[index]
            image = decode_image(faces[index].image) if decode is None else decode(index)
            return resize_image(crop_square(image, int(left), int(top), side), crops.size)

        with image_buffer(len(faces), crops.size, crops.cache_dir) as images:
            fill_images(images, crop, crops.progress)
            return _labelled(name, images, faces, boxes, windows)

    return cached_face_set(crops.cache_dir, f"{name}-{crops.size}px-{mark}", build)


def find_photographs(folder: str | Path, suffix: str, source: str) -> list[tuple[Path, Path]]:
    """Photographs (.jpg, .jpeg, .png) and the annotation files with `suffix` beside them, sorted by path; photographs
    without annotations are passed over. A UserError where there is none, or one lacks its photograph."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"folder {folder} does not exist: give another; {source}")
    annotations = files_in(folder, suffix, deep=True)
    if not annotations:
        raise UserError(f"folder {folder} holds no {suffix} files: unpack the set there; {source}")
    pairs = []
    for path in annotations:
        beside_it = (beside(path, ending) for ending in (".jpg", ".png", ".jpeg"))
        image = next((image for image in beside_it if image.is_file()), None)
        if image is None:
            raise UserError(f"{path} has no {path.stem}.jpg or .png beside it: restore it; {source}")
        pairs.append((image, path))
    return pairs


def face_box(face: Photograph) -> np.ndarray:
    """Left, top, right, bottom (4,) of a face; a UserError where its annotated points have no extent."""
    if face.box is not None:
        box = np.asarray(face.box, dtype=np.float64)
    else:
        points = face.landmarks[np.isfinite(face.landmarks[:, :2]).all(axis=1), :2].astype(np.float64)
        box = np.concatenate([points.min(axis=0), points.max(axis=0)]) if len(points) else np.zeros(4)
    if not is_face_box(box[:2], box[2:]):
        what = "has no extent" if not (box[2:] > box[:2]).all() else f"would be {box.tolist()} in pixels"
        raise UserError(f"the face in {face.image} {what}: restore its annotation or take it off the list")
    return box


def _labelled(
    name: str, images: np.ndarray, faces: Sequence[Photograph], boxes: np.ndarray, windows: list[tuple[np.ndarray, int]]
) -> FaceSet:
    matrix = np.stack([resize_similarity(side, images.shape[1]) for _, side in windows])
    ratio = matrix[:, :1, 0]
    matrix[:, :, 2] -= ratio * np.stack([corner for corner, _ in windows])
    landmarks = np.stack([_in_three(face.landmarks) for face in faces])
    annotated = np.isfinite(landmarks[..., :2]).all(axis=-1)
    poses = [face.pose for face in faces if face.pose is not None]
    coefficients = [face.coefficients for face in faces if face.coefficients is not None]
    posed = len(poses) == len(faces)
    visible = None
    if not annotated.all() or all(face.visible is not None for face in faces):
        visible = annotated & np.stack([np.bool_(face.visible is None) | _known(face) for face in faces])
    return FaceSet(
        name=name,
        images=images,
        landmarks=transform_points(landmarks, matrix),
        yaw=np.array([face.yaw for face in faces], dtype=np.float32),
        box=((boxes[:, 2:] - boxes[:, :2]) * ratio).astype(np.float32),
        pose=transform_pose(np.stack(poses), matrix) if posed else None,
        coefficients=np.stack(coefficients).astype(np.float32) if posed else None,
        visible=visible,
    )


def _known(face: Photograph) -> np.ndarray:
    return np.zeros(len(face.landmarks), dtype=bool) if face.visible is None else np.asarray(face.visible, dtype=bool)


def _in_three(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, dtype=np.float64)
    return points if points.shape[1] == 3 else np.concatenate([points, np.zeros((len(points), 1))], axis=1)
