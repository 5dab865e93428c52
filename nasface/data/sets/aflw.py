"""AFLW with 21 points, as 3DDFA's benchmark lays it out (cleardusk/3DDFA, benchmark_aflw.py).

    test.data/AFLW_GT_crop/              21,080 face crops, 120 x 120
    test.data/AFLW_GT_crop.list          their names, one a line
    test.configs/AFLW_GT_pts21.npy       (N, 2, 21) landmarks in pixels of the photographs; (-1, ...) where invisible
    test.configs/AFLW_GT_crop_yaws.npy   (N,) yaw in degrees
    test.configs/AFLW_GT_crop_roi_box.npy  (N, 4) left, top, right, bottom of each crop in its photograph
    test.configs/AFLW_GT_pts68.npy       (N, 2, 68) fitted landmarks: the errors' normaliser is their box

All of it may also lie in one folder. A crop's point p (counted from 1) is at p * side / 120 + corner in the photograph.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nasface.data.cache import cached_face_set, fill_images, fingerprint, image_buffer
from nasface.data.crops import CropSettings, resize_image
from nasface.data.face_set import FaceSet
from nasface.data.registry import Labels, Request, register_data_set
from nasface.faces.camera import resize_similarity, transform_points
from nasface.faces.ddfa_model import CROP_SIZE
from nasface.faces.landmarks import bounding_box
from nasface.metrics.aflw import annotated
from nasface.utils.errors import UserError
from nasface.utils.images import decode_image
from nasface.utils.npy import read_npy
from nasface.utils.reading import read_lines

POINTS = 21
DATASET_URL = "https://github.com/cleardusk/3DDFA"
FITTED_FILE = "AFLW_GT_pts68.npy"
_MEND = f"take all files of one release, published at {DATASET_URL}"
_VERSION = 1  # of the cached sets; to be raised when their content changes


def load_aflw(folder: str | Path, crops: CropSettings, fitted: Path | None = None) -> FaceSet:
    """All faces in the order of the list, in `folder`, which is a 3DDFA checkout or holds its files.

    Landmarks are (N, 21, 3) in AFLW's order, z = 0; NaN and not `visible` where AFLW has none. `box` is that of the 68
    fitted points, as the benchmark has it; where AFLW_GT_pts68.npy is absent (it is not in the repository), that of the
    visible ones of the 21, which is smaller.

    Args:
        folder: see above.
        crops: how to cut.
        fitted: AFLW_GT_pts68.npy, where it lies elsewhere than in `folder`.

    Raises:
        UserError: a file is absent or damaged, or the files are of different lengths; the message names it.
    """
    folder = Path(folder)
    listing = _find(folder, "test.data", "AFLW_GT_crop.list")
    images = _find(folder, "test.data", "AFLW_GT_crop", is_folder=True)
    names = read_names(folder)
    files = {key: _find(folder, "test.configs", f"AFLW_GT_{key}.npy") for key in ("pts21", "crop_yaws", "crop_roi_box")}
    fitted = fitted or fitted_points(folder)
    sources = [listing, *(images / name for name in names), *files.values(), *([fitted] if fitted else [])]

    def build() -> FaceSet:
        count = len(names)
        points = read_npy(files["pts21"], (count, 2, POINTS), _MEND).transpose(0, 2, 1)
        yaw = read_npy(files["crop_yaws"], (count,), _MEND)
        roi = read_npy(files["crop_roi_box"], (count, 4), _MEND)
        if not (roi[:, 2:] > roi[:, :2]).all():
            raise UserError(f"{files['crop_roi_box']} holds boxes without extent: restore it from {DATASET_URL}")
        visible = annotated(points)
        if not visible.any(axis=1).all():
            raise UserError(f"{files['pts21']} holds faces without visible points: restore it from {DATASET_URL}")
        landmarks = _in_crop(np.where(visible[..., None], points, np.nan), roi, crops.size)
        if fitted:
            points_68 = read_npy(fitted, (count, 2, 68), _MEND).transpose(0, 2, 1)
            box = bounding_box(_in_crop(points_68, roi, crops.size))
        else:
            box = np.nanmax(landmarks[..., :2], axis=1) - np.nanmin(landmarks[..., :2], axis=1)
        with image_buffer(count, crops.size, crops.cache_dir) as resized:
            fill_images(resized, lambda i: resize_image(decode_image(images / names[i]), crops.size), crops.progress)
            return FaceSet(
                name="aflw",
                images=resized,
                landmarks=landmarks,
                yaw=yaw.astype(np.float32),
                box=box.astype(np.float32),
                visible=visible,
            )

    if not names:
        raise UserError(f"{listing} is empty: restore it from {DATASET_URL}")
    return cached_face_set(crops.cache_dir, f"aflw-{crops.size}px-{fingerprint(sources, _VERSION)}", build)


def fitted_points(folder: str | Path) -> Path | None:
    """The file of the 68 fitted points, where the folder has it."""
    return next((path for path in _places(Path(folder), "test.configs", FITTED_FILE) if path.is_file()), None)


def read_names(folder: str | Path) -> list[str]:
    """The crops' file names, in the order of `load_aflw`; a UserError where the list is absent."""
    listing = _find(Path(folder), "test.data", "AFLW_GT_crop.list")
    return read_lines(listing, "is not a list of image names", f"restore it from {DATASET_URL}")


def _in_crop(points: np.ndarray, roi: np.ndarray, size: int) -> np.ndarray:
    """Points (N, M, 2) of photographs as (N, M, 3) crop pixels at `size`, z = 0."""
    scale = (roi[:, None, 2:] - roi[:, None, :2]) / CROP_SIZE
    crop = (points - roi[:, None, :2]) / scale - 1.0
    flat = np.concatenate([crop, np.zeros((*crop.shape[:2], 1))], axis=-1)
    return transform_points(flat, resize_similarity(CROP_SIZE, size))


def _places(folder: Path, home: str, name: str) -> list[Path]:
    return [folder / home / name, folder / name]


def _find(folder: Path, home: str, name: str, is_folder: bool = False) -> Path:
    for path in _places(folder, home, name):
        if path.is_dir() if is_folder else path.is_file():
            return path
    raise UserError(f"{folder} has no {name} (nor {home}/{name}): AFLW in 3DDFA's layout is published at {DATASET_URL}")


@register_data_set("aflw", splits=("all",), labels=Labels(POINTS), published=DATASET_URL)
def aflw(request: Request) -> FaceSet:
    """AFLW in 3DDFA's layout in `data.folders`."""
    return load_aflw(request.folder, request.crops)
