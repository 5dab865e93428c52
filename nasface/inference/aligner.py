"""From a photograph to its faces in 3D: detection, the evaluation's crop, the network, and back to the photograph."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from nasface.data.crops import CROP_MARGIN, crop_square, crop_window, is_face_box, resize_image
from nasface.faces.camera import resize_similarity, transform_points
from nasface.faces.procrustes import head_angles
from nasface.faces.surface import chart_surface
from nasface.inference.detection import NO_DETECTOR, Box, Detection, Detector, as_box
from nasface.inference.face import Face
from nasface.utils.errors import UserError
from nasface.utils.images import decode_image

Regress = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
"""Crops (N, S, S, 3) uint8 RGB to landmarks (N, 68, 3) and UV maps (N, 3, M, M) or None, in crop pixels."""

Photograph = np.ndarray | str | Path
Boxes = Sequence[Box] | Literal["image"] | None

DETECTED_SIDE, DETECTED_DOWN = 1.58, 0.14
"""From a detector's box (forehead to chin) to the crop (3DDFA_V2, utils/functions.py, parse_roi_box_from_bbox): side in
units of the box's mean side, and how far the middle moves down in the same unit."""
_AT_ONCE = 32
"""Faces that pass the network together: more take more memory, and no less time each."""


@dataclass(eq=False)
class FaceAligner:
    """Aligns the faces of photographs with one network.

    Attributes:
        regress: the network.
        input_size: side of its crops in pixels.
        mean_landmarks: (68, 3) of the mean face in model coordinates, for the head's angles.
        inside: (M, M) bool, the cells of its UV map that are skin, or None.
        detector: finds the faces; without one the whole image is taken for one, with a warning.
        refine: how often a face is cropped again around the landmarks that were found, as the evaluation crops around
            the true ones.
        model: what `load_model` calls the morphable model whose chart its UV maps are on; None where it is not known.
        corners: the resize convention that the network learned: pixel 0 of its crop is the first pixel of the square,
            as in 3DDFA's code, where the squares' edges agree otherwise.
    """

    regress: Regress
    input_size: int
    mean_landmarks: np.ndarray
    inside: np.ndarray | None = None
    detector: Detector | None = None
    refine: int = 1
    model: str | None = None
    corners: bool = False

    def __post_init__(self) -> None:
        self.surface = None if self.inside is None else chart_surface(self.inside)

    @overload
    def predict(  # type: ignore[overload-overlap]  # a path in text is a sequence of texts, too
        self, image: Photograph, boxes: Boxes = None
    ) -> list[Face]: ...
    @overload
    def predict(self, image: Sequence[Photograph], boxes: Sequence[Boxes] | None = None) -> list[list[Face]]: ...
    def predict(self, image: Photograph | Sequence[Photograph], boxes: Any = None) -> list[Face] | list[list[Face]]:
        """The faces of a photograph, the largest first; of a list of photographs, a list of each one's.

            >>> faces = nasface.load().predict("photo.jpg")
            >>> faces[0].landmarks.shape
            (68, 3)

        Args:
            image: (H, W, 3) uint8 RGB, or an image file; or several, whose faces pass the network together.
            boxes: x, y, width, height around each face in pixels, instead of a detector's, as a list or an array
                (N, 4); or `image`: the whole photograph is one face. One such value a photograph where there are
                several; a single `image` is for all.

        Warns:
            UserWarning: there is neither a detector nor a box, so that the whole photograph is taken for one face.

        Raises:
            UserError: a file is absent or no image.
            ValueError: an array is no RGB image, or a box is empty.
        """
        if isinstance(image, Sequence) and not isinstance(image, str):
            known = [boxes] * len(image) if boxes is None or isinstance(boxes, str) else boxes
            return self._align([_pixels(one) for one in image], [_boxes(one) for one in known])
        return self._align([_pixels(image)], [_boxes(boxes)])[0]

    def _align(self, images: list[np.ndarray], boxes: Sequence[Boxes]) -> list[list[Face]]:
        found = [self._windows(image, known) for image, known in zip(images, boxes, strict=True)]
        places = [(k, detection) for k, (detections, _) in enumerate(found) for detection in detections]
        faces: list[list[Face]] = [[] for _ in images]
        if not places:
            return faces
        seen, windows = [images[k] for k, _ in places], [window for _, part in found for window in part]
        for _ in range(self.refine):
            landmarks, _dense = self._regress(seen, windows)
            windows = [
                _landmark_window(points, window) or window for points, window in zip(landmarks, windows, strict=True)
            ]
        for (k, _), face in zip(places, self._faces(seen, windows, [one for _, one in places]), strict=True):
            faces[k].append(face)
        return faces

    def follow(self, image: np.ndarray, faces: Sequence[Face]) -> list[Face | None]:
        """The same faces in the next frame of a video, looked for where they were; None for one that is lost.

        Args:
            image: (H, W, 3) uint8 RGB.
            faces: of the frame before.
        """
        windows = [_landmark_window(face.landmarks, face.crop) or face.crop for face in faces]
        if not windows:
            return []
        found = self._faces([image] * len(faces), windows, [Detection(face.box) for face in faces])
        return [face if _landmark_window(face.landmarks, face.crop) else None for face in found]

    def _faces(
        self, images: list[np.ndarray], windows: list[tuple[int, int, int]], detections: list[Detection]
    ) -> list[Face]:
        """What the network finds in a window of each image."""
        landmarks, dense = self._regress(images, windows)
        surface = self.surface
        if dense is not None and surface is None:  # an older export does not say which cells are skin
            surface = self.surface = chart_surface(np.ones(dense.shape[2:], dtype=bool))
        return [
            Face(
                landmarks[i],
                None if dense is None else dense[i],
                head_angles(self.mean_landmarks, landmarks[i]),
                windows[i],
                detections[i],
                surface,
                images[i],
            )
            for i in range(len(landmarks))
        ]

    def outputs(self) -> tuple[bool, bool]:
        """Whether the network finds depth, and whether it finds a dense shape; a black crop shows it."""
        landmarks, dense = self.regress(np.zeros((1, self.input_size, self.input_size, 3), np.uint8))
        return not np.isnan(landmarks[..., 2]).all(), dense is not None

    def moved(self, face: Face, landmarks: np.ndarray, dense: np.ndarray | None) -> Face:
        """`face` with other points, its angles made anew."""
        return replace(face, landmarks=landmarks, dense=dense, angles=head_angles(self.mean_landmarks, landmarks))

    def _windows(self, image: np.ndarray, boxes: Boxes) -> tuple[list[Detection], list[tuple[int, int, int]]]:
        height, width = image.shape[:2]
        if boxes is not None and boxes != "image":
            detections = [Detection(_checked(box, width, height)) for box in boxes]
        elif boxes is None and self.detector is not None:
            detections = self.detector(image)
        else:
            if boxes is None:
                warnings.warn(NO_DETECTOR, stacklevel=4)
            side = max(height, width)
            return [Detection((0.0, 0.0, width, height))], [((width - side) // 2, (height - side) // 2, side)]
        return detections, [_detected_window(detection.box) for detection in detections]

    def _regress(
        self, images: list[np.ndarray], windows: list[tuple[int, int, int]]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Landmarks (N, 68, 3) and maps (N, 3, M, M) in pixels of the photographs, of a window in each."""
        places, parts = list(zip(images, windows, strict=True)), []
        for start in range(0, len(places), _AT_ONCE):
            crops = [crop_square(image, *window) for image, window in places[start : start + _AT_ONCE]]
            parts.append(self.regress(np.stack([resize_image(crop, self.input_size) for crop in crops])))
        landmarks = np.concatenate([part for part, _ in parts])
        maps = [part for _, part in parts if part is not None]
        dense = np.concatenate(maps) if maps else None
        back = np.stack([_to_image(window, self.input_size, self.corners) for window in windows])
        if dense is not None:
            points = transform_points(dense.reshape(*dense.shape[:2], -1).swapaxes(1, 2), back)
            dense = np.ascontiguousarray(points.swapaxes(1, 2)).reshape(dense.shape)
        return transform_points(landmarks, back), dense


def _boxes(value: Any) -> Boxes:
    """One photograph's boxes as `FaceAligner.predict` takes them: also as an array (N, 4), or a single box."""
    if isinstance(value, str):
        if value != "image":
            raise ValueError(f'boxes are x, y, width, height each, or "image", not "{value}"')
        return "image"
    if value is None:
        return None
    try:
        found = [value] if len(value) == 4 and all(np.ndim(one) == 0 for one in value) else value
        return [as_box(box) for box in found]
    except (TypeError, ValueError):
        raise ValueError(f"boxes are x, y, width, height each, in a list or an array (N, 4), not {value!r}") from None


def _pixels(image: Photograph) -> np.ndarray:
    if isinstance(image, str | Path):
        if not Path(image).exists():
            raise UserError(f"there is no photograph {image}: give the path of an image file")
        return decode_image(image, upright=True)
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ValueError(f"an image is (H, W, 3) uint8 RGB, this one is {pixels.shape} {pixels.dtype}")
    return pixels


def parse_box(text: str) -> Box:
    """`x,y,w,h` in pixels.

    Raises:
        UserError: it is something else, or an empty box.
    """
    try:
        x, y, width, height = (float(value) for value in text.split(","))
    except ValueError:
        x, y, width, height = 0.0, 0.0, 0.0, 0.0
    if not (width > 0 and height > 0 and np.isfinite([x, y, width, height]).all()):
        raise UserError(f"--box {text} is not x,y,width,height in pixels: give for example --box 120,80,200,240")
    return x, y, width, height


def _checked(box: Box, width: int, height: int) -> Box:
    """A box in an image of that size, before anything of its size is made."""
    low, side = np.array(box[:2]), np.array(box[2:])
    if not (side > 0).all():
        raise ValueError(f"a box is x, y, width, height with an area, not {box}")
    if not is_face_box(low, low + side) or not ((low < [width, height]) & (low + side > 0)).all():
        named = ",".join(f"{value:g}" for value in box)
        raise UserError(f"the box {named} is not in the image of {width} x {height} pixels: give one around the face")
    return box


def _detected_window(box: Box) -> tuple[int, int, int]:
    x, y, width, height = box
    mean = (width + height) / 2
    side = max(2, round(DETECTED_SIDE * mean))
    centre = np.array([x + width / 2, y + height / 2 + DETECTED_DOWN * mean])
    left, top = np.round(centre - side / 2).astype(int)
    return int(left), int(top), side


def _landmark_window(landmarks: np.ndarray, window: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """The evaluation's crop around landmarks that were found in a window; None where they make no sense."""
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    if not np.isfinite(landmarks[:, :2]).all() or not 0.2 * window[2] < (high - low).max() < 2 * window[2]:
        return None
    (left, top), side = crop_window(landmarks, CROP_MARGIN)
    return int(left), int(top), side


def _to_image(window: tuple[int, int, int], size: int, corners: bool) -> np.ndarray:
    """The (2, 3) matrix from pixels of a crop at `size` to those of the photograph; see `FaceAligner`."""
    matrix = resize_similarity(size, window[2])
    if corners:
        matrix[:, 2] = 0
    matrix[:, 2] += window[:2]
    return matrix
