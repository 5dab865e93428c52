"""Photographs in 3DDFA's training layout: face crops, a list of their names, and whitened parameters of their faces.

Two sets of names are known and looked for (https://github.com/cleardusk/3DDFA):

* a folder with `images/`, `list.train`, `list.val`, `param_norm_train.pkl`, `param_norm_val.pkl` and their whitening
  `param_mean_std_62d_120x120.pkl`;
* the release of about 630,000 augmented 300W-LP crops: `train_aug_120x120/` (the images),
  `train_aug_120x120.list.{train,val}`, `param_all_norm.pkl`, `param_all_norm_val.pkl`, with `param_whitening.pkl`; the
  latter files may lie in a `train.configs/` beside the images, as in the repository.

Row i of the parameters belongs to line i of the list; a row is 62 numbers, see
`nasface.faces.ddfa_model.split_parameters`. Both releases mean the same pixels by the same parameters: version 1's code
draws x and 121 - y in 1-based pixels, version 2's x - 1 and 120 - y in 0-based ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nasface.data.cache import cached_face_set, fill_images, fingerprint, image_buffer
from nasface.data.crops import CropSettings, resize_image
from nasface.data.face_set import FaceSet
from nasface.data.mixture import sample
from nasface.data.registry import Labels, Request, register_data_set
from nasface.faces.camera import project, resize_similarity, split_pose, transform_pose
from nasface.faces.ddfa_model import (
    CROP_SIZE,
    KEYPOINT_FILES,
    PAF_FILE,
    PARAMETERS,
    WHITENING_FILE_V1,
    WHITENING_FILE_V2,
    load_ddfa_model,
    load_keypoint_model,
    load_whitening,
    split_parameters,
)
from nasface.faces.landmarks import NUM_LANDMARKS, bounding_box
from nasface.faces.morphable import MorphableModel
from nasface.utils.errors import UserError
from nasface.utils.files import load_array
from nasface.utils.images import decode_image
from nasface.utils.reading import read_lines

SPLITS = ("train", "val")
DATASET_URL = "https://github.com/cleardusk/3DDFA"
_CONFIGS = "train.configs"
_VERSION = 1  # of the cached sets; to be raised when their content changes


@dataclass(frozen=True)
class DdfaSplit:
    """One split as it lies on disk: `parameters` (N, 62) float64 un-whitened, `paths` its N images."""

    paths: tuple[Path, ...]
    parameters: np.ndarray
    sources: tuple[Path, ...]


def load_ddfa(folder: str | Path, assets: str | Path, split: str, crops: CropSettings) -> FaceSet:
    """The faces of a split, "train" or "val".

    The landmarks are those of 3DDFA's exact 68-point model, which its grid model (`load_ddfa_model`) shares; poses and
    coefficients are that grid model's, depth has zero mean over its vertices, and yaw is the pose matrix's. The set's
    own crops (120 pixels) are resized.

    Args:
        folder: where the set lies.
        assets: folder of 3DDFA's morphable model files.

    Raises:
        UserError: something in either folder is absent or damaged; the message names it.
    """
    keypoints = load_keypoint_model(assets)
    grid = load_ddfa_model(assets)
    data = read_split(folder, assets, split)
    models = [Path(assets) / name for name in (PAF_FILE, *KEYPOINT_FILES)]
    mark = fingerprint([*data.paths, *data.sources, *models], _VERSION, len(data.paths))

    def build() -> FaceSet:
        pose, coefficients = _pose_and_coefficients(data.parameters, grid, crops.size)
        landmarks = np.empty((len(pose), NUM_LANDMARKS, 3), dtype=np.float32)
        for start in range(0, len(pose), 50_000):
            part = slice(start, start + 50_000)
            landmarks[part] = project(pose[part].astype(np.float64), keypoints.landmarks(coefficients[part]))
        box = bounding_box(landmarks)
        _require_faces(box, data)
        with image_buffer(len(pose), crops.size, crops.cache_dir) as images:
            fill_images(images, lambda index: _crop(data.paths[index], crops.size), crops.progress)
            return FaceSet(
                name=f"{Path(folder).name}-{split}",
                images=images,
                landmarks=landmarks,
                yaw=split_pose(pose)[1][:, 1].astype(np.float32),
                box=box,
                pose=pose,
                coefficients=coefficients.astype(np.float32),
            )

    return cached_face_set(crops.cache_dir, f"ddfa-{split}-{crops.size}px-{mark}", build)


def read_split(folder: str | Path, assets: str | Path, split: str) -> DdfaSplit:
    """Find and read the list and the parameters of a split; no image is opened; errors as of `load_ddfa`."""
    folder = Path(folder)
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
    if not folder.is_dir():
        raise UserError(
            f"data folder {folder} does not exist: give it by --data.ddfa, or put 3DDFA's training set"
            f" (train_aug_120x120, published at {DATASET_URL}) there"
        )
    listing = _find(folder, [f"list.{split}", f"train_aug_120x120.list.{split}"], "list of images")
    suffix = "" if split == "train" else f"_{split}"
    known = [f"param_norm_{split}.pkl", f"param_all_norm{suffix}.pkl"]
    parameter_file = _find(folder, known, "parameter file")
    whitening_file = _whitening(folder, Path(assets), parameter_file)
    names = _read_names(listing)
    parameters = load_whitening(whitening_file).undo(_read_parameters(parameter_file, listing, len(names)))
    images = _image_folder(folder, names[0])
    return DdfaSplit(
        paths=tuple(images / name for name in names),
        parameters=parameters,
        sources=(images, listing, parameter_file, whitening_file),
    )


def _pose_and_coefficients(
    parameters: np.ndarray, grid: MorphableModel, image_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Poses (N, 3, 4) float32 in pixels of the resized crop, depth from each face's mean vertex; coefficients."""
    pose, coefficients = split_parameters(parameters)
    centre = grid.mean.mean(axis=0, dtype=np.float64) + coefficients @ grid.basis.mean(axis=0, dtype=np.float64).T
    pose[:, 2, 3] = -np.einsum("nj,nj->n", pose[:, 2, :3], centre)
    return transform_pose(pose, resize_similarity(CROP_SIZE, image_size)), coefficients


def _crop(path: Path, size: int) -> np.ndarray:
    image = decode_image(path)
    if image.shape[0] != image.shape[1]:
        raise UserError(f"image {path} is {image.shape[1]} x {image.shape[0]}: face crops are square, {CROP_SIZE} px")
    return resize_image(image, size)


def _find(folder: Path, known: list[str], what: str) -> Path:
    for path in (folder / place / name for name in known for place in ("", _CONFIGS)):
        if path.is_file():
            return path
    raise UserError(f"{folder} has no {what} {' or '.join(known)}: restore it from {DATASET_URL}")


def _whitening(folder: Path, assets: Path, parameter_file: Path) -> Path:
    """The whitening that lies with the data wins; else the assets' one of the release that the parameters come from."""
    order = (WHITENING_FILE_V2, WHITENING_FILE_V1)
    if parameter_file.name.startswith("param_all_norm"):
        order = order[::-1]
    for place in (folder, parameter_file.parent):
        for name in order:
            if (place / name).is_file():
                return place / name
    return assets / order[0]


def _image_folder(folder: Path, first: str) -> Path:
    places = ("images", "train_aug_120x120", "")
    for place in places:
        if (folder / place / first).is_file():
            return folder / place
    for place in places:
        if place and (folder / place).is_dir():
            return folder / place  # The images are meant to be here: the missing one is named when it is read.
    raise UserError(f"{folder} has no folder of images {' or '.join(p for p in places if p)} with {first} in it")


def _read_names(listing: Path) -> list[str]:
    names = read_lines(listing, "is not a readable list of image names", "restore it from its source")
    if not names:
        raise UserError(f"{listing} is empty: restore it from its source")
    return names


def _read_parameters(path: Path, listing: Path, count: int) -> np.ndarray:
    values = load_array(path)
    if values.ndim != 2 or values.shape[1] != PARAMETERS or not np.issubdtype(values.dtype, np.number):
        raise UserError(f"{path} holds {values.dtype} {values.shape}, not rows of {PARAMETERS} parameters")
    if len(values) != count:
        raise UserError(f"{path} has {len(values)} rows but {listing} lists {count} images: take both from one release")
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise UserError(f"{path}: row {bad[0]} (counted from 0) is not finite ({len(bad)} such rows): restore the file")
    return values


def _require_faces(box: np.ndarray, data: DdfaSplit) -> None:
    flat = np.flatnonzero(~(box > 0).all(axis=1))
    if len(flat):
        raise UserError(
            f"{data.sources[2]}: row {flat[0]} ({data.paths[flat[0]].name}) describes no face (its landmarks have no "
            f"extent): is {data.sources[3]} the whitening of this file?"
        )


@register_data_set(
    "ddfa",
    splits=("train", "val"),
    labels=Labels(depth=True),
    published=DATASET_URL,
    model=lambda config: load_ddfa_model(config.ddfa_assets),
)
def ddfa(request: Request) -> FaceSet:
    """3DDFA's released layout in `data.ddfa`, with the model files in `data.ddfa_assets`."""
    faces = load_ddfa(request.config.ddfa, request.config.ddfa_assets, request.split, request.crops)
    return sample(faces, request.count)
