"""The LightningDataModule: faces in, batches of tensors out, in an order that depends on (seed, step) alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from nasface.config import AugmentConfig
from nasface.data.augment import augment, moved_landmarks, normalise
from nasface.data.face_set import FaceSet
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError


class BatchVideos(Protocol):
    """What makes videos of the stills of a batch (`nasface.rendering.video.ShortVideos`)."""

    def stills(self, batch_size: int) -> int:
        """How many stills make a batch of so many frames."""
        ...

    def of_batch(self, batch: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
        """The frames, and their labels, of a batch of stills."""
        ...


class Batch(NamedTuple):
    """Which faces make a batch, and the seed of their augmentation."""

    indices: np.ndarray
    seed: int


class SeededBatches(Sampler[Batch]):
    """Training batches as a pure function of (seed, epoch): resumed and distributed runs see the faces that a plain run
    sees.

    The faces of a set (`count`) are one endless stream of shuffled passes over it, cut into batches, `steps` of one
    process in an epoch; micro-batch m of the stream goes to rank m % world, so that a process which accumulates over
    `world` micro-batches sees in one step what `world` processes see together.

    A `mixture` of sets (number of faces and share of each, which lie one after another) is one such stream for each,
    woven so that every batch has their shares as nearly as whole faces can.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        steps: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        mixture: Sequence[tuple[int, float]] = (),
    ) -> None:
        self.count, self.batch_size, self.steps = count, batch_size, steps
        self.seed, self.rank, self.world, self.mixture = seed, rank, world, mixture
        self.epoch = 0
        if mixture:
            self._pattern = _weave([share for _, share in mixture])

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch (of a DataLoader's `sampler`, not of its `batch_sampler`)."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        for step in range(self.epoch * self.steps, (self.epoch + 1) * self.steps):
            micro = step * self.world + self.rank
            yield Batch(self._stream(micro * self.batch_size), self.seed * 1_000_003 + micro)

    def _stream(self, start: int) -> np.ndarray:
        positions = np.arange(start, start + self.batch_size)
        if not self.mixture:
            return self._of_set(positions, self.count)
        block, place = np.divmod(positions, len(self._pattern))
        indices, first = np.empty(self.batch_size, dtype=np.int64), 0
        for number, (count, _) in enumerate(self.mixture):
            own = self._pattern == number
            before, inside = np.cumsum(own) - own, own[place]
            indices[inside] = first + self._of_set(block[inside] * own.sum() + before[place[inside]], count, number)
            first += count
        return indices

    def _of_set(self, positions: np.ndarray, count: int, *part: int) -> np.ndarray:
        """The faces at positions of the stream of one set of `count`."""
        passes = positions // count
        indices = np.empty(len(positions), dtype=np.int64)
        for number in np.unique(passes):
            order = np.random.default_rng([self.seed, int(number), *part]).permutation(count)
            inside = passes == number
            indices[inside] = order[positions[inside] % count]
        return indices


def _weave(shares: Sequence[float]) -> np.ndarray:
    """Which set each of 1000 successive faces is of: always the one that is most behind its share."""
    wanted, taken = np.array(shares), np.zeros(len(shares))
    pattern = np.empty(1000, dtype=np.int64)
    for place in range(len(pattern)):
        pattern[place] = np.argmax(wanted * (place + 1) - taken)
        taken[pattern[place]] += 1
    return pattern


class _Faces(Dataset):
    """Batches of one FaceSet; the sampler hands over whole batches."""

    def __init__(self, faces: FaceSet) -> None:
        self.faces = faces

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, batch: Batch) -> dict[str, Any]:
        faces, indices = self.faces, batch.indices
        arrays = {"image": faces.images, "landmarks": faces.landmarks, "yaw": faces.yaw, "box": faces.box}
        if faces.pose is not None and faces.coefficients is not None:
            arrays |= {"pose": faces.pose, "coefficients": faces.coefficients}
        tensors: dict[str, Any] = {
            name: torch.from_numpy(np.ascontiguousarray(array[indices])) for name, array in arrays.items()
        }
        return tensors | {"index": torch.from_numpy(np.asarray(indices)), "seed": batch.seed}


class _Frames(_Faces):
    """Batches whose faces are augmented, and turned into videos, where they are read."""

    def __init__(self, faces: FaceSet, videos: BatchVideos, augmentation: AugmentConfig) -> None:
        super().__init__(faces)
        self.videos, self.augmentation = videos, augmentation

    def __getitem__(self, batch: Batch) -> dict[str, Any]:
        return self.videos.of_batch(prepare_batch(super().__getitem__(batch), self.augmentation), batch.seed)


@dataclass(frozen=True)
class BatchSettings:
    """How faces become batches.

    Attributes:
        size: faces in a training batch.
        steps_per_epoch: training batches in an epoch.
        seed: of order and augmentation.
        augmentation: strengths.
        evaluation_size: faces in an evaluation batch.
    """

    size: int
    steps_per_epoch: int
    seed: int
    augmentation: AugmentConfig
    evaluation_size: int = 100


class FaceDataModule(pl.LightningDataModule):
    """Training and validation faces.

    Batches are dictionaries: image (B, 3, S, S) float32 normalised, landmarks (B, 68, 3) and box (B, 2) in crop pixels,
    yaw (B,) degrees, index (B,) of the face in its set, flipped (B,) bool and, where the set has a morphable model,
    pose (B, 3, 4) and coefficients (B, K). Landmarks of training batches with a model are the un-augmented ones:
    targets are made from pose and coefficients. Without a model they are augmented as the images are.

    Args:
        train, val: the sets; both of the same image size.
        batches: how they become batches.
        videos: makes short videos of the training faces, whose frames fill a batch; None leaves them stills.
        mixture: number and share of the faces of each set, where the training faces are of several.
        workers: processes that make videos; where None, as many as there are cores beside this process's.
    """

    def __init__(
        self,
        train: FaceSet,
        val: FaceSet,
        batches: BatchSettings,
        videos: BatchVideos | None = None,
        mixture: Sequence[tuple[int, float]] = (),
        workers: int | None = None,
    ) -> None:
        super().__init__()
        for name, faces in (("training", train), ("validation", val)):
            if len(faces) == 0:
                raise UserError(f"the {name} set {faces.name!r} holds no face: check the data settings")
        self.train, self.val, self.batches, self.videos = train, val, batches, videos
        self.mixture, self.workers = mixture, available_cores() - 1 if workers is None else workers

    def train_dataloader(self) -> DataLoader:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        batches = self.batches
        stills = self.videos.stills(batches.size) if self.videos else batches.size
        sizes = (len(self.train), stills, batches.steps_per_epoch, batches.seed)
        stream = SeededBatches(*sizes, rank, world, self.mixture)
        if self.videos is None or not self.workers:
            return _loader(self.train, stream)
        # Frames take longer than steps, so that they are made ahead. OpenCV's threads end before a process forks: its
        # copy would wait for threads that it does not have.
        cv2.setNumThreads(1)
        # Workers ask for batches before Lightning says which epoch it is.
        progress: Any = self.trainer.fit_loop.epoch_progress.current if self.trainer else None
        stream.set_epoch(progress.processed if progress else 0)
        made = _Frames(self.train, self.videos, batches.augmentation)
        return DataLoader(made, sampler=stream, batch_size=None, num_workers=self.workers, prefetch_factor=4)

    def val_dataloader(self) -> DataLoader:
        return _in_order(self.val, self.batches.evaluation_size)

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        training = self.trainer is not None and self.trainer.training
        if "seed" not in batch:  # made by a worker
            return batch
        seed, batch = batch["seed"], prepare_batch(batch, self.batches.augmentation if training else None)
        return self.videos.of_batch(batch, seed) if training and self.videos else batch


def evaluation_batches(faces: FaceSet, batch_size: int) -> Iterator[dict[str, Tensor]]:
    """Every face of a set once, in order: batches as `FaceDataModule` hands them to an evaluation."""
    for batch in _in_order(faces, batch_size):
        yield prepare_batch(batch, None)


def prepare_batch(batch: dict[str, Any], augmentation: AugmentConfig | None) -> dict[str, Tensor]:
    """Normalise a batch's images and, where asked, augment it."""
    batch = dict(batch)
    seed, images = batch.pop("seed"), normalise(batch["image"])
    if augmentation is None:
        return batch | {"image": images, "flipped": torch.zeros(len(images), dtype=torch.bool, device=images.device)}
    if "pose" in batch:
        images, pose, flipped = augment(images, batch["pose"], augmentation, seed)
        return batch | {"image": images, "pose": pose, "flipped": flipped}
    images, landmarks, flipped = moved_landmarks(images, batch["landmarks"], augmentation, seed)
    return batch | {"image": images, "landmarks": landmarks, "flipped": flipped}


def _in_order(faces: FaceSet, batch_size: int) -> DataLoader:
    """Evaluation batches: every face once, in order."""
    indices = np.arange(len(faces))
    starts = range(0, len(faces), batch_size)
    return _loader(faces, [Batch(indices[start : start + batch_size], 0) for start in starts])


def _loader(faces: FaceSet, batches: Iterable[Batch]) -> DataLoader:
    # The sets lie in memory (or the page cache) and a batch is one fancy index: worker processes would only copy it.
    return DataLoader(_Faces(faces), sampler=batches, batch_size=None, num_workers=0)
