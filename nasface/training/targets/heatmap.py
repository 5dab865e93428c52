"""Landmark heatmaps: the loss with its coherence between two views, and the task that trains a network on it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nasface.nets.heatmap_network import HeatmapNetwork
from nasface.training.face_task import FaceTask, TaskContext
from nasface.training.prediction import FacePrediction
from nasface.training.targets.heatmap_coding import decode_heatmaps, draw_heatmaps
from nasface.training.targets.views import Views, draw_views


def heatmap_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Sigmoid cross-entropy to heatmaps (..., H, W) in [0, 1], averaged over cells; less the heatmaps' own entropy, so
    that it is 0 where the prediction is right."""
    floor = -(torch.xlogy(target, target) + torch.xlogy(1 - target, 1 - target)).mean()
    return F.binary_cross_entropy_with_logits(logits.float(), target) - floor


def coherence_loss(first: Tensor, second: Tensor, views: Views) -> Tensor:
    """Squared difference between the heatmaps of second views and the moved heatmaps of the first ones, averaged over
    the cells that both have.

    Source: Guo et al., BMVC 2018, L_p-p of Eq. 1.

    Args:
        first, second: (B, 68, H, W) probabilities.
        views: from the first to the second.
    """
    expected, inside = views.heatmaps(first)
    weight = inside.expand_as(expected).float()
    return ((second.float() - expected).square() * weight).sum() / weight.sum().clamp(min=1)


def _halves(both: Tensor) -> tuple[Tensor, Tensor]:
    first, second = both.chunk(2)
    return first, second


class HeatmapTask(FaceTask):
    """Trains and evaluates one network that maps images (B, 3, S, S) to the logits of heatmaps (B, 68, H, W), one set
    for each stack.

    Every stack is trained. What is predicted are the last stack's landmarks, in the image plane alone: their depth is
    NaN, and there is no dense shape.

    Source: Guo et al., BMVC 2018, Eq. 1 and section 4.2: sigmoid cross-entropy to the ground truth of both views and
        lambda times the squared difference between the two predictions. All three are averaged over cells here, where
        Eq. 1 sums, which leaves their ratio.
    """

    network: HeatmapNetwork

    def __init__(self, network: HeatmapNetwork, context: TaskContext) -> None:
        super().__init__(network, context)
        self.config, self.seed = context.experiment.heatmap, context.experiment.seed

    def forward(self, image: Tensor) -> FacePrediction:
        places = decode_heatmaps(self.network(image)[-1], self.network.stride)
        return FacePrediction(landmarks=F.pad(places, (0, 1), value=torch.nan))

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        image, points = batch["image"], self.uv.target_landmarks(batch)
        if not self.network.coherent:
            outputs = self.network(image)
            return {"loss": torch.stack([self._error(logits, points) for logits in outputs]).mean()}
        # The step is the same in all micro-batches and ranks of one: so are their draws, place by place.
        views = draw_views(len(image), self.config.view, 1_000_003 * self.seed + self.global_step, image.device)
        # Both views in one pass, so that batch norm sees them as one batch.
        both = self.network(torch.cat((image, views.images(image))))
        moved = torch.cat((points[..., :2], views.landmarks(points, image.shape[-1])))
        truth = 2 * torch.stack([self._error(logits, moved) for logits in both]).mean()
        agreement = torch.stack([coherence_loss(*_halves(logits.sigmoid()), views) for logits in both]).mean()
        return {"loss": truth + self.config.coherence * agreement, "truth": truth, "coherence": agreement}

    def _error(self, logits: Tensor, points: Tensor) -> Tensor:
        target = draw_heatmaps(points, logits.shape[-1], self.network.stride, self.config.sigma)
        return heatmap_loss(logits, target)
