"""Training many small networks alike: what does not depend on the network is computed once.

The batches of a training (their faces, augmentation and targets) are a function of the seed and the step, so that all
networks can share them; and a loop without callbacks and checkpoints takes a fraction of the time where a training
lasts seconds. The networks come out as `nasface retrain` would train them, up to the order of sums.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nasface.config import RetrainConfig
from nasface.data.face_set import FaceSet
from nasface.data.module import BatchSettings, FaceDataModule, prepare_batch
from nasface.evaluation.inference import predict_faces
from nasface.metrics.aflw2000 import BinnedNME, binned_nme
from nasface.metrics.nme import nme_68
from nasface.nets.multipath import MemberSpec
from nasface.nets.network import channels_last
from nasface.training.optimizers import in_steps, learning_rate_factor, make_optimizer, with_optimizer_of
from nasface.training.targets.uv import FaceMaps, output_loss
from nasface.training.uv_target import UVReader, UVTarget
from nasface.utils.errors import UserError

KEPT_BYTES = 2**30
"""Memory that the batches of a training may take; larger ones are made anew for every network."""


class DivergedError(UserError):
    """The loss of a training is no number."""


def check_alike(config: RetrainConfig) -> None:
    """Refuse settings that only a training on its own has.

    Raises:
        UserError: see above.
    """
    if config.accumulate != 1:
        size = config.batch_size * config.accumulate
        raise UserError(
            f"retrain.accumulate {config.accumulate} is for `nasface retrain`, not for many trainings alike: leave it"
            f" out here, or give retrain.batch_size {size}"
        )


class SharedBatches:
    """The batches that `nasface retrain` trains on with a seed, for one network after the other.

    Iterating gives (images (B, 3, S, S), normalised and augmented; targets (B, 3, M, M), UV maps in the networks'
    units), one pair a step.

    Args:
        faces: the training faces, with pose and coefficients.
        uv: makes the targets.
        config: steps or epochs, batch size and augmentation.
        seed: of the order of the faces, of their augmentation and of the networks' first weights.
        keep: keep them in memory, as far as `KEPT_BYTES` allow.
        mixture: number and share of the faces of each set, where they are of several.

    Raises:
        UserError: see `check_alike`.
    """

    def __init__(
        self,
        faces: FaceSet,
        uv: UVTarget,
        config: RetrainConfig,
        seed: int,
        *,
        keep: bool = True,
        mixture: Sequence[tuple[int, float]] = (),
    ) -> None:
        check_alike(config)
        self.config = config = with_optimizer_of(MemberSpec, in_steps(config, len(faces)))
        self.seed, self.uv = seed, uv
        self.maps = FaceMaps(uv, faces, config.augmentation, seed)
        batches = BatchSettings(config.batch_size, config.steps, seed, config.augmentation)
        self._data = FaceDataModule(faces, faces, batches, mixture=mixture)
        values = 3 * (faces.image_size**2 + uv.map_size**2)
        fits = keep and 4 * values * config.steps * config.batch_size <= KEPT_BYTES
        self._kept = list(self._make()) if fits else None
        self._there: list[tuple[Tensor, Tensor]] | None = None

    def __len__(self) -> int:
        return self.config.steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self._make() if self._kept is None else iter(self._kept)

    def on(self, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """All batches in a GPU's memory, kept there from the first call on."""
        if self._there is None or self._there[0][0].device != device:
            self._there = [(images.to(device), target.to(device)) for images, target in self]
        return self._there

    def _make(self) -> Iterator[tuple[Tensor, Tensor]]:
        for raw in self._data.train_dataloader():
            batch = prepare_batch(raw, self.config.augmentation)
            yield batch["image"], self.uv.target_units(batch)


def train_alone(build: Callable[[], Any], batches: SharedBatches) -> tuple[nn.Module, float]:
    """Train one network from scratch on the batches; the network and the CPU seconds that it took, which other work on
    the machine hardly changes.

    Args:
        build: makes the network; its first weights are drawn from the batches' seed.

    Raises:
        DivergedError: the loss is no number.
    """
    start = time.process_time()
    torch.manual_seed(batches.seed)
    network: Any = channels_last(build()).train()
    network.learn(batches.maps)
    parameters = list(network.parameters())
    config = batches.config
    settings = config.optimizer
    optimizer, schedule = make_optimizer(parameters, settings, learning_rate_factor(settings, len(batches)))
    for step, (images, target) in enumerate(batches):
        loss = output_loss(network, network.output(images), target, batches.uv, config)["loss"]
        if not torch.isfinite(loss):
            raise DivergedError(f"the training loss became {loss.item()} at step {step}: lower retrain.optimizer.lr")
        optimizer.zero_grad()
        loss.backward()
        if settings.clip > 0:
            nn.utils.clip_grad_norm_(parameters, settings.clip)
        optimizer.step()
        schedule.step()
    return network.eval(), time.process_time() - start


def errors_of(network: nn.Module, uv: UVTarget, faces: FaceSet, chunk: int = 250) -> BinnedNME:
    """NME (%) by yaw of a network on faces, `chunk` of them at a time."""
    landmarks = predict_faces(UVReader(network, uv), faces.images, batch=chunk).landmarks
    return binned_nme(nme_68(landmarks, faces.landmarks, faces.box), faces.yaw)


def figures_of(result: BinnedNME) -> tuple[float, ...]:
    """NME (%) as records hold it, to five places: the three yaw bins, their mean, all faces."""
    return tuple(round(float(value), 5) for value in (*result.bins, result.mean, result.all))
