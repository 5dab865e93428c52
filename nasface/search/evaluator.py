"""Scoring child networks on a trained supernet: calibrated batch norm, reuse of unchanged nodes, exact early rejection.

A node's features depend only on the connections that lead to it from the stem and, through batch norm, on the fixed
calibration faces. So a node of a candidate whose way from the stem is the one it was in the last accepted member has
the same features, bit for bit, and is not computed again.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nasface.metrics.aflw2000 import binned_nme, yaw_bin
from nasface.nets.cost import connection_macs, head_macs
from nasface.nets.multipath import HPM_BLOCK, Supernet, incoming
from nasface.search.strategy import Outcome, Proposal
from nasface.space.architecture import Architecture
from nasface.tasks.uv import UVTarget


@dataclass(frozen=True)
class EvaluationFaces:
    """Validation faces as tensors: image (N, 3, S, S) normalised, landmarks (N, 68, 3), box (N, 2), yaw (N,)
    degrees."""

    image: Tensor
    landmarks: Tensor
    box: Tensor
    yaw: Tensor

    def __len__(self) -> int:
        return len(self.image)

    def take(self, order: Tensor) -> EvaluationFaces:
        return EvaluationFaces(self.image[order], self.landmarks[order], self.box[order], self.yaw[order])


@dataclass
class _Node:
    """Features of one node on the calibration faces and on every chunk of the validation faces."""

    calibration: Tensor
    chunks: list[Tensor]


class SupernetEvaluator:
    """Proposal -> Outcome: the penalty of a child is the mean of its three yaw bins' NME (%) on the validation faces.

    Every child's batch-norm statistics are those of the calibration faces under that child, so no score depends on what
    was scored before. The validation faces are taken hardest first (judged once, by a fixed member), in chunks; since
    errors are never negative, a chunk's running sum that reaches the proposal's `reject_above` settles the rejection.

    Args:
        supernet: trained; it is copied and stays as it is.
        uv: reads landmarks from maps.
        calibration: images (N, 3, S, S), normalised.
        validation: the faces that score.
        chunk: validation faces that are run together.
        reuse: keep the nodes of the last accepted member.
        early_rejection: stop at `reject_above`.
        seed: of the member that judges which faces are hard.
    """

    def __init__(
        self,
        supernet: Supernet,
        uv: UVTarget,
        calibration: Tensor,
        validation: EvaluationFaces,
        chunk: int = 50,
        reuse: bool = True,
        early_rejection: bool = True,
        seed: int = 0,
    ) -> None:
        self.supernet = copy.deepcopy(supernet).eval().requires_grad_(False)
        for module in self.supernet.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                # One calibration batch is the whole calibration set: its statistics replace the buffers.
                module.momentum = 1.0
        self.uv, self.chunk, self.early_rejection = uv, chunk, early_rejection
        self.reuse = False
        self._macs = connection_macs(supernet.space, supernet.config)
        self._head_macs = head_macs(supernet.config, supernet.widths[-1])
        self._ids: dict[tuple, int] = {}
        self._kept: dict[int, _Node] = {}
        self.needed_macs = self.executed_macs = 0
        self._calibration_seconds = 0.0
        self._calibration, self._faces = calibration, validation
        with torch.inference_mode():
            self._start()
            judge = supernet.space.random_architecture(np.random.default_rng([seed, 0x6A]))
            order = torch.argsort(self._scores(judge) * self._weights(), descending=True, stable=True)
            self._faces = validation.take(order)
            self._start()
        self.reuse = reuse
        self.needed_macs = self.executed_macs = 0

    def __call__(self, proposal: Proposal) -> Outcome:
        with torch.inference_mode():
            return self._evaluate(proposal)

    @property
    def saved(self) -> float:
        """Share of the multiply-adds of plain evaluation that was not spent so far."""
        return 1 - self.executed_macs / self.needed_macs if self.needed_macs else 0.0

    def _start(self) -> None:
        """Stem features, which all members share; plain evaluation computes them anew for each."""
        self._parts = list(torch.arange(len(self._faces)).split(self.chunk))
        stem = self.supernet.stem.train()
        calibration = stem(self._calibration)
        stem.eval()
        self._stem = _Node(calibration, [stem(self._faces.image[part]) for part in self._parts])

    def _weights(self) -> Tensor:
        """Weight of every face in the mean of the bins' means; faces beyond the bins weigh nothing."""
        bins = yaw_bin(self._faces.yaw.numpy())
        present = [index for index in range(3) if (bins == index).any()]
        weights = np.zeros(len(bins))
        for index in present:
            weights[bins == index] = 1 / (len(present) * (bins == index).sum())
        return torch.from_numpy(weights)

    def _nme(self, maps: Tensor, part: Tensor) -> Tensor:
        landmarks = self.uv.landmarks(self.uv.to_pixels(maps.float()))[..., :2]
        error = (landmarks - self._faces.landmarks[part][..., :2]).norm(dim=-1).mean(-1)
        return (100 * error / self._faces.box[part].prod(-1).sqrt()).double()

    def _scores(self, architecture: Architecture) -> Tensor:
        return torch.cat(list(self._run(architecture.canonical.codes, {})))

    def _evaluate(self, proposal: Proposal) -> Outcome:
        weights, nodes = self._weights(), {}
        total, scores, done = 0.0, [], 0
        for part, nme in zip(self._parts, self._run(proposal.architecture.canonical.codes, nodes), strict=False):
            scores.append(nme)
            done += len(part)
            total += float((nme * weights[part]).sum())
            if math.isnan(total) or (self.early_rejection and total >= proposal.reject_above):
                break
        complete = done == len(self._faces)
        details: dict[str, float | list[float]] = {
            "faces": done,
            "saved": self.saved,
            "calibration_s": self._calibration_seconds,
        }
        if complete:
            result = binned_nme(torch.cat(scores).numpy(), self._faces.yaw.numpy())
            details |= {"nme": [float(value) for value in result.bins], "nme_all": float(result.all)}
            if self.reuse and total < proposal.reject_above:
                self._kept = nodes
        return Outcome(penalty=total, complete=complete, details=details)

    def _run(self, codes: Iterable[int], nodes: dict[int, _Node]) -> Iterable[Tensor]:
        """Calibrate a member, then yield the NME (n,) of each chunk of faces; fills `nodes` with what may be kept."""
        graph = self._graph(codes)
        self._count(graph)
        if not self.reuse:
            self._start()
        for _layer, _target, _sources, key in graph:
            if key in self._kept:
                nodes[key] = self._kept[key]
        fresh = [step for step in graph if step[3] not in nodes]
        start = time.perf_counter()
        for layer, target, sources, key in fresh:
            nodes[key] = _Node(self._calibrated(layer, target, self._inputs(sources, nodes, None)), [])
        head = self.supernet.head.train()
        output = graph[-1][3]
        head(nodes[output].calibration)
        head.eval()
        self._calibration_seconds = time.perf_counter() - start
        self.executed_macs += len(self._calibration) * self._cost(fresh)
        for number, part in enumerate(self._parts):
            for layer, target, sources, key in fresh:
                nodes[key].chunks.append(self.supernet.node(layer, target, self._inputs(sources, nodes, number)))
            self.executed_macs += len(part) * self._cost(fresh)
            yield self._nme(head(nodes[output].chunks[number]), part)

    def _graph(self, codes: Iterable[int]) -> list[tuple[int, int, list[tuple[int, int, int]], int]]:
        """(layer, node, [(source, operation, source's key)], key) in order; a key stands for all before its node."""
        keys = {(0, 0): 0}
        graph = []
        for layer, target, sources in incoming(self.supernet.space, codes):
            inputs = [(source, operation, keys[layer - 1, source]) for source, operation in sources]
            key = self._ids.setdefault((layer, target, tuple(inputs)), len(self._ids) + 1)
            keys[layer, target] = key
            graph.append((layer, target, inputs, key))
        return graph

    def _inputs(
        self, sources: list[tuple[int, int, int]], nodes: dict[int, _Node], chunk: int | None
    ) -> list[tuple[int, int, Tensor]]:
        result = []
        for source, operation, key in sources:
            node = nodes[key] if key else self._stem
            result.append((source, operation, node.calibration if chunk is None else node.chunks[chunk]))
        return result

    def _calibrated(self, layer: int, target: int, inputs: list[tuple[int, int, Tensor]]) -> Tensor:
        blocks = [
            self.supernet.connection(layer - 1, source, target).hpm
            for source, operation, _ in inputs
            if operation == HPM_BLOCK
        ]
        for block in blocks:
            block.train()
        features = self.supernet.node(layer, target, inputs)
        for block in blocks:
            block.eval()
        return features

    def _cost(self, graph: list[tuple[int, int, list[tuple[int, int, int]], int]]) -> int:
        connections = sum(
            self._macs[layer - 1, source, target][operation]
            for layer, target, sources, _ in graph
            for source, operation, _ in sources
        )
        return connections + self._head_macs

    def _count(self, graph: list[tuple[int, int, list[tuple[int, int, int]], int]]) -> None:
        self.needed_macs += (len(self._calibration) + len(self._faces)) * self._cost(graph)
