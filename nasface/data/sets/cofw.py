"""COFW: faces under occlusion with 29 landmarks (Burgos-Artizzu et al., ICCV 2013, "Robust face landmark estimation
under occlusion").

    COFW_train_color.mat    HDF5: IsTr, references to 1,345 images; phisTr (87, N)
    COFW_test_color.mat     HDF5: IsT, references to 507 images; phisT (87, N)

As h5py shows MATLAB's columns: an image is (3, W, H), a grey one (W, H); a row of phis is 29 x, 29 y (pixels counted
from 1), 29 times occluded or not (layout from HRNet's lib/datasets/cofw.py, HRNet/HRNet-Facial-Landmark-Detection).
Reading needs the extra `hdf5`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.data.photographs import Photograph, crop_photographs
from nasface.data.registry import Labels, Request, register_data_set
from nasface.faces.camera import points_from_300wlp
from nasface.utils.errors import UserError
from nasface.utils.reading import reading

POINTS = 29
FILES = {"train": ("COFW_train_color.mat", "IsTr", "phisTr"), "test": ("COFW_test_color.mat", "IsT", "phisT")}
DATASET_URL = "http://www.vision.caltech.edu/xpburgos/ICCV13"


def load_cofw(folder: str | Path, split: str, crops: CropSettings) -> FaceSet:
    """The faces of a split, "train" or "test", in the file's order: landmarks (N, 29, 3) in COFW's order, z = 0;
    `visible` is False where a point is occluded; yaw is NaN. A UserError where h5py or the file is absent, or damaged.
    """
    if split not in FILES:
        raise UserError(f"unknown split {split!r} of COFW: choose train or test")
    name, images_key, labels_key = FILES[split]
    path = Path(folder) / name
    absent = f"set COFW's folder; it is published at {DATASET_URL}"
    mend, h5py = f"restore it from {DATASET_URL}", _h5py()
    with reading(path, "is not COFW's HDF5 file", mend, absent), h5py.File(path, "r") as content:
        references = np.asarray(content[images_key]).ravel()
        labels = np.asarray(content[labels_key], dtype=np.float64)
        if labels.shape != (3 * POINTS, len(references)) or not np.isfinite(labels).all():
            raise ValueError(f"{labels_key} is {labels.shape}")
        return crop_photographs(
            f"cofw-{split}",
            lambda: [_face(path, label) for label in labels.T],
            [path],
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
