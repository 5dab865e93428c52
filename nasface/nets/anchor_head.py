"""A UV head that finds anchor points in the image by heatmaps, and the whole face from them.

A position map asks a network for absolute positions in cells of the face, whose features lie somewhere else in the
image: trainings begin with a long plateau. A heatmap asks where a point is, in the image's own cells, and is learnt
from the first step on. From the anchors to the dense shape the way is linear: coefficients of the principal components
of the training maps, which are smooth surfaces. So the map is smooth, whatever the network has learnt.

Heatmaps with a soft-argmax: Sun et al., "Integral human pose regression", ECCV 2018. A linear shape model on top of
landmarks: Cootes et al., "Active shape models", CVIU 1995.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasface.config import MultipathConfig
from nasface.faces.landmarks import NUM_LANDMARKS
from nasface.faces.uv import bilinear_cells
from nasface.nets.layers.batch_norm import batch_norm, each_normalised
from nasface.nets.layers.blocks import all_at_once
from nasface.nets.network import full_precision
from nasface.nets.uv_output import TrainingMaps, UVOutput

GRID, MODES = 8, 64
"""Anchors are the landmarks and a GRID x GRID grid over the chart; principal components of the maps."""
_NOISE = 0.03  # deviation of an anchor that the first linear map expects, in halves of the image's side
_SIGMA = 0.8  # deviation of a target heatmap in cells
_OUTSIDE = 0.3  # least sum of a target over its cells, 4 where all of it is on the image; others have no heatmap


class AnchorHead(nn.Module):
    """Output node to UV position map: (B, width, F, F) -> (B, 3, M, M), in units of half the input's side around its
    centre."""

    cells: Tensor
    mean_map: Tensor
    modes: Tensor
    mean_anchors: Tensor
    read_cells: Tensor
    read_weights: Tensor

    def __init__(self, config: MultipathConfig, width: int) -> None:
        super().__init__()
        cells, hidden, self.map_size = config.input_size // config.stem_stride, config.head_width, config.map_size
        self.anchors = NUM_LANDMARKS + GRID**2
        self.norm1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, hidden, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(hidden)
        self.heat = nn.Conv2d(hidden, self.anchors, 1)
        self.lift = nn.Linear(2 * self.anchors + hidden, MODES)
        nn.init.normal_(self.heat.weight, std=0.01)
        assert self.heat.bias is not None
        nn.init.zeros_(self.heat.bias)
        line = (torch.arange(cells) + 0.5) * (2 / cells) - 1
        grid = torch.stack(torch.meshgrid(line, line, indexing="xy")).flatten(1)
        self.register_buffer("cells", grid.contiguous(), persistent=False)
        self.register_buffer("mean_map", torch.zeros(3 * self.map_size**2))
        self.register_buffer("modes", 0.01 * torch.randn(MODES, 3 * self.map_size**2))
        self.register_buffer("mean_anchors", torch.zeros(2 * self.anchors))
        self.register_buffer("read_cells", torch.zeros(4, self.anchors, dtype=torch.long), persistent=False)
        self.register_buffer("read_weights", torch.zeros(4, self.anchors), persistent=False)

    @property
    def last(self) -> nn.Conv2d:
        """The convolution that writes the heatmaps, with first weights of its own."""
        return self.heat

    def forward(self, x: Tensor) -> Tensor:
        return self.output(x).maps[0]

    def output(self, x: Tensor) -> UVOutput:
        """`forward` of one network, with its heatmaps."""
        hidden = self.hidden(x)
        with full_precision(hidden):
            return self._output(hidden, 1)

    def hidden(self, x: Tensor) -> Tensor:
        """Features (B, hidden, F, F) behind the head's last batch norm: in training mode, what computes them renews all
        of its running statistics."""
        x = self.conv1(batch_norm(self.norm1, x, relu=True))
        with full_precision(x):
            return batch_norm(self.norm2, x.float(), relu=True)

    def points(self, reading: Tensor) -> Callable[[Tensor], Tensor]:
        """A function from features (B, width, F, F) to points (B, 3, P) of the map, read with `reading` (M * M, P).

        They are `forward(x).flatten(2) @ reading` up to the order of sums, without the map. The heatmaps' bias is left
        out: it moves all cells of a heatmap alike, which the softmax does not see.
        """
        mean = (self.mean_map.view(3, -1) @ reading).flatten()
        modes = (self.modes.view(-1, reading.shape[0]) @ reading).view(len(self.modes), -1)

        def read(x: Tensor) -> Tensor:
            hidden = self.hidden(x)
            with full_precision(hidden):
                logits = self.heat.weight.flatten(1).expand(len(hidden), -1, -1) @ hidden.flatten(2)
                return (mean + self._coefficients(hidden, logits) @ modes).unflatten(1, (3, -1))

        return read

    def children_output(self, features: Sequence[Tensor]) -> UVOutput:
        """`output` in training mode on each of K children's features, without running statistics."""
        features = all_at_once(self.conv1, each_normalised(self.norm1, features, relu=True))
        with full_precision(features[0]):
            hidden = torch.cat(each_normalised(self.norm2, [x.float() for x in features], relu=True))
            return self._output(hidden, len(features))

    def _output(self, hidden: Tensor, children: int) -> UVOutput:
        logits = self._logits(hidden)
        coefficients = self._coefficients(hidden, logits)
        maps = (self.mean_map + coefficients @ self.modes).unflatten(1, (3, self.map_size, self.map_size))
        return UVOutput(maps.unflatten(0, (children, -1)), logits.unflatten(0, (children, -1)))

    def _logits(self, hidden: Tensor) -> Tensor:
        """Heatmaps (B, P, F * F) in rows without gaps, as the softmax reads them."""
        if hidden.is_contiguous():
            return self.heat(hidden).flatten(2)
        # In the layout channels_last the convolution would write them in columns; a matrix product does not.
        batch, weight = len(hidden), self.heat.weight.flatten(1)
        assert self.heat.bias is not None
        bias = self.heat.bias[:, None].expand(batch, -1, 1)
        return torch.baddbmm(bias, weight.expand(batch, -1, -1), hidden.flatten(2))

    def _coefficients(self, hidden: Tensor, logits: Tensor) -> Tensor:
        """Of the components: (B, MODES)."""
        anchors = F.linear(logits.softmax(-1), self.cells).transpose(1, 2).flatten(1)
        return self.lift(torch.cat((anchors - self.mean_anchors, hidden.mean((2, 3))), 1))

    # What is learnt before training ----------------------------------------------------------------------------------

    @torch.no_grad()
    def learn(self, maps: TrainingMaps) -> None:
        """Take over mean and principal components of the training maps, and start at the linear map from anchors to
        components with the least squared error."""
        learnt = _statistics(maps, self.map_size)
        self.read_cells.copy_(learnt.cells)
        self.read_weights.copy_(learnt.weights)
        self.mean_map.copy_(learnt.mean)
        self.modes.zero_()[: len(learnt.modes)] = learnt.modes
        self.mean_anchors.copy_(learnt.mean_anchors)
        self.lift.bias.zero_()
        self.lift.weight.zero_()[: len(learnt.lift), : learnt.lift.shape[1]] = learnt.lift

    def anchor_places(self, maps: Tensor) -> Tensor:
        """Where the anchors of maps (B, 3, M, M) lie, (B, 2, P): read at their four cells each."""
        return _places(maps, self.read_cells, self.read_weights)

    def heatmap_loss(self, logits: Tensor, maps: Tensor) -> Tensor:
        """Relative entropy of predicted heatmaps (K, B, P, F * F), of K networks on the same images, to Gaussians
        around the true anchors of maps (B, 3, M, M) in the head's units, averaged over the anchors that lie on the
        image."""
        side = round(logits.shape[-1] ** 0.5)
        line = self.cells[0, :side]  # of the first row: a column's and a row's middles are the same
        distance = (self.anchor_places(maps)[..., None] - line) * (side / 2)
        profiles = torch.exp(-distance.square() / (2 * _SIGMA**2))  # a Gaussian is the product of its two profiles
        mass = profiles.sum(-1)
        profiles = profiles / mass[..., None].clamp(min=1e-3)
        column, row = profiles.unbind(1)
        entropy = torch.xlogy(profiles, profiles).sum((1, 3))
        # One product with the whole: two with the profiles are many small ones, whose gradients take longer.
        target = (row[..., :, None] * column[..., None, :]).flatten(-2)
        error = entropy + logits.float().logsumexp(-1) - (logits.float() * target).sum(-1)
        seen = (mass.prod(1) > _OUTSIDE).float()
        return (error * seen).sum() / (len(logits) * seen.sum().clamp(min=1))


class _Statistics(NamedTuple):
    """Of training maps: cells (4, P) and weights (4, P) by which anchors are read, mean (3 * M * M), modes (R, 3 * M *
    M) of one standard deviation each, mean anchors (2 P), and the linear map (R, 2 P) from anchors to modes."""

    cells: Tensor
    weights: Tensor
    mean: Tensor
    modes: Tensor
    mean_anchors: Tensor
    lift: Tensor


_latest: tuple[weakref.ref[Tensor], _Statistics] | None = None


def _statistics(maps: TrainingMaps, map_size: int) -> _Statistics:
    """Those of the latest maps are kept: many networks may be trained on the same ones."""
    global _latest
    if _latest is None or _latest[0]() is not maps.sample:
        _latest = weakref.ref(maps.sample), _find_statistics(maps, map_size)
    return _latest[1]


def _find_statistics(maps: TrainingMaps, map_size: int) -> _Statistics:
    flat = maps.sample.flatten(1).double()
    mean = flat.mean(0)
    about = flat - mean
    values, vectors = torch.linalg.eigh(about @ about.T)
    kept = values.flip(0)[:MODES].clamp(min=1e-9)
    modes = (vectors.flip(1)[:, : len(kept)] / kept.sqrt()).T @ about
    modes = modes * modes.gather(1, modes.abs().argmax(1, keepdim=True)).sign()  # an eigenvector's is arbitrary
    deviation = (kept / len(flat)).sqrt()
    line = (np.arange(GRID) + 0.5) / GRID
    grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    found = bilinear_cells(np.concatenate([maps.landmark_uv, grid]), map_size, map_size)
    cells, weights = (torch.from_numpy(array.T) for array in found)
    anchors = _places(maps.sample.double(), cells, weights.float()).flatten(1)
    centred = anchors - anchors.mean(0)
    noisy = centred.T @ centred / len(flat) + _NOISE**2 * torch.eye(centred.shape[1], dtype=torch.double)
    scores = about @ modes.T / deviation
    lift = torch.linalg.solve(noisy, centred.T @ scores / len(flat)).T
    return _Statistics(cells, weights, mean, modes * deviation[:, None], anchors.mean(0), lift)


def _places(maps: Tensor, cells: Tensor, weights: Tensor) -> Tensor:
    """Points (B, 2, P) of maps (B, 3, M, M), read at their four cells each."""
    return (maps[:, :2].flatten(2)[:, :, cells] * weights.to(maps.dtype)).sum(2)
