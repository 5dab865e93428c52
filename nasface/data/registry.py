"""Data sets by name: what `data.train` and `data.test` take.

A set is one file in nasface/data/sets/ (or nasface/rendering/, where its faces are drawn) that registers a function;
files there are found by themselves:

    @register_data_set("mine", splits=("test",), labels=Labels(depth=True), published="https://...")
    def mine(request: Request) -> FaceSet:
        return load_mine(request.folder, request.crops)

Another package registers in the same way, in a module that its entry point in `nasface.data_sets` names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nasface.config import DataConfig
from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.faces.landmarks import NUM_LANDMARKS
from nasface.faces.morphable import MorphableModel
from nasface.utils.errors import UserError
from nasface.utils.progress import Progress
from nasface.utils.registry import Registry

Split = Literal["train", "val", "test", "all"]
Read = Callable[["Request"], FaceSet]
Needs = Literal["model", "depth", "points"]
"""What a training asks of its faces: pose and coefficients of a morphable model, landmarks with depth, or landmarks."""


@dataclass(frozen=True)
class Labels:
    """What a set knows of each face.

    Attributes:
        points: landmarks; 68 are in iBUG's order.
        depth: they have a depth.
        yaw: its yaw angle is known, by which tests are grouped.
    """

    points: int = NUM_LANDMARKS
    depth: bool = False
    yaw: bool = True

    def __str__(self) -> str:
        return f"{self.points} points {'with' if self.depth else 'without'} depth{'' if self.yaw else ', no yaw'}"


@dataclass(frozen=True)
class Request:
    """What a set is asked for.

    Attributes:
        name: of the set.
        config: the experiment's settings of data.
        split: train, val, test, or all of a set that is not split.
        image_size: side of the images in pixels.
        model: of the set's targets; None for a set that has none.
        progress_for: gives a progress callback (done, total) for a named step.
    """

    name: str
    config: DataConfig
    split: Split
    image_size: int
    model: MorphableModel | None
    progress_for: Callable[[str], Progress]

    @property
    def count(self) -> int:
        """How many faces of the split the settings ask for; 0 for all that a real set has."""
        config = self.config
        asked = {"train": config.train_count, "val": config.val_count, "test": config.test_count}.get(self.split)
        return asked or 0

    @property
    def crops(self) -> CropSettings:
        """How to cut a real set."""
        progress = self.progress_for(f"decoding {self.split} faces")
        return CropSettings(self.image_size, cache_dir=self.config.cache, progress=progress)

    @property
    def folder(self) -> str:
        """`data.folders` of this set; a UserError where it is not set."""
        if self.name not in self.config.folders:
            others = ", ".join(self.config.folders.keys() - DATA_SETS.names())
            also = f"; {others} is no set" if others else ""
            raise UserError(f"where is the set {self.name}? give its folder by --data.folders.{self.name}{also}")
        return self.config.folders[self.name]


@dataclass(frozen=True)
class DataSet:
    """A registered set.

    Attributes:
        name: what `data.train` and `data.test` take.
        read: gives the faces of a request.
        splits: of train, val and test, those that it has; a twentieth of train is for validation where it has no val.
            `all` is a set without splits, of which a folder is trained on or tested on.
        labels: what it knows of each face.
        published: where it is published; empty for one that is made here.
        model: gives the morphable model whose pose and coefficients its faces have, which training needs; None for a
            set without them.
        other_head: its landmarks are those of another head than real sets', so that a test on it goes with training on
            it only.
        groups: names (N,) of what must not be divided between training and validation, such as videos.
    """

    name: str
    read: Read
    splits: tuple[str, ...]
    labels: Labels
    published: str
    model: Callable[[DataConfig], MorphableModel] | None
    other_head: bool
    groups: Callable[[Request], np.ndarray] | None = None

    @property
    def whole(self) -> bool:
        """Whether it is not split: one folder is for training or for a test."""
        return "all" in self.splits

    @property
    def drawn(self) -> bool:
        """Whether its faces are made here, so that none can be absent or broken."""
        return not self.published

    def trains(self, needs: Needs = "points") -> bool:
        """Whether it has training faces with such labels."""
        has = {"model": self.model is not None, "depth": self.labels.depth, "points": True}
        return has[needs] and (self.whole or "train" in self.splits)

    @property
    def tests(self) -> bool:
        """Whether it has test faces."""
        return self.whole or "test" in self.splits


DATA_SETS: Registry[DataSet] = Registry(
    "data set", "nasface.data_sets", "nasface.data.sets", "nasface.rendering.synthetic"
)


def register_data_set(
    name: str,
    *,
    splits: tuple[str, ...],
    labels: Labels,
    published: str = "",
    model: Callable[[DataConfig], MorphableModel] | None = None,
    other_head: bool = False,
    groups: Callable[[Request], np.ndarray] | None = None,
) -> Callable[[Read], Read]:
    """Make a set known under a name; decorates the function that reads it. Arguments as in `DataSet`; a ValueError
    where the name is taken."""

    def register(read: Read) -> Read:
        DATA_SETS.add(name, DataSet(name, read, splits, labels, published, model, other_head, groups), source=read)
        return read

    return register


def data_set(name: str, use: Literal["train", "test"], needs: Needs = "points") -> DataSet:
    """The set that `data.train` or `data.test` names; a UserError where it is unknown, or has no faces for that use,
    with the labels that a training `needs`."""

    def fits(one: DataSet) -> bool:
        return one.trains(needs) if use == "train" else one.tests

    found = DATA_SETS.get(name)
    if fits(found):
        return found
    choices = ", ".join(name for name in DATA_SETS.names() if fits(DATA_SETS.get(name)))
    targets = "" if found.model else ", no model's pose and coefficients"
    wanted = {"model": " with a model's pose and coefficients", "depth": " with points that have depth", "points": ""}
    raise UserError(
        f"data.{use} cannot be {found.name} (splits: {', '.join(found.splits)}; {found.labels}{targets}): it needs"
        f" {'test' if use == 'test' else 'training'} faces{wanted[needs]}; choose one of {choices}"
    )
