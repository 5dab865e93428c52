"""Which faces an experiment trains, validates and tests on, and the morphable model of its targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nasface.config import DataConfig
from nasface.data.face_set import FaceSet
from nasface.faces.morphable import MorphableModel
from nasface.utils.errors import UserError

if TYPE_CHECKING:
    from nasface.faces.ddfa_model import KeypointModel

ProgressFor = Callable[[str], Callable[[int, int], None]]


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
    from nasface.rendering.synthetic import SyntheticFaces, build_synthetic

    count = {"train": config.train_count, "val": config.val_count, "test": config.test_count}[split]
    if count < 1:
        raise UserError(f"data.{split}_count must be at least 1 for synthetic faces, not {count}")
    domain = config.domain if split == "test" else "studio"
    faces = SyntheticFaces(split, count, image_size, config.seed, domain)
    return build_synthetic(faces, config.cache, progress_for(f"rendering {split} faces"))


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
