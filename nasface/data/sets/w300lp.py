"""300W-LP: 61,225 photographs of 300-W's sets turned to large poses, with the parameters of the Basel Face Model.

Layout (3DDFA's project page; read from a real pair, and the folders from cleardusk/3DDFA_V2 issue 118):

    300W_LP/
        AFW/ HELEN/ IBUG/ LFPW/     <NAME>_<k>.jpg (450 x 450) and <NAME>_<k>.mat; k = 0 is the photograph, 1, 2, ...
                                    are its versions at larger and larger yaw
        AFW_Flip/ ...               the same, mirrored
        Code/                       the authors' MATLAB code
        landmarks/<SUBSET>/         <NAME>_<k>_pts.mat: pts_2d (68, 2), pts_3d (68, 2), pixels counted from 0, which are
                                    not read: landmarks are the model's, with depth

Of a mat file `Pose_Para` (1, 7), `Shape_Para` (199, 1) and `Exp_Para` (29, 1) are used: vertices are f R (mean +
shape modes Shape_Para + expression modes Exp_Para) + t, see `nasface.faces.camera`. `pt2d` (2, 68) are 300-W's
hand-made landmarks as far as the turning carried them along; they are not the model's. There is no `pt3d_68`.

A copy circulates in which all versions of a photograph have the labels of the first (cleardusk/3DDFA issues 192 and
227). It is recognised: equal `Pose_Para` are refused; equal `pt2d` beside different poses only warn, because nothing
here is made from them.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nasface.config import DataConfig
from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.data.photographs import Photograph, crop_photographs
from nasface.data.registry import Labels, Request, register_data_set
from nasface.faces.bfm import keypoints_of, load_bfm
from nasface.faces.bfm_noneck import load_bfm_noneck
from nasface.faces.camera import pose_from_300wlp, project
from nasface.faces.ddfa_model import KeypointModel, load_ddfa_model, load_keypoint_model
from nasface.faces.morphable import MorphableModel
from nasface.utils.errors import UserError
from nasface.utils.mat import mat_numbers, read_mat
from nasface.utils.reading import beside, files_in

SUBSETS = ("AFW", "HELEN", "IBUG", "LFPW")
DATASET_URL = "http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm"
IMAGE_HEIGHT = 450
SHAPE_MODES, EXPRESSION_MODES = 199, 29
VALIDATION_SHARE = 0.05
"""Share of the photographs that are kept for validation; the set has no split of its own."""


@dataclass(frozen=True)
class Parameters:
    """What a mat file says.

    Attributes:
        pose: (7,) float64 Pose_Para: pitch, yaw, roll in radians, translation, scale.
        shape: (199,) float64.
        expression: (29,) float64.
        points: (68, 2) float64 pt2d as stored (1-based), or None.
    """

    pose: np.ndarray
    shape: np.ndarray
    expression: np.ndarray
    points: np.ndarray | None


@dataclass(frozen=True)
class Selection:
    """Which faces of the set.

    Attributes:
        split: "train" or "val"; all versions of a photograph are in the same one. A folder of a single photograph, as
            samples are, is both.
        count: how many, a fair sample of the split; 0: all.
        flipped: with the mirrored half of the set.
    """

    split: str = "train"
    count: int = 0
    flipped: bool = False


def load_w300lp(
    folder: str | Path,
    model: MorphableModel,
    keypoints: KeypointModel,
    crops: CropSettings,
    selection: Selection = Selection(),
) -> FaceSet:
    """The selected faces, cropped as AFLW2000-3D's are, with poses and coefficients of `model`.

    Coefficients beyond the model's modes are dropped: with 3DDFA's 40 + 10 modes the landmarks move by 0.9 % of the box
    on average (measured on AFLW2000-3D, whose parameters are of the same kind). Depth has zero mean over the model's
    vertices.

    Args:
        folder: 300W_LP, or the folder around it.
        model: a Basel model whose identity modes are the first of the 199 and whose others are the first of the 29.
        keypoints: its 68 landmarks.

    Raises:
        UserError: the folder is absent or empty, a pair is incomplete, a file is damaged, or it is the wrong copy; the
            message names the file.
    """
    images = choose(find_images(folder, selection.flipped), selection.split, selection.count)
    mats = [beside(image, ".mat") for image in images]

    def read() -> list[Photograph]:
        parameters = [read_parameters(path) for path in mats]
        check_copy(images, parameters)
        # Of the models' arrays a face needs only the 68 landmarks and the middle of all vertices.
        middle = [model.mean.mean(axis=0, dtype=np.float64), model.basis.mean(axis=0, dtype=np.float64)]
        return [
            _face(image, entry.pose, model_coefficients(entry, model), keypoints, *middle)
            for image, entry in zip(images, parameters, strict=True)
        ]

    settings = ("model", model_digest(model, keypoints))  # of every version, so that kept crops stay good
    return crop_photographs(f"300w-lp-{selection.split}", read, [*images, *mats], crops, settings=settings)


def find_images(folder: str | Path, flipped: bool = False) -> list[Path]:
    """The images in the order of subset and name, each with its mat file beside it; errors as of `load_w300lp`."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"300W-LP folder {folder} does not exist: give it by --data.w300lp; it is published at {DATASET_URL}"
        )
    names = [name + suffix for suffix in (("", "_Flip") if flipped else ("",)) for name in SUBSETS]
    for root in (folder, folder / "300W_LP", folder / "300W-LP"):
        images = [image for name in names for image in files_in(root / name, ".jpg")]
        if images:
            break
    else:
        raise UserError(
            f"300W-LP folder {folder} holds no .jpg in {', '.join(SUBSETS)}: unpack the set there; published at "
            f"{DATASET_URL}"
        )
    known = {place: {path.stem for path in files_in(place, ".mat")} for place in {image.parent for image in images}}
    for image in images:
        if image.stem not in known[image.parent]:
            raise UserError(f"{image} has no {image.stem}.mat beside it: restore it from {DATASET_URL}")
    return images


def face_name(image: Path) -> str:
    """What all versions of a face share: `IBUG/IBUG_image_008_1` of `IBUG_Flip/IBUG_image_008_1_3.jpg`."""
    return f"{image.parent.name.removesuffix('_Flip')}/{image.stem.rsplit('_', 1)[0]}"


def photograph_name(image: Path) -> str:
    """What all faces of a photograph share: `IBUG/IBUG_image_008` of the face `IBUG/IBUG_image_008_1`. A face's number
    follows another number; `LFPW/LFPW_image_train_0001` has none."""
    return re.sub(r"(_\d+)_\d+$", r"\1", face_name(image))


def choose(images: Sequence[Path], split: str, count: int = 0) -> list[Path]:
    """The images of a split in a fixed shuffled order, of which every beginning is a fair sample."""
    if split not in ("train", "val"):
        raise UserError(f"unknown split {split!r} of 300W-LP: choose train or val")
    groups = sorted({photograph_name(image) for image in images}, key=_shuffled)
    kept = set(groups[: max(1, round(VALIDATION_SHARE * len(groups)))])
    if len(groups) > 1 and split == "train":
        kept = set(groups) - kept
    chosen = [image for image in images if photograph_name(image) in kept]
    chosen.sort(key=lambda image: _shuffled(f"{image.parent.name}/{image.stem}"))
    return chosen[:count] if count else chosen


def read_parameters(path: str | Path) -> Parameters:
    """The parameters in a mat file of 300W-LP or AFLW2000-3D, whatever their types; a UserError where it has none."""
    content = read_mat(path, DATASET_URL)
    pose, shape, expression = (
        mat_numbers(content, key, size, path, DATASET_URL)
        for key, size in (("Pose_Para", 7), ("Shape_Para", SHAPE_MODES), ("Exp_Para", EXPRESSION_MODES))
    )
    if not pose[6] > 0:
        raise UserError(f"{path}: Pose_Para has the scale {pose[6]:g}: restore it from {DATASET_URL}")
    points = np.asarray(content.get("pt2d"))
    return Parameters(pose, shape, expression, points.T.astype(np.float64) if points.shape == (2, 68) else None)


def check_copy(images: Sequence[Path], parameters: Sequence[Parameters]) -> None:
    """Recognise the wrong copy, a UserError, by two versions of a photograph with the same pose."""
    groups: dict[Path, list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(image.parent / face_name(image), []).append(index)
    warned = False
    for group in groups.values():
        for first, second in zip(group[:-1], group[1:], strict=True):
            one, other = parameters[first], parameters[second]
            if np.array_equal(one.pose, other.pose):
                raise UserError(
                    f"{images[second].with_suffix('.mat')} has the same Pose_Para as {images[first].stem}.mat, another "
                    f"version of the photograph: this is a wrong copy of 300W-LP; take the one at {DATASET_URL}"
                )
            if warned or one.points is None or other.points is None:
                continue
            if np.array_equal(one.points, other.points):
                warned = True
                warnings.warn(
                    f"pt2d of {images[second]} and {images[first].stem} are the same: this is a copy of 300W-LP with "
                    "wrong pt2d; they are not used, the poses differ and are",
                    stacklevel=2,
                )


def _face(
    image: Path,
    pose_para: np.ndarray,
    coefficients: np.ndarray,
    keypoints: KeypointModel,
    middle: np.ndarray,
    middle_modes: np.ndarray,
) -> Photograph:
    pose = pose_from_300wlp(pose_para, IMAGE_HEIGHT).astype(np.float64)
    pose[2, 3] = -pose[2, :3] @ (middle + middle_modes @ coefficients)
    return Photograph(
        image,
        project(pose, keypoints.landmarks(coefficients)),
        yaw=float(np.rad2deg(pose_para[1])),
        pose=pose,
        coefficients=coefficients,
    )


def model_coefficients(parameters: Parameters, model: MorphableModel) -> np.ndarray:
    """The coefficients (K,) that belong to the model's modes; a UserError where it has more than the set's 199 + 29."""
    identity, expression = model.identity_count, model.coefficient_count - model.identity_count
    if identity > SHAPE_MODES or expression > EXPRESSION_MODES:
        raise UserError(
            f"{model.name} has {identity} + {expression} modes, 300W-LP's parameters {SHAPE_MODES} + {EXPRESSION_MODES}"
            ": use BFM.mat or 3DDFA's model files"
        )
    return np.concatenate([parameters.shape[:identity], parameters.expression[:expression]])


def _shuffled(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8).digest()


def model_digest(model: MorphableModel, keypoints: KeypointModel) -> str:
    """16 hex digits that change with the model."""
    parts = (model.mean, model.basis[:: max(1, len(model.basis) // 64)], keypoints.mean, keypoints.basis)
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]


def basel_model(config: DataConfig) -> MorphableModel:
    """The model of the targets: `data.bfm`, or else 3DDFA's."""
    if not config.bfm:
        return load_ddfa_model(config.ddfa_assets)
    return load_bfm_noneck(config.bfm) if Path(config.bfm).is_dir() else load_bfm(config.bfm)


def _register(name: str, flipped: bool) -> None:
    @register_data_set(
        name, splits=("train", "val"), labels=Labels(depth=True), published=DATASET_URL, model=basel_model
    )
    def read(request: Request) -> FaceSet:
        """300W-LP in `data.w300lp`."""
        config, model = request.config, request.model or basel_model(request.config)
        keypoints = keypoints_of(model) if config.bfm else load_keypoint_model(config.ddfa_assets)
        selection = Selection(request.split, request.count, flipped)
        return load_w300lp(config.w300lp, model, keypoints, request.crops, selection)


_register("w300lp", flipped=False)
_register("w300lp_flip", flipped=True)
