"""Faces whose depth nobody knows: photographs with 2D landmarks that are mixed into the training on 3D faces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nasface.config import AugmentConfig, Experiment
from nasface.data.augment import moved_landmarks, normalise
from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.data.module import SeededBatches
from nasface.data.registry import DATA_SETS, data_set
from nasface.data.sets.ddfa import load_ddfa
from nasface.data.sources import read_training
from nasface.utils.errors import UserError
from nasface.utils.progress import progress_for


@dataclass(frozen=True)
class WildFaces:
    """Batches of images and 2D landmarks, a pure function of (seed, number), so that a resumed training sees the ones
    that it would have seen.

    Attributes:
        faces: their depth is never read.
        batch_size: faces in a batch.
        seed: of order and augmentation.
        augmentation: strengths.
    """

    faces: FaceSet
    batch_size: int
    seed: int
    augmentation: AugmentConfig

    def batch(self, number: int, rank: int = 0, world: int = 1) -> tuple[Tensor, Tensor]:
        """Normalised images (B, 3, S, S) and the landmarks (B, 68, 2) in crop pixels of a process's batch."""
        batches = SeededBatches(len(self.faces), self.batch_size, 1, self.seed + 1, rank, world)
        batches.set_epoch(number)
        chosen = next(iter(batches))
        images, landmarks = (torch.from_numpy(np.ascontiguousarray(array[chosen.indices])) for array in self._arrays)
        images, moved, _ = moved_landmarks(normalise(images), landmarks[..., :2], self.augmentation, chosen.seed)
        return images, moved

    @property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return self.faces.images, self.faces.landmarks


def load_wild_faces(experiment: Experiment, source: str, image_size: int) -> WildFaces:
    """The wild faces of an experiment: `synthetic` (rendered from a seed of their own), another registered set, or a
    folder in 3DDFA's layout; a UserError where that is absent or damaged."""
    data, retrain = experiment.data, experiment.retrain
    if source in DATA_SETS.names():
        other = replace(data, seed=data.seed + 1)
        faces = read_training(data_set(source, "train"), "train", other, image_size, progress_for)
    else:
        if not Path(source).is_dir():
            raise UserError(f"volume.wild {source!r} is no folder, nor a set: {', '.join(DATA_SETS.names())}")
        crops = CropSettings(image_size, cache_dir=data.cache, progress=progress_for("decoding wild faces"))
        faces = load_ddfa(source, data.ddfa_assets, "train", crops)
    if len(faces) == 0:
        raise UserError(f"volume.wild {source!r} holds no face: name another folder")
    return WildFaces(faces, retrain.batch_size, experiment.seed, retrain.augmentation)
