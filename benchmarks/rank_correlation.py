"""How well a supernet ranks members: rank correlation of its scores with errors after trainings of their own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr
from torch import Tensor, nn

from nasface.evaluation.supernet import EvaluationFaces
from nasface.metrics.aflw2000 import binned_nme
from nasface.metrics.nme_torch import nme_68
from nasface.nets.multipath import Supernet, incoming
from nasface.search.strategy import Outcome, Proposal
from nasface.space.space import Architecture
from nasface.training.uv_target import UVTarget
from nasface.utils.errors import UserError

LEAST = 20
"""Members that a ranking needs; with fewer, chance alone gives large correlations."""
_RESAMPLES = 500


@dataclass(frozen=True)
class Ranking:
    """Scores of the same members, row by row; lower is better in both.

    Attributes:
        members: digests.
        supernet: NME (%) with the supernet's weights.
        alone: NME (%) after a training of its own.
    """

    members: tuple[str, ...]
    supernet: tuple[float, ...]
    alone: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.members) < LEAST:
            raise UserError(f"a ranking needs at least {LEAST} members, not {len(self.members)}")

    @property
    def kendall(self) -> float:
        """Kendall's tau-b; 0 where a side does not tell its members apart."""
        return kendall(self.supernet, self.alone)

    @property
    def spearman(self) -> float:
        """Spearman's rho; 0 where a side does not tell its members apart."""
        return _correlation(spearmanr, self.supernet, self.alone)

    @property
    def p_value(self) -> float:
        """Of Kendall's tau, two-sided, where the two sides have nothing to do with each other."""
        value = float(kendalltau(self.supernet, self.alone).pvalue)
        return 1.0 if np.isnan(value) else value

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Bootstrap interval of Kendall's tau over the members."""
        rng, count = np.random.default_rng(0), len(self.members)
        ours, theirs = np.array(self.supernet), np.array(self.alone)
        taus = []
        for _ in range(_RESAMPLES):
            chosen = rng.integers(count, size=count)
            taus.append(_correlation(kendalltau, ours[chosen], theirs[chosen]))
        low, high = np.quantile(taus, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def record(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
        rows = zip(self.members, self.supernet, self.alone, strict=True)
        return {
            "members": [{"hash": digest, "supernet": ours, "alone": theirs} for digest, ours, theirs in rows],
            "kendall": self.kendall,
            "kendall_95": list(self.interval()),
            "spearman": self.spearman,
            "p_value": self.p_value,
        }


def kendall(ours: Sequence[float] | np.ndarray, theirs: Sequence[float] | np.ndarray) -> float:
    """Kendall's tau-b; 0 where a side does not tell its members apart."""
    return _correlation(kendalltau, ours, theirs)


def _correlation(
    of: Callable[..., Any], ours: Sequence[float] | np.ndarray, theirs: Sequence[float] | np.ndarray
) -> float:
    """SciPy's statistic; 0 where one side is constant, of which SciPy knows none."""
    return float(of(ours, theirs).statistic) if np.ptp(ours) and np.ptp(theirs) else 0.0


def calibrated_scores(evaluate: Callable[[Proposal], Outcome], members: Sequence[Architecture]) -> list[float]:
    """Penalties as a search's evaluator gives them: every member's batch-norm statistics are its own."""
    return [evaluate(Proposal(member)).penalty for member in members]


def shared_scores(
    supernet: Supernet,
    uv: UVTarget,
    calibration: Tensor,
    validation: EvaluationFaces,
    members: Sequence[Architecture],
    seed: int = 0,
    averaged: int = 50,
) -> list[float]:
    """Penalties without calibration of the member: all share one set of batch-norm statistics, the average over random
    members, which is what running statistics of a one-shot training are.

    Args:
        supernet: it is copied and stays as it is.
        calibration: training images (N, 3, S, S), normalised.
        validation: the faces that score.
        seed: of the random members.
        averaged: how many.
    """
    supernet = copy.deepcopy(supernet).eval().requires_grad_(False)
    norms = [module for module in supernet.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average of all batches
    rng = np.random.default_rng([seed, 0x5B])
    with torch.inference_mode():
        for norm in norms:
            norm.train()
        for images in calibration.chunk(averaged):
            member_maps(supernet, supernet.space.random_architecture(rng), images)
        for norm in norms:
            norm.eval()
        return [_penalty(member_maps(supernet, member, validation.image), uv, validation) for member in members]


def member_maps(supernet: Supernet, member: Architecture, images: Tensor) -> Tensor:
    """A member's maps with the supernet's own modules, batch-norm statistics included: (B, 3, M, M)."""
    nodes: dict[tuple[int, int], Tensor] = {(0, 0): supernet.stem(images)}
    for layer, target, sources in incoming(supernet.space, member.canonical.codes):
        inputs = [(source, operation, nodes[layer - 1, source]) for source, operation in sources]
        nodes[layer, target] = supernet.node(layer, target, inputs)
    return supernet.head(nodes[supernet.space.layers, 0])


def _penalty(maps: Tensor, uv: UVTarget, faces: EvaluationFaces) -> float:
    nme = nme_68(uv.read(maps).landmarks, faces.landmarks, faces.box)
    return float(binned_nme(nme.double().numpy(), faces.yaw.numpy()).mean)
