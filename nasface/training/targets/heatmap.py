"""Landmark heatmaps: the loss with its coherence between two views, and the task that trains a network on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nasface.nets.heatmap_network import HeatmapNetwork
from nasface.training.face_task import FaceTask, TaskContext
from nasface.training.prediction import FacePrediction
from nasface.training.targets.heatmap_coding import decode_heatmaps, draw_heatmaps
from nasface.training.targets.views import Views, draw_views


def heatmap_loss(stacks: Sequence[Tensor], target: Tensor) -> Tensor:
    """Sigmoid cross-entropy of every stack's logits (..., H, W) to heatmaps (..., H, W) in [0, 1], averaged over stacks
    and cells; less the heatmaps' own entropy, so that it is 0 where the prediction is right. Heatmaps of landmarks that
    are not known (NaN) do not count."""
    known = ~target.isnan().flatten(-2).any(-1)  # a moved map is 0 where it begins outside the one that was moved
    if not known.all():
        stacks, target = [logits[known] for logits in stacks], target[known]
    floor = -(torch.xlogy(target, target) + torch.xlogy(1 - target, 1 - target)).mean()
    crossed = [F.binary_cross_entropy_with_logits(logits.float(), target) - floor for logits in stacks]
    return torch.stack(crossed).mean()


def coherence_loss(stacks: Sequence[Tensor], views: Views) -> Tensor:
    """Squared difference between the logits of second views and the moved logits of the first ones, averaged over
    stacks and over the cells that both views have.

    Source: Guo et al., BMVC 2018, L_p-p of Eq. 1; of logits, as in insightface, alignment/heatmap. Differences of
    probabilities, which are almost all near 0, hardly have a gradient.

    Args:
        stacks: logits (2 B, 68, H, W) of the first views, then of the second.
        views: from the first to the second.
    """
    weight = views.inside(stacks[0].shape[-1]).float()
    differences = []
    for logits in stacks:
        first, second = logits.float().chunk(2)
        squares = (second - views.heatmaps(first)).square() * weight
        differences.append(squares.sum() / (weight.sum() * squares.shape[1]).clamp(min=1))
    return torch.stack(differences).mean()


def view_seed(seed: int, step: int) -> int:
    """Of the second views of a step; apart from the seeds of the batches, whose augmentation draws angle, scale and
    shift in the same order."""
    return int(np.random.SeedSequence([seed, step, 0x51E3]).generate_state(1)[0])


class HeatmapTask(FaceTask):
    """Trains and evaluates one network that maps images (B, 3, S, S) to the logits of heatmaps (B, 68, H, W), one set
    for each stack.

    Every stack is trained. What is predicted are the last stack's landmarks, in the image plane alone: their depth is
    NaN, and there is no dense shape.

    Source: Guo et al., BMVC 2018, Eq. 1 and section 4.2: sigmoid cross-entropy to the ground truth of both views, the
        second's being the moved heatmaps of the first, and lambda times the squared difference between the predictions.
        All are averaged over cells here, where Eq. 1 sums, which leaves their ratio.
    """

    needs = "points"
    network: HeatmapNetwork

    def __init__(self, network: HeatmapNetwork, context: TaskContext) -> None:
        super().__init__(network, context)
        self.config, self.seed = context.experiment.heatmap, context.experiment.seed

    def forward(self, image: Tensor) -> FacePrediction:
        places = decode_heatmaps(self.network(image)[-1], self.network.stride)
        return FacePrediction(landmarks=F.pad(places, (0, 1), value=torch.nan))

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        image, points = batch["image"], self.true_landmarks(batch)
        stride = self.network.stride
        target = draw_heatmaps(points, image.shape[-1] // stride, stride, self.config.sigma)
        if not self.network.coherent:
            return {"loss": heatmap_loss(self.network(image), target)}
        # The step is the same in all micro-batches and ranks of one: so are their draws, place by place.
        views = draw_views(len(image), self.config.view, view_seed(self.seed, self.global_step), image.device)
        # Both views in one pass, so that batch norm sees them as one batch.
        both = self.network(torch.cat((image, views.images(image))))
        truth = 2 * heatmap_loss(both, torch.cat((target, views.heatmaps(target))))
        agreement = coherence_loss(both, views)
        return {"loss": truth + self.config.coherence * agreement, "truth": truth, "coherence": agreement}
