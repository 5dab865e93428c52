"""COFW: faces under occlusion with 29 landmarks (Burgos-Artizzu et al., ICCV 2013, "Robust face landmark estimation
under occlusion").

    COFW_train_color.mat    HDF5: IsTr, references to 1,345 images; phisTr (87, N)
    COFW_test_color.mat     HDF5: IsT, references to 507 images; phisT (87, N)

As h5py shows MATLAB's columns: an image is (3, W, H), a grey one (W, H); a row of phis is 29 x, 29 y (pixels counted
from 1), 29 times occluded or not (layout from HRNet's lib/datasets/cofw.py, HRNet/HRNet-Facial-Landmark-Detection).
Reading needs the extra `hdf5`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.data.photographs import Photograph, crop_photographs
from nasface.data.registry import Labels, Request, register_data_set
from nasface.faces.camera import points_from_300wlp
from nasface.utils.errors import UserError
from nasface.utils.mat import FAR, mat_numbers, read_mat
from nasface.utils.reading import reading

POINTS = 29
FILES = {"train": ("COFW_train_color.mat", "IsTr", "phisTr"), "test": ("COFW_test_color.mat", "IsT", "phisT")}
COFW68_URL = "https://github.com/golnazghiasi/cofw68-benchmark"
DATASET_URL = "http://www.vision.caltech.edu/xpburgos/ICCV13"


def load_cofw68(folder: str | Path, crops: CropSettings) -> FaceSet:
    """The test faces with 68 points (N, 68, 3), of golnazghiasi/cofw68-benchmark: COFW_test_color.mat, and beside it or
    in COFW68_Data the files test_annotations/<K>_points.mat of image K, counted from 1, with `Points` (68, 2) from 1
    and `Occ` (68,); else as `load_cofw`."""
    places = [Path(folder) / name for name in ("test_annotations", "COFW68_Data/test_annotations")]
    home = next((place for place in places if place.is_dir()), None)
    if home is None:
        raise UserError(f"{folder} has no test_annotations: COFW-68 is published at {COFW68_URL}")

    def read(number: int) -> Photograph:
        path = home / f"{number}_points.mat"
        content = read_mat(path, COFW68_URL)
        points = mat_numbers(content, "Points", 136, path, COFW68_URL).reshape(68, 2)
        hidden = mat_numbers(content, "Occ", 68, path, COFW68_URL) != 0
        return Photograph(path, points_from_300wlp(points), visible=~hidden)

    return _load(folder, "test", crops, lambda labels: [read(number + 1) for number in range(labels.shape[1])], home)


def load_cofw(folder: str | Path, split: str, crops: CropSettings) -> FaceSet:
    """The faces of a split, "train" or "test", in the file's order: landmarks (N, 29, 3) in COFW's order, z = 0;
    `visible` is False where a point is occluded; yaw is NaN. A UserError where h5py or the file is absent, or damaged.
    """
    return _load(folder, split, crops, lambda labels: [_face(Path(folder), label) for label in labels.T])


def _load(
    folder: str | Path,
    split: str,
    crops: CropSettings,
    read: Callable[[np.ndarray], list[Photograph]],
    annotations: Path | None = None,
) -> FaceSet:
    """The images of a split with what `read` makes of its labels (87, N), or of files in `annotations`."""
    if split not in FILES:
        raise UserError(f"unknown split {split!r} of COFW: choose train or test")
    name, images_key, labels_key = FILES[split]
    path = Path(folder) / name
    absent = f"set COFW's folder; it is published at {DATASET_URL}"
    mend, h5py = f"restore it from {DATASET_URL}", _h5py()
    with reading(path, "is not COFW's HDF5 file", mend, absent), h5py.File(path, "r") as content:
        references = np.asarray(content[images_key]).ravel()
        labels = np.asarray(content[labels_key], dtype=np.float64)
        if labels.shape != (3 * POINTS, len(references)) or not (np.abs(labels) < FAR).all():
            raise ValueError(f"{labels_key} is {labels.shape}")
        return crop_photographs(
            f"cofw-{split}" if annotations is None else "cofw68",
            lambda: read(labels),
            [path, *(sorted(annotations.glob("*.mat")) if annotations else ())],
            crops,
            decode=lambda index: _image(content[references[index]]),
        )


def _face(path: Path, label: np.ndarray) -> Photograph:
    points = np.stack([label[:POINTS], label[POINTS : 2 * POINTS]], axis=1)
    return Photograph(path, points_from_300wlp(points), visible=label[2 * POINTS :] == 0)


def _image(stored: Any) -> np.ndarray:
    """(H, W, 3) uint8 of an image with MATLAB's axes."""
    image = np.asarray(stored).T
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"an image is {image.dtype} {image.shape}")
    return np.ascontiguousarray(image)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise UserError("COFW is read with h5py, which is not installed: pip install 'nasface[hdf5]'") from None
    return h5py


@register_data_set("cofw", splits=("train", "test"), labels=Labels(29, yaw=False), published=DATASET_URL)
def cofw(request: Request) -> FaceSet:
    """COFW in `data.folders`."""
    return load_cofw(request.folder, request.split, request.crops)
