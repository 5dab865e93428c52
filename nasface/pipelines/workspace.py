"""What every stage of an experiment works on: its settings, space, faces and UV target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from nasface.config import AugmentConfig, Experiment
from nasface.data.registry import data_set
from nasface.data.sources import Faces, load_faces
from nasface.faces.uv import uv_basis
from nasface.space.space import MultipathSpace
from nasface.training.uv_target import UVTarget
from nasface.utils.errors import UserError
from nasface.utils.kept_memory import keep_freed_memory
from nasface.utils.progress import progress_for

if TYPE_CHECKING:  # it brings Lightning, two seconds that a worker of a search should not wait for
    from nasface.data.module import BatchVideos, FaceDataModule


_LARGE_BATCH = 1024  # up to here a batch may hold faces more than once, as runs on a handful of faces do


@dataclass(frozen=True)
class Workspace:
    """What every stage of one experiment needs: its faces and its UV target. The training of a fixed network needs no
    space."""

    experiment: Experiment
    space: MultipathSpace | None
    faces: Faces
    uv: UVTarget

    @property
    def searched(self) -> MultipathSpace:
        """The space that is searched; the training of a fixed network has none."""
        if self.space is None:
            raise ValueError("this workspace has no space")
        return self.space

    def data_module(
        self, batch_size: int, steps_per_epoch: int, augmentation: AugmentConfig, videos: BatchVideos | None = None
    ) -> FaceDataModule:
        """The faces in batches, in the order and with the augmentation of the experiment's seed.

        Raises:
            UserError: a batch holds thousands of faces, and more than there are: memory would end before it does.
        """
        from nasface.data.module import BatchSettings, FaceDataModule

        faces = self.faces
        if batch_size > max(len(faces.train), _LARGE_BATCH):
            raise UserError(f"batch_size {batch_size} is more than the {len(faces.train)} training faces: choose less")
        batches = BatchSettings(batch_size, steps_per_epoch, self.experiment.seed, augmentation)
        return FaceDataModule(faces.train, faces.val, batches, videos, faces.mixture, self.experiment.device.workers)


def prepare(experiment: Experiment, space: MultipathSpace | None, test: bool = True) -> Workspace:
    """Faces and targets of an experiment, in a process that is to compute with them.

    Args:
        test: read the test faces, too, whose absence should show before hours of training; else when asked for.

    Raises:
        UserError: see `load_faces`.
    """
    keep_freed_memory()
    if space is not None:
        experiment.network.check(space.scales, space.name)
    if experiment.device.threads:
        torch.set_num_threads(experiment.device.threads)
    faces = load_faces(experiment.data, experiment.network.input_size, progress_for)
    if test:
        faces.test  # noqa: B018, kept from here on
    basis = uv_basis(faces.model, experiment.network.map_size)
    return Workspace(experiment, space, faces, UVTarget(basis, experiment.network.input_size))


def prepare_search(experiment: Experiment, space: MultipathSpace) -> Workspace:
    """The same for a search, which no test face has a part in. Those that lie in files are read all the same: what is
    broken should show now, not when the found network is trained. Those that are drawn wait until then."""
    return prepare(experiment, space, test=not data_set(experiment.data.test, "test").drawn)
