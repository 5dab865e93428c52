"""Volumes: the task that trains joint voxel and coordinate regression, with weak labels and against a discriminator.

Zhang et al., "Adversarial Learning Semantic Volume for 2D/3D Face Shape Regression in the Wild", TIP 2019. Its
`Baseline`, `Baseline-mix` and `Adversarial` (Table VIII) are settings (`VolumeConfig`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from nasface.data.augment import mirrored
from nasface.data.face_set import FaceSet
from nasface.faces.correspondences import point_matrix
from nasface.metrics.nme_torch import mean_over_box
from nasface.nets.baselines.jvcr import JVCR, STRIDE
from nasface.nets.baselines.jvcr_discriminator import VolumeDecoder, discriminate
from nasface.nets.network import full_precision
from nasface.training.face_task import FaceTask, TaskContext
from nasface.training.optimizers import learning_rate_factor, make_optimizer
from nasface.training.prediction import FacePrediction
from nasface.training.targets.volume_drawing import (
    draw_heatmap,
    draw_volume,
    gaussian_peak,
    grey,
    landmark_colours,
    marginal,
)
from nasface.training.targets.wild_faces import WildFaces, load_wild_faces
from nasface.utils.errors import UserError


@dataclass(frozen=True)
class Labelled:
    """Images and what is known of them; faces with depth come first.

    Attributes:
        image: (B, 3, S, S).
        points: (B, N, 3) in the network's units; depth 0 where it is unknown.
        volumes: of the first `deep` faces, one (deep, C, depth, W, W) for each stack.
        heatmap: (B - deep, C, W, W) of the others.
        known: (B, N) bool, the points that are annotated, where some are not: a face that lacks one has no volumes, and
            only the points that it has count.
    """

    image: Tensor
    points: Tensor
    volumes: list[Tensor]
    heatmap: Tensor
    known: Tensor | None = None

    @property
    def deep(self) -> int:
        """How many faces have depth."""
        return len(self.image) - len(self.heatmap)


def voxel_loss(estimates: list[Tensor], labels: Labelled) -> Tensor:
    """Eq. (7): squared errors of all stacks' voxels, or of their sums over z where depth is unknown; a mean over
    faces."""
    deep, total = labels.deep, estimates[0].new_zeros(())
    for estimate, volume in zip(estimates, labels.volumes, strict=True):
        flat = marginal(estimate[deep:], 1).squeeze(2)
        solid, plane = (estimate[:deep] - volume), flat - labels.heatmap
        if labels.known is not None:
            whole = labels.known.all(1)
            solid, plane = solid[whole[:deep]], plane[whole[deep:]]
        total = total + solid.square().sum() + plane.square().sum()
    return total / len(labels.image)


def coordinate_loss(points: Tensor, labels: Labelled) -> Tensor:
    """Eq. (8): squared error of all coordinates, of x and y alone where depth is unknown, in units of the image's side;
    a mean over faces.

    Args:
        points: (B, N, 3) in the network's units, which are half the side.
    """
    error = (points - labels.points).square() / 4
    if labels.known is not None:
        error = error * labels.known[..., None]
    return (error[..., :2].sum() + error[: labels.deep, :, 2].sum()) / len(labels.image)


def reconstruction_loss(volumes: list[Tensor], reconstructed: list[Tensor]) -> Tensor:
    """Eq. (10) and (13): squared errors of all stacks' voxels; a mean over faces."""
    errors = [(one - other).square().sum() for one, other in zip(volumes, reconstructed, strict=True)]
    return torch.stack(errors).sum() / len(volumes[0])


class VolumeTask(FaceTask):
    """Trains and evaluates one network by volumes and points.

    Three ways to make a step, in the paper's Algorithm 1: `pretraining` (Eq. 5 and 6), `joint` (Eq. 9 with 7 and 8) and
    the two half-steps `discriminator_half` (Eq. 11) and `generator_half` (Eq. 14). Two optimizers move G, the volume
    estimator, and P with D's decoder.

    Volumes are in units of a Gaussian's peak, losses in the paper's. Networks of fewer points than 68 are evaluated on
    those points alone, with the box of all 68, as in its Table VI. Where faces have depth, `nme_3d` is their 3D error
    after the points' mean depths are made equal.

    Args:
        wild: faces without depth to mix in.
    """

    needs = "points"
    network: JVCR
    colours: Tensor
    targets: Tensor
    mu: Tensor
    batches: Tensor

    def __init__(self, network: JVCR, context: TaskContext, wild: WildFaces | None = None) -> None:
        super().__init__(network, context)
        self.automatic_optimization = False
        experiment = context.experiment
        self.config, self.accumulate, self.wild = experiment.volume, experiment.retrain.accumulate, wild
        self.pretrain_steps = round(self.config.pretrain * self.total_steps)
        isolated = self.config.aux == 0
        self.decoder: Any = VolumeDecoder(network, isolated) if self.config.adversarial else None
        layout = network.layout
        colours = (
            landmark_colours(layout.points, self.config.colours, experiment.seed)
            if layout.semantic
            else grey(layout.points)
        )
        self.register_buffer("colours", colours, persistent=False)
        self.register_buffer("targets", torch.from_numpy(point_matrix(layout.points)), persistent=False)
        self.register_buffer("mu", torch.zeros(()))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    @classmethod
    def create(cls, network: JVCR, context: TaskContext) -> Self:
        source, experiment = context.experiment.volume.wild, context.experiment
        return cls(network, context, load_wild_faces(experiment, source, network.spec.input_size) if source else None)

    def learn_statistics(self, faces: FaceSet) -> None:
        self._require_whole_faces(faces)
        chosen = np.random.default_rng(0).permutation(len(faces))[:5000]
        landmarks = torch.from_numpy(self.complete_landmarks(faces.subset(chosen)))
        both = torch.cat((landmarks, mirrored(landmarks, self.network.spec.input_size)))
        self.network.set_shapes(self.to_units(both))

    def _require_whole_faces(self, faces: FaceSet) -> None:
        """Refuse faces of which none has all points: no volume could be drawn."""
        missing = np.isnan(np.asarray(faces.landmarks)[..., 0]).astype(np.float32)
        if (missing @ self.targets.cpu().numpy().T > 0).any(1).all():
            raise UserError(
                f"no face of {faces.name} has all {len(self.targets)} points whose volumes {self.network.spec.name}"
                " learns: take a network of fewer points, such as jvcr-66points, or other faces"
            )

    # Units -----------------------------------------------------------------------------------------------------------

    def to_units(self, landmarks: Tensor) -> Tensor:
        """The 68 landmarks (B, 68, 3) in crop pixels in the network's units, depth about its mean."""
        size = self.network.spec.input_size
        depth = landmarks[..., 2:] - landmarks[..., 2:].mean(1, keepdim=True)
        return torch.cat((landmarks[..., :2] - (size - 1) / 2, depth), -1) * (2 / size)

    def to_pixels(self, points: Tensor) -> Tensor:
        """Points (..., 3) in the network's units in crop pixels; depth stays about its mean."""
        size = self.network.spec.input_size
        centre = points.new_tensor([(size - 1) / 2, (size - 1) / 2, 0])
        return points * (size / 2) + centre

    def to_voxels(self, points: Tensor) -> Tensor:
        """Points in the network's units in voxels of the finest volume, 0 the first one's centre."""
        return points * (self.network.spec.input_size / 2 / STRIDE) + (self.network.side - 1) / 2

    # Labels ----------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def labels(self, batch: dict[str, Tensor], mixed: bool) -> Labelled:
        """What is known of a training batch, in float32 whatever the autocast; faces without depth (NaN) go behind the
        others.

        Args:
            mixed: add a batch of wild faces.
        """
        with full_precision(batch["image"]):
            return self._labels(batch, mixed)

    def _labels(self, batch: dict[str, Tensor], mixed: bool) -> Labelled:
        image, landmarks = batch["image"], self.true_landmarks(batch)
        solid = landmarks[..., 2].isfinite().any(1)
        deep = int(solid.sum())
        if deep < len(image):
            order = torch.argsort((~solid).int(), stable=True)
            image, landmarks = image[order], landmarks[order]
            landmarks = torch.cat((landmarks[..., :2], landmarks[..., 2:].nan_to_num()), -1)
        if mixed and self.wild is not None:
            world = self.trainer.world_size if self._trainer else 1
            images, flat = self.wild.batch(int(self.batches), self.global_rank if self._trainer else 0, world)
            image = torch.cat((image, images.to(image)))
            landmarks = torch.cat((landmarks, torch.nn.functional.pad(flat.to(landmarks), (0, 1))))
        missing = landmarks[..., 0].isnan()
        if not missing.any():
            return self.draw(image, self.targets @ self.to_units(landmarks), deep)
        # A point is known where all landmarks that it is the mean of are.
        known = missing.float() @ self.targets.T == 0
        landmarks = torch.where(missing[..., None], landmarks.nanmean(1, keepdim=True), landmarks)
        return replace(self.draw(image, self.targets @ self.to_units(landmarks), deep), known=known)

    def draw(self, image: Tensor, points: Tensor, deep: int) -> Labelled:
        """Labels of images and points (B, N, 3), of which the first `deep` have depth."""
        side, sigma, voxels = self.network.side, self.config.sigma, self.to_voxels(points)
        depths = self.network.estimator.depths
        volumes = [draw_volume(voxels[:deep], self.colours, side, sigma, depth) for depth in depths]
        return Labelled(image, points, volumes, draw_heatmap(voxels[deep:, :, :2], self.colours, side, sigma))

    # Losses ----------------------------------------------------------------------------------------------------------

    @property
    def voxel_unit(self) -> float:
        """Squared voxels in the paper's unit, for one in ours."""
        return gaussian_peak(self.config.sigma) ** 2

    def voxel_loss(self, estimates: list[Tensor], labels: Labelled) -> Tensor:
        """`voxel_loss` in the paper's unit."""
        return self.voxel_unit * voxel_loss([estimate.float() for estimate in estimates], labels)

    def reconstruction_loss(self, volumes: list[Tensor], reconstructed: list[Tensor]) -> Tensor:
        """`reconstruction_loss` in the paper's unit."""
        return self.voxel_unit * reconstruction_loss(
            [volume.float() for volume in volumes], [volume.float() for volume in reconstructed]
        )

    def pretraining(self, labels: Labelled) -> dict[str, Tensor]:
        """G learns volumes, P reads the drawn ones: Eq. (5) and (6)."""
        values = {"voxels": self.voxel_loss(self.network.estimator(labels.image), labels)}
        if len((known := _with_volumes(labels)).image):
            values["coordinates"] = coordinate_loss(self.network.points(known.volumes, known.image), known)
        return {"loss": torch.stack(tuple(values.values())).sum(), **values}

    def joint(self, labels: Labelled) -> dict[str, Tensor]:
        """G and P together: Eq. (9)."""
        volumes, points = self.network(labels.image)
        voxels, coordinates = self.voxel_loss(volumes, labels), coordinate_loss(points, labels)
        return {"loss": voxels + self.config.coord * coordinates, "voxels": voxels, "coordinates": coordinates}

    def discriminator_half(self, estimates: list[Tensor], labels: Labelled) -> dict[str, Tensor]:
        """D and P learn: Eq. (11), divided by the number of faces; no gradient reaches G, and no batch norm tracks it.

        P is used on estimates: norms that met drawn volumes, too, would be wrong there. They track in G's half-step.
        Isolated from D (`aux` 0), P learns by the weight that it has beside G.
        """
        config, estimates = self.config, [estimate.detach() for estimate in estimates]
        known = _with_volumes(labels)
        weight, share = config.aux or config.coord, len(known.image) / len(labels.image)
        with _untracked(self.network.regressor, self.decoder):
            remade, points = discriminate(self.network, self.decoder, estimates, labels.image)
            fake = self.reconstruction_loss(estimates, remade)
            total = weight * coordinate_loss(points, labels) - self.mu * fake
            values = {"fake": fake}
            if len(known.image):
                remade, points = discriminate(self.network, self.decoder, known.volumes, known.image)
                values["real"] = self.reconstruction_loss(known.volumes, remade)
                total = total + share * (values["real"] + weight * coordinate_loss(points, known))
        return {"discriminator": total, **values}

    def generator_half(self, estimates: list[Tensor], labels: Labelled) -> dict[str, Tensor]:
        """G learns, also from what D and P make of its volumes: Eq. (14); no gradient reaches D and P."""
        with _still(self.network.regressor, self.decoder):
            remade, points = discriminate(self.network, self.decoder, estimates, labels.image)
        values = {
            "voxels": self.voxel_loss(estimates, labels),
            "coordinates": coordinate_loss(points, labels),
            "adversarial": self.reconstruction_loss(estimates, remade),
        }
        weights = (1.0, self.config.coord, self.config.adv)
        return {"loss": sum(weight * value for weight, value in zip(weights, values.values(), strict=True)), **values}

    @torch.no_grad()
    def update_mu(self, real: Tensor, fake: Tensor) -> None:
        """Eq. (12), within [0, 1]; a step's share of it where gradients are accumulated."""
        gap = self.config.gamma * real - fake
        if self._trainer:
            gap = self.trainer.strategy.reduce(gap, reduce_op="mean")
        self.mu.add_(self.config.balance / self.accumulate * gap).clamp_(0, 1)

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return self.joint(self.labels(batch, mixed=True))

    # Steps -----------------------------------------------------------------------------------------------------------

    @property
    def steps_done(self) -> int:
        return int(self.batches) // self.accumulate

    def training_step(self, batch: dict[str, Tensor], _index: int) -> Tensor:
        begins, pretrains = int(self.batches) % self.accumulate == 0, self.steps_done < self.pretrain_steps
        labels = self.labels(batch, mixed=not pretrains)
        if begins:
            optimizers: Any = self.optimizers()
            for optimizer in optimizers:
                optimizer.zero_grad()
        if pretrains or not self.config.adversarial:
            values = self.pretraining(labels) if pretrains else self.joint(labels)
            self._backward(values["loss"])
            self._move(*cast(list[Any], self.optimizers()))
        else:
            values = self._adversarial_step(labels)
        self.batches += 1
        if int(self.batches) % self.accumulate == 0:
            schedulers: Any = self.lr_schedulers()
            for scheduler in schedulers:
                scheduler.step()
        for name, value in values.items():
            self.log(f"train/{name}", value.detach(), prog_bar=name == "loss")
        return values["loss"].detach()

    def on_fit_start(self) -> None:
        if str(self.trainer.precision) == "16-mixed":
            # Gradients are clipped here, where they would still be scaled.
            raise UserError("networks of volumes have no loss scaling: give device.precision bf16-mixed")

    def _adversarial_step(self, labels: Labelled) -> dict[str, Tensor]:
        generator, discriminator = cast(list[Any], self.optimizers())
        estimates = self.network.estimator(labels.image)
        values = self.discriminator_half(estimates, labels)
        self._backward(values["discriminator"])
        self._move(discriminator)
        values |= self.generator_half(estimates, labels)
        self._backward(values["loss"])
        self._move(generator)
        if "real" in values:
            self.update_mu(values["real"], values["fake"])
        return values | {"mu": self.mu}

    def _backward(self, loss: Tensor) -> None:
        self.manual_backward(self.finite(loss) / self.accumulate)

    def _move(self, *optimizers: Any) -> None:
        """Step, where this batch completes one."""
        if (int(self.batches) + 1) % self.accumulate:
            return
        for optimizer in optimizers:
            self.configure_gradient_clipping(optimizer)
            optimizer.step()

    def configure_optimizers(self) -> Any:
        config = self.optimizer_config
        factor, later = learning_rate_factor(config, self.total_steps), self.config.finetune_lr

        def rate(step: int) -> float:
            return factor(step) * (later if step >= self.pretrain_steps else 1.0)

        own = self.decoder.parameters() if self.decoder is not None else ()
        groups = (self.network.estimator.parameters(), [*self.network.regressor.parameters(), *own])
        made = []
        for parameters in groups:
            optimizer, scheduler = make_optimizer(parameters, config, rate, precision=str(self.trainer.precision))
            made.append({"optimizer": optimizer, "lr_scheduler": scheduler})
        return made

    # Evaluation ------------------------------------------------------------------------------------------------------

    def points(self, image: Tensor) -> Tensor:
        """The regressed points (B, N, 3) in crop pixels, depth about its mean."""
        return self.to_pixels(self.network(image)[1].float())

    def forward(self, image: Tensor) -> FacePrediction:
        return FacePrediction(self.to_pixels(self.network.landmarks(self.network(image)[1].float())))

    def evaluate(self, batch: dict[str, Tensor]) -> tuple[FacePrediction, dict[str, Tensor]]:
        points = self.network(batch["image"])[1].float()
        missing = batch["landmarks"].isnan().any(-1)
        with full_precision(points):
            error = self.to_pixels(points) - self.targets @ batch["landmarks"].nan_to_num()
            known = missing.float() @ self.targets.T == 0
        depth = error[..., 2:]
        if missing.any():
            level = torch.where(known[..., None], depth, torch.nan).nanmean(1, keepdim=True)
        else:
            level = depth.mean(1, keepdim=True)
        aligned = torch.cat((error[..., :2], depth - level), -1)
        errors = {
            "nme": mean_over_box(error[..., :2].norm(dim=-1), batch["box"], known),
            "nme_3d": mean_over_box(aligned.norm(dim=-1), batch["box"], known),
        }
        return FacePrediction(self.to_pixels(self.network.landmarks(points))), errors


def _with_volumes(labels: Labelled) -> Labelled:
    """The faces that have volumes alone: those with depth that lack no point."""
    deep, nobody = labels.deep, labels.heatmap[:0]
    if labels.known is None:
        return Labelled(labels.image[:deep], labels.points[:deep], labels.volumes, nobody)
    whole = labels.known[:deep].all(1)
    volumes = [volume[whole] for volume in labels.volumes]
    return Labelled(labels.image[:deep][whole], labels.points[:deep][whole], volumes, nobody)


@contextmanager
def _untracked(*modules: nn.Module) -> Iterator[None]:
    """Let batch norms see what passes without averaging over it."""
    norms = [norm for module in modules for norm in module.modules() if isinstance(norm, nn.BatchNorm3d)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


@contextmanager
def _still(*modules: nn.Module) -> Iterator[None]:
    """Let gradients through these modules, but not into their parameters."""
    parameters = [parameter for module in modules for parameter in module.parameters()]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
