"""Which faces an experiment trains, validates and tests on, and the morphable model of its targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nasface.config import DataConfig
from nasface.data.face_set import FaceSet
from nasface.data.registry import DataSet, Request, Split, data_set
from nasface.faces.morphable import MorphableModel
from nasface.utils.errors import UserError
from nasface.utils.progress import Progress

ProgressFor = Callable[[str], Progress]


@dataclass(frozen=True)
class Faces:
    """The three sets of an experiment and the model whose UV maps are the targets."""

    train: FaceSet
    val: FaceSet
    test: FaceSet
    model: MorphableModel


def check_sets(config: DataConfig) -> None:
    """Refuse sets that are unknown or do not fit their use, before anything is read."""
    data_set(config.train, "train")
    data_set(config.test, "test")


def load_faces(config: DataConfig, image_size: int, progress_for: ProgressFor) -> Faces:
    """Make or load the faces of an experiment at `image_size` x `image_size` pixels; `progress_for` gives a progress
    callback (done, total) for a named step.

    Raises:
        UserError: a set is unknown or unfit for its use; a folder or file is absent or broken; a setting does not fit.
    """
    training, testing = data_set(config.train, "train"), data_set(config.test, "test")
    assert training.model is not None
    model = training.model(config)

    def read(source: DataSet, split: Split) -> FaceSet:
        own = model if source is training else None
        return source.read(Request(source.name, config, split, image_size, own, progress_for))

    train, val = read(training, "train"), read(training, "val")
    if testing.other_head and testing is not training:
        raise UserError(
            f"data.test {config.test} goes with data.train {config.test} only: the landmarks are another head's"
        )
    return Faces(train, val, read(testing, "test"), model)
