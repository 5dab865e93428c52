"""AFLW2000-3D: 2000 photographs with 68 three-dimensional landmarks, cropped as 3DDFA's benchmark crops them.

A folder of pairs `image00002.jpg`, `image00002.mat`. Of a mat file `pt3d_68` (3, 68) and `Pose_Para` (1, 7) are used;
types vary from file to file (single, double, even integers), so everything is converted. `pt3d_68` counts pixels from
1; its z grows toward the camera from an arbitrary origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nasface.data.cache import cached_face_set, fill_images, fingerprint, image_buffer
from nasface.data.crops import CropSettings, crop_square, crop_window, is_face_box, resize_image
from nasface.data.face_set import FaceSet
from nasface.data.registry import Labels, Request, register_data_set
from nasface.data.sets.ls3d_w import read_points
from nasface.faces.camera import points_from_300wlp, resize_similarity, transform_points
from nasface.faces.landmarks import NUM_LANDMARKS, bounding_box
from nasface.metrics.aflw2000 import DATASET_URL
from nasface.utils.errors import UserError
from nasface.utils.images import decode_image
from nasface.utils.mat import mat_numbers, read_mat
from nasface.utils.npy import read_npy
from nasface.utils.reading import beside, files_in

_SUBFOLDERS = ("AFLW2000", "AFLW2000-3D", "AFLW-2000-3D")
_MEND = "it belongs to the whole set, one row an image"
_VERSION = 1  # of the cached sets; to be raised when their content changes


@dataclass(frozen=True)
class Annotation:
    """One face in pixels of its whole photograph.

    Attributes:
        landmarks: (68, 3) float32, 0-based, z from zero mean.
        yaw: degrees, of Pose_Para; a few are beyond +-90 or wound up (-351).
    """

    landmarks: np.ndarray
    yaw: float


def load_aflw2000(folder: str | Path, crops: CropSettings) -> FaceSet:
    """All faces of the folder in the order of their names, landmarks and boxes in pixels of the crops.

    The crop is the square around the middle of the box of `pt3d_68`, `crops.margin` times its longer side wide, in
    whole pixels, black beyond the photograph. (The boxes that 3DDFA saved were cut off at the photograph's edge, which
    stretches 51 of its crops; here all stay square.) The error of the benchmark does not depend on the crop's scale.

    Args:
        folder: of the pairs, or the folder around it as it was unpacked.
        crops: how to cut them.

    Raises:
        UserError: the folder is absent or empty, a pair is incomplete, a file is damaged; the message names it.
    """
    images = find_pairs(folder)
    mats = [beside(path, ".mat") for path in images]
    mark = fingerprint([images[0].parent, *images, *mats], _VERSION, crops.margin)

    def build() -> FaceSet:
        annotations = [read_annotation(path) for path in mats]
        landmarks = np.stack([annotation.landmarks for annotation in annotations])
        corner, side = zip(*(crop_window(points, crops.margin) for points in landmarks), strict=True)
        resize = np.stack([resize_similarity(length, crops.size) for length in side])
        landmarks = np.concatenate([landmarks[..., :2] - np.stack(corner)[:, None], landmarks[..., 2:]], axis=-1)
        landmarks = transform_points(landmarks, resize)
        yaw = np.array([annotation.yaw for annotation in annotations], dtype=np.float32)

        def crop(index: int) -> np.ndarray:
            (left, top), image = corner[index], decode_image(images[index])
            return resize_image(crop_square(image, int(left), int(top), side[index]), crops.size)

        with image_buffer(len(images), crops.size, crops.cache_dir) as cut:
            fill_images(cut, crop, crops.progress)
            return FaceSet("aflw2000", cut, landmarks, yaw, bounding_box(landmarks))

    return cached_face_set(crops.cache_dir, f"aflw2000-{crops.size}px-{mark}", build)


def find_pairs(folder: str | Path) -> list[Path]:
    """The jpg files of the set, sorted by name, each with its mat file beside it; errors as of `load_aflw2000`."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"AFLW2000-3D folder {folder} does not exist: give it by --data.aflw2000, of evaluate by --root; it is"
            f" published at {DATASET_URL}"
        )
    place = next((p for p in (folder, *(folder / name for name in _SUBFOLDERS)) if files_in(p, ".jpg")), None)
    if place is None:
        raise UserError(f"AFLW2000-3D folder {folder} holds no .jpg: unpack the set there; published at {DATASET_URL}")
    images, mats = files_in(place, ".jpg"), {path.stem for path in files_in(place, ".mat")}
    for image in images:
        if image.stem not in mats:
            raise UserError(f"{image} has no {image.stem}.mat beside it: restore it from {DATASET_URL}")
    extra = mats - {image.stem for image in images}
    if extra:
        raise UserError(f"{place / min(extra)}.mat has no image beside it: restore it from {DATASET_URL}")
    return images


def read_annotation(path: str | Path) -> Annotation:
    """Landmarks and yaw of a mat file; a UserError where it has none."""
    content = read_mat(path, DATASET_URL)
    if "pt3d_68" not in content:
        raise UserError(f"{path} has no pt3d_68: is it of AFLW2000-3D? (300W-LP's files have no pt3d_68)")
    points = mat_numbers(content, "pt3d_68", (3, NUM_LANDMARKS), path, DATASET_URL).T
    pose = mat_numbers(content, "Pose_Para", 7, path, DATASET_URL)
    landmarks = points_from_300wlp(points)
    landmarks[:, 2] -= landmarks[:, 2].mean()
    if not is_face_box(landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)):
        raise UserError(
            f"{path}: the landmarks of pt3d_68 have no extent, or a huge one: restore it from {DATASET_URL}"
        )
    return Annotation(landmarks, float(np.rad2deg(pose[1])))


def with_other_points(fitted: np.ndarray, path: Path, images: list[Path]) -> np.ndarray:
    """The fitted landmarks (N, 68, 3) with x and y of other annotations in 0-based pixels: a .npy file (N, 2 or 3, 68)
    in the order of the names, such as 3DDFA's AFLW2000-3D-Reannotated.pts68.npy, or LS3D-W's folder of <NAME>.t7."""
    if path.is_dir():
        points = np.stack([read_points(path / f"{image.stem}.t7") for image in images])
    else:
        points = np.swapaxes(read_npy(path, (len(fitted), None, NUM_LANDMARKS), _MEND), 1, 2)
    if points.shape[1] != NUM_LANDMARKS or points.shape[2] not in (2, 3):
        raise UserError(f"{path} holds rows of shape {points.shape[:0:-1]}: expected (2 or 3, {NUM_LANDMARKS})")
    return np.concatenate([points[..., :2].astype(np.float32), fitted[..., 2:]], axis=-1)


@register_data_set("aflw2000", splits=("test",), labels=Labels(depth=True), published=DATASET_URL)
def aflw2000(request: Request) -> FaceSet:
    """AFLW2000-3D in `data.aflw2000`."""
    return load_aflw2000(request.config.aflw2000, request.crops)
