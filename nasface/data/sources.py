"""Which faces an experiment trains, validates and tests on, and the morphable model of its targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse.typing import NonNegativeInt

from nasface.data.face_set import FaceSet
from nasface.faces.morphable import MorphableModel
from nasface.utils.errors import UserError

if TYPE_CHECKING:
    from nasface.faces.ddfa_model import KeypointModel

ProgressFor = Callable[[str], Callable[[int, int], None]]


@dataclass(frozen=True)
class DataConfig:
    """Where the faces come from.

    Attributes:
        train: training and validation faces: `synthetic` (rendered on this machine from the embedded head), `ddfa`
            (3DDFA's released layout) or `w300lp` (300W-LP's photographs).
        test: test faces: `synthetic`, or `aflw2000` (AFLW2000-3D).
        cache: folder in which rendered and decoded faces are kept.
        domain: look of the synthetic test faces: `studio`, or `wild`, harder pictures with 2D labels only; training and
            validation faces are always `studio`'s, whose 3D labels they need.
        seed: of the synthetic faces.
        train_count: synthetic training faces; of real ones, how many of the list to use (0: all).
        val_count: faces for validation, which is all that a search sees (0: all that the real list holds).
        test_count: synthetic test faces.
        ddfa: folder in 3DDFA's layout (images, lists, parameters).
        ddfa_assets: folder of 3DDFA's morphable model files (40 + 10 modes).
        w300lp: folder of 300W-LP (AFW, HELEN, IBUG, LFPW).
        bfm: model of 300W-LP's targets: file BFM.mat of face3d with BFM_UV.mat beside it (199 + 29 modes), or folder
            configs of 3DDFA_V2 with bfm_noneck_v3.pkl (40 + 10); where empty, 3DDFA's in ddfa_assets.
        aflw2000: folder of AFLW2000-3D (jpg and mat pairs).
    """

    train: Literal["synthetic", "ddfa", "w300lp"] = "synthetic"
    test: Literal["synthetic", "aflw2000"] = "synthetic"
    cache: str = "cache"
    domain: Literal["studio", "wild"] = "studio"
    seed: NonNegativeInt = 0
    train_count: NonNegativeInt = 6000
    val_count: NonNegativeInt = 400
    test_count: NonNegativeInt = 1000
    ddfa: str = "../shared/data/aflw_120x120"
    ddfa_assets: str = "../shared/data/3ddfa"
    w300lp: str = "../shared/data/300w_lp_sample"
    bfm: str = ""
    aflw2000: str = "../shared/data/aflw2000_sample/AFLW2000"


@dataclass(frozen=True)
class Faces:
    """The three sets of an experiment and the model whose UV maps are the targets."""

    train: FaceSet
    val: FaceSet
    test: FaceSet
    model: MorphableModel


def load_faces(config: DataConfig, image_size: int, progress_for: ProgressFor) -> Faces:
    """Make or load the faces of an experiment at `image_size` x `image_size` pixels.

    Args:
        progress_for: gives a progress callback (done, total) for a named step.

    Raises:
        UserError: a folder or file is absent or broken; a setting does not fit.
    """
    # Readers are imported where they are used: this module is part of every command's settings, also of --help.
    if config.train == "synthetic":
        from nasface.faces.morphable import load_embedded_head

        model = load_embedded_head()
        train, val = (_synthetic(config, split, image_size, progress_for) for split in ("train", "val"))
    elif config.train == "w300lp":
        model, keypoints = _basel_model(config)
        train, val = (_w300lp(config, model, keypoints, split, image_size, progress_for) for split in ("train", "val"))
    else:
        from nasface.faces.ddfa_model import load_ddfa_model

        model = load_ddfa_model(config.ddfa_assets)
        train, val = (_ddfa(config, split, image_size, progress_for) for split in ("train", "val"))
    test = _test(config, image_size, progress_for)
    return Faces(train, val, test, model)


def _synthetic(config: DataConfig, split: str, image_size: int, progress_for: ProgressFor) -> FaceSet:
    from nasface.rendering.synthetic import build_synthetic

    count = {"train": config.train_count, "val": config.val_count, "test": config.test_count}[split]
    if count < 1:
        raise UserError(f"data.{split}_count must be at least 1 for synthetic faces, not {count}")
    domain = config.domain if split == "test" else "studio"
    return build_synthetic(
        config.cache, split, count, image_size, config.seed, progress_for(f"rendering {split} faces"), domain=domain
    )


def _ddfa(config: DataConfig, split: str, image_size: int, progress_for: ProgressFor) -> FaceSet:
    from nasface.data.sets.ddfa import load_ddfa

    progress = progress_for(f"decoding {split} faces")
    faces = load_ddfa(config.ddfa, config.ddfa_assets, split, image_size, cache_dir=config.cache, progress=progress)
    count = config.train_count if split == "train" else config.val_count
    return faces.subset(range(count)) if 0 < count < len(faces) else faces


def _basel_model(config: DataConfig) -> tuple[MorphableModel, KeypointModel]:
    if config.bfm:
        from nasface.faces.bfm import keypoints_of, load_bfm
        from nasface.faces.bfm_noneck import load_bfm_noneck

        model = load_bfm_noneck(config.bfm) if Path(config.bfm).is_dir() else load_bfm(config.bfm)
        return model, keypoints_of(model)
    from nasface.faces.ddfa_model import load_ddfa_model, load_keypoint_model

    return load_ddfa_model(config.ddfa_assets), load_keypoint_model(config.ddfa_assets)


def _w300lp(
    config: DataConfig,
    model: MorphableModel,
    keypoints: KeypointModel,
    split: str,
    image_size: int,
    progress_for: ProgressFor,
) -> FaceSet:
    from nasface.data.sets.w300lp import load_w300lp

    return load_w300lp(
        config.w300lp,
        model,
        keypoints,
        image_size,
        split=split,
        count=config.train_count if split == "train" else config.val_count,
        cache_dir=config.cache,
        progress=progress_for(f"decoding {split} faces"),
    )


def _test(config: DataConfig, image_size: int, progress_for: ProgressFor) -> FaceSet:
    if config.test == "synthetic":
        if config.train != "synthetic":
            raise UserError("data.test synthetic goes with data.train synthetic only: the landmarks are another head's")
        return _synthetic(config, "test", image_size, progress_for)
    from nasface.data.sets.aflw2000 import load_aflw2000

    return load_aflw2000(
        config.aflw2000, image_size, cache_dir=config.cache, progress=progress_for("decoding test faces")
    )
