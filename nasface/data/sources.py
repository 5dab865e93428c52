"""Which faces an experiment trains, validates and tests on, and the morphable model of its targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np

from nasface.config import DataConfig
from nasface.data.face_set import FaceSet
from nasface.data.mixture import join, rows
from nasface.data.registry import DataSet, Needs, Request, Split, data_set
from nasface.faces.correspondences import as_68
from nasface.faces.morphable import MorphableModel, load_embedded_head
from nasface.utils.errors import UserError
from nasface.utils.progress import Progress

ProgressFor = Callable[[str], Progress]
VALIDATION_SHARE = 0.05
"""Share of the training faces that are kept for validation, of a set without a split of its own."""
LEAST_SHARE = 0.001
"""Of a set among several: one of every thousand training faces."""


@dataclass(frozen=True)
class Faces:
    """The three sets of an experiment and the model whose UV maps are the targets; the embedded head where the training
    faces have no model, or different ones. `mixture` has number and share of the faces of each training set, which
    follow each other in `train`, where it is several. The test faces are read when they are first asked for: a search
    needs none."""

    train: FaceSet
    val: FaceSet
    read_test: Callable[[], FaceSet]
    model: MorphableModel
    mixture: tuple[tuple[int, float], ...] = ()

    @cached_property
    def test(self) -> FaceSet:
        """The test faces.

        Raises:
            UserError: a folder or file is absent or broken; a setting does not fit.
        """
        return self.read_test()


def training_sets(config: DataConfig) -> dict[str, float]:
    """The sets that `data.train` names and their shares, which sum to 1; a UserError where it is not understood."""
    texts = [config.train] if isinstance(config.train, str) else config.train
    shares: dict[str, float] = {}
    for text in texts:
        name, colon, share = text.partition(":")
        try:
            value = float(share) if colon else 1.0
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf") or name in shares:
            raise UserError(f"data.train: {text!r} is no set and share, or one twice: write [pts:0.5, w300lp:0.5]")
        shares[name] = value
    if not shares:
        raise UserError("data.train names no set: give one, such as synthetic")
    total = sum(shares.values())
    shares = {name: share / total for name, share in shares.items()}
    for name, part in shares.items():
        if part < LEAST_SHARE:
            raise UserError(
                f"data.train: {name} has a share of {part:.2g}, too little for a face of every thousand: give it"
                f" {LEAST_SHARE:g} or more, or leave it out"
            )
    return shares


def check_sets(config: DataConfig, needs: Needs = "model") -> None:
    """Refuse sets that are unknown or do not fit their use, before anything is read; `needs` are the training's."""
    shares, testing = training_sets(config), data_set(config.test, "test")
    training = [data_set(name, "train", needs) for name in shares]
    if testing.other_head and testing.name not in shares:
        raise UserError(
            f"data.test {config.test} goes with data.train {config.test} only: the landmarks are another head's"
        )
    if testing.whole and testing.name in shares:
        raise UserError(f"data.test {config.test} is trained on, and has no split of its own: test on another set")
    if needs == "model" and len(training) > 1 and _common_model(config, training) is None:
        raise UserError(f"data.train: {', '.join(shares)} have different models, of which a training on maps takes one")


def load_faces(config: DataConfig, image_size: int, progress_for: ProgressFor) -> Faces:
    """Make or load the faces of an experiment at `image_size` x `image_size` pixels; `progress_for` gives a progress
    callback (done, total) for a named step. Test faces wait until they are asked for.

    Landmarks are 68 in iBUG's order, NaN where a set of fewer points has no counterpart; the depth of training faces is
    NaN, too, where the set does not know it.

    Raises:
        UserError: a set is unknown or unfit for its use; a folder or file is absent or broken; a setting does not fit.
    """
    check_sets(config, "points")
    shares = training_sets(config)
    training, testing = [data_set(name, "train") for name in shares], data_set(config.test, "test")
    model = _common_model(config, training)

    def read(split: Literal["train", "val"]) -> list[FaceSet]:
        return [read_training(one, split, config, image_size, progress_for, model) for one in training]

    parts, val = read("train"), read("val")
    request = Request(testing.name, config, "all" if testing.whole else "test", image_size, None, progress_for)
    if testing in training:
        request = replace(request, model=model)
    mixture = tuple(zip(map(len, parts), shares.values(), strict=True)) if len(parts) > 1 else ()
    read_test = partial(_tested_on, testing, request)
    return Faces(join(parts), join(val), read_test, model or load_embedded_head(), mixture)


def read_training(
    source: DataSet,
    split: Literal["train", "val"],
    config: DataConfig,
    image_size: int,
    progress_for: ProgressFor,
    model: MorphableModel | None = None,
) -> FaceSet:
    """Training or validation faces of one set, see `load_faces`; pose and coefficients only with the `model` that the
    targets have."""
    own: Split = "all" if source.whole else split if split in source.splits else "train"
    request = Request(source.name, config, own, image_size, model, progress_for)
    faces = _trained_on(source, source.read(request), model)
    if "val" in source.splits:
        return faces
    chosen = _divide(np.arange(len(faces)) if source.groups is None else source.groups(request))[split == "val"]
    return rows(faces, chosen[: (config.train_count if split == "train" else config.val_count) or None])


def _tested_on(source: DataSet, request: Request) -> FaceSet:
    """Faces with their landmarks in iBUG's order."""
    faces = source.read(request)
    if source.labels.points == 68:
        return faces
    return replace(faces, landmarks=as_68(faces.landmarks), visible=None)


def _trained_on(source: DataSet, faces: FaceSet, model: MorphableModel | None) -> FaceSet:
    """Faces with the labels that trainings know."""
    if source.labels.points == 68 and source.labels.depth:
        same = model is not None or faces.pose is None
        return faces if same else replace(faces, pose=None, coefficients=None)
    landmarks = as_68(faces.landmarks)
    if not source.labels.depth:
        landmarks[..., 2] = np.nan
    return replace(faces, landmarks=landmarks, visible=None)


def _divide(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which faces of the groups (N,) are for training and which for validation, each in a fixed shuffled order; a set
    of one group is both."""
    names, member = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(0)
    held = rng.permutation(len(names))[: max(1, round(VALIDATION_SHARE * len(names)))]
    chosen, order = np.isin(member, held), rng.permutation(len(member))
    kept = order[chosen[order]]
    return (order[~chosen[order]] if len(names) > 1 else kept), kept


def _common_model(config: DataConfig, training: list[DataSet]) -> MorphableModel | None:
    """The model of all training sets, or None where one has none or another."""
    models = []
    for source in training:
        if source.model is None:
            return None
        models.append(source.model(config))
    first = models[0]
    same = all(np.array_equal(one.mean, first.mean) and np.array_equal(one.basis, first.basis) for one in models[1:])
    return first if same else None
