"""Scoring child networks on a trained supernet: calibrated batch norm, reuse of what did not change, early rejection.

What a connection puts out depends only on the connections that lead to it from the stem and, through batch norm, on
the fixed calibration faces. So a connection of a candidate whose way from the stem is the one it was in the last
accepted member has the same features, bit for bit, and is not computed again.
"""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nasface.config import Experiment, SearchConfig
from nasface.data.augment import normalise
from nasface.data.face_set import FaceSet
from nasface.data.sources import Faces
from nasface.evaluation.stage_threads import Stage, StageThreads
from nasface.metrics.aflw2000 import BIN_NAMES, binned_nme, yaw_bin
from nasface.metrics.nme_torch import nme_68
from nasface.nets.layers.blocks import node_sum
from nasface.nets.multipath import Supernet, incoming
from nasface.nets.multipath_cost import connection_macs, head_macs
from nasface.search.strategy import Outcome, Proposal
from nasface.training.uv_target import UVTarget
from nasface.utils.accelerator import uses_gpu
from nasface.utils.errors import UserError


@dataclass(frozen=True)
class EvaluationFaces:
    """Validation faces as tensors: image (N, 3, S, S) normalised, landmarks (N, 68, 3), box (N, 2), yaw (N,)
    degrees."""

    image: Tensor
    landmarks: Tensor
    box: Tensor
    yaw: Tensor

    @classmethod
    def of(cls, faces: FaceSet) -> EvaluationFaces:
        """The faces of a set."""
        labels = (torch.from_numpy(np.array(array)) for array in (faces.landmarks, faces.box, faces.yaw))
        return cls(face_images(faces), *labels)

    def __len__(self) -> int:
        return len(self.image)

    def take(self, order: Tensor) -> EvaluationFaces:
        return EvaluationFaces(self.image[order], self.landmarks[order], self.box[order], self.yaw[order.cpu()])

    def to(self, device: torch.device | str) -> EvaluationFaces:
        """The faces on a device; the yaw stays on the CPU, where it is sorted into bins."""
        return EvaluationFaces(self.image.to(device), self.landmarks.to(device), self.box.to(device), self.yaw.cpu())


CALIBRATION = -1
_Value = dict[int, Tensor]
"""Features on the calibration faces (`CALIBRATION`) and on the chunks of the validation faces (0, 1, ...)."""


@dataclass(frozen=True)
class _Connection:
    """An incoming connection. A key stands for everything between the stem and what it names; 0 is the stem."""

    source: int
    operation: int
    source_key: int
    key: int


@dataclass(frozen=True)
class _Node:
    """An active node and the connections that it sums."""

    layer: int
    target: int
    connections: tuple[_Connection, ...]
    key: int

    @property
    def keys(self) -> tuple[int, ...]:
        return (self.key, *(connection.key for connection in self.connections))


class SupernetEvaluator:
    """Proposal -> Outcome: the penalty of a child is its NME (%) on the validation faces: by default the mean of the three
    yaw bins (`search.penalty`).

    Every child's batch-norm statistics are those of the calibration faces under that child, so no score depends on what
    was scored before. The validation faces are taken hardest first (judged once, by a fixed member), in chunks; since
    errors are never negative, a chunk's running sum that reaches the proposal's `reject_above` settles the rejection.
    On a CPU as many threads as PyTorch has calibrate the connections of a layer side by side, and chunks follow through
    the layers that are calibrated; the scores are those of one thread, bit for bit.

    Args:
        supernet: trained; it is copied and stays as it is.
        uv: reads landmarks from maps.
        calibration: images (N, 3, S, S), normalised.
        validation: the faces that score.
        config: what it minimises, and how it saves work (`penalty`, `chunk`, `reuse`, `early_rejection`).
        seed: of the member that judges which faces are hard.
        device: where it computes.
    """

    def __init__(
        self,
        supernet: Supernet,
        uv: UVTarget,
        calibration: Tensor,
        validation: EvaluationFaces,
        config: SearchConfig,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self._penalty = config.penalty
        self.supernet = copy.deepcopy(supernet).to(device).eval().requires_grad_(False)
        calibration, validation, uv = calibration.to(device), validation.to(device), copy.deepcopy(uv).to(device)
        for module in self.supernet.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                # One calibration batch is the whole calibration set: its statistics replace the buffers.
                module.momentum = 1.0
        self.uv, self.chunk, self.early_rejection = uv, config.chunk, config.early_rejection
        self.reuse = False
        self._macs = connection_macs(supernet.space, supernet.config)
        self._head_macs = head_macs(supernet.config, supernet.widths[-1])
        self._ids: dict[tuple, int] = {}
        self._kept: dict[int, _Value] = {}
        self.needed_macs = self.executed_macs = 0
        self._calibration_seconds = 0.0
        self._threads = StageThreads(torch.get_num_threads() if torch.device(device).type == "cpu" else 1)
        self._calibration, self._faces = calibration, validation
        with torch.inference_mode():
            self._points = self.supernet.head.points(uv.reading)
            self._start()
            judge = supernet.space.random_architecture(np.random.default_rng([seed, 0x6A]))
            scores = torch.cat(list(self._run(judge.canonical.codes, {})))
            order = torch.argsort(scores * self._weights(), descending=True, stable=True)
            self._faces = validation.take(order)
            self._start()
        self.reuse = config.reuse
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
        stem = self.supernet.stem
        self._stem: _Value = {}

        def calibrate() -> None:
            self._stem[CALIBRATION] = _calibrate(stem, self._calibration)

        def compute(_: int, chunk: int) -> Tensor:
            return stem(self._faces.image[self._parts[chunk]])

        self._stem |= enumerate(self._threads.run([Stage([calibrate])], compute, len(self._parts)))

    def _weights(self) -> Tensor:
        """Weight of every face in the penalty; in the mean of the bins' means, faces beyond the bins weigh nothing."""
        bins = yaw_bin(self._faces.yaw.numpy())
        if self._penalty == "all":
            return torch.full((len(bins),), 1 / len(bins), dtype=torch.float64)
        asked = range(len(BIN_NAMES)) if self._penalty == "mean" else (BIN_NAMES.index(self._penalty),)
        present = [index for index in asked if (bins == index).any()]
        if not present:
            raise UserError("no validation face lies in the yaw bin that search.penalty names: choose another one")
        weights = np.zeros(len(bins))
        for index in present:
            weights[bins == index] = 1 / (len(present) * (bins == index).sum())
        return torch.from_numpy(weights)

    def _nme(self, points: Tensor, part: Tensor) -> Tensor:
        landmarks = self.uv.points_to_pixels(points)
        return nme_68(landmarks, self._faces.landmarks[part], self._faces.box[part]).double().cpu()

    def _evaluate(self, proposal: Proposal) -> Outcome:
        weights = self._weights()
        values: dict[int, _Value] = {}
        total, scores, done = 0.0, [], 0
        before = self.needed_macs, self.executed_macs
        # Closed before the next member is calibrated: threads may still be at work on this one.
        with closing(self._run(proposal.architecture.canonical.codes, values)) as errors:
            for part, nme in zip(self._parts, errors, strict=False):
                scores.append(nme)
                done += len(part)
                total += float((nme * weights[part]).sum())
                if math.isnan(total) or (self.early_rejection and total >= proposal.reject_above):
                    break
        complete = done == len(self._faces)
        details: dict[str, float | list[float]] = {
            "faces": done,
            "saved": self.saved,
            "needed_macs": self.needed_macs - before[0],
            "executed_macs": self.executed_macs - before[1],
            # Until the last statistics are there, in which other threads have begun to score.
            "calibration_s": self._calibration_seconds,
        }
        if complete:
            result = binned_nme(torch.cat(scores).numpy(), self._faces.yaw.numpy())
            details |= {"nme": [float(value) for value in result.bins], "nme_all": float(result.all)}
            if self.reuse and total < proposal.reject_above:
                self._kept = values
        return Outcome(penalty=total, complete=complete, details=details)

    def _run(self, codes: Sequence[int], values: dict[int, _Value]) -> Generator[Tensor, None, None]:
        """Calibrate a member and yield the NME (n,) of each chunk of faces; fills `values` with what may be kept."""
        graph = self._graph(codes)
        if not self.reuse:
            self._start()
        kept = self._kept
        values |= {key: kept[key] for node in graph for key in node.keys if key in kept}
        fresh = [node for node in graph if node.key not in values]
        wanted = {key for node in fresh for key in node.keys} - set(values)
        values |= {key: {} for key in wanted}
        calibration, faces = len(self._calibration), len(self._faces)
        needed, executed = self._cost(graph, None), self._cost(fresh, wanted)
        self.needed_macs += (calibration + faces) * needed
        self.executed_macs += calibration * executed

        layers = [list(layer) for _, layer in itertools.groupby(fresh, lambda node: node.layer)]
        head, output = self.supernet.head, graph[-1].key
        start = time.perf_counter()

        def end_calibration() -> None:
            head.eval()
            self._calibration_seconds = time.perf_counter() - start

        def score(stage: int, chunk: int) -> Tensor | None:
            if stage < len(layers):
                self._advance(layers[stage], wanted, values, chunk)
                return None
            return self._nme(self._points(values[output][chunk]), self._parts[chunk])

        stages = [self._calibration_of(layer, wanted, values) for layer in layers]
        stages.append(Stage([lambda: head.train().hidden(values[output][CALIBRATION])], end_calibration))
        with closing(self._threads.run(stages, score, len(self._parts))) as scores:
            for part, nme in zip(self._parts, scores, strict=True):
                self.executed_macs += len(part) * executed
                yield nme

    def _calibration_of(self, layer: list[_Node], wanted: set[int], values: dict[int, _Value]) -> Stage:
        """The stage that calibrates the wanted connections into fresh nodes of one layer."""
        new = [(node, connection) for node in layer for connection in node.connections if connection.key in wanted]
        new.sort(key=lambda pair: self._connection_macs(*pair), reverse=True)

        def add() -> None:
            for node in layer:
                self._add(node, values, CALIBRATION)

        return Stage([partial(self._connect, *pair, values, CALIBRATION) for pair in new], add)

    def _advance(self, layer: list[_Node], wanted: set[int], values: dict[int, _Value], chunk: int) -> None:
        """Compute a layer's wanted connections and its fresh nodes on a chunk."""
        for node in layer:
            for connection in node.connections:
                if connection.key in wanted:
                    self._connect(node, connection, values, chunk)
            self._add(node, values, chunk)

    def _connect(self, node: _Node, connection: _Connection, values: dict[int, _Value], chunk: int) -> None:
        """Compute a connection on a chunk, or on the calibration faces, whose statistics it then keeps."""
        source = values[connection.source_key] if connection.source_key else self._stem
        module = self.supernet.connection(node.layer - 1, connection.source, node.target)
        run = _calibrate if chunk == CALIBRATION else torch.nn.Module.__call__
        values[connection.key][chunk] = run(module, source[chunk], connection.operation)

    def _add(self, node: _Node, values: dict[int, _Value], chunk: int) -> None:
        values[node.key][chunk] = node_sum([values[connection.key][chunk] for connection in node.connections])

    def _graph(self, codes: Sequence[int]) -> list[_Node]:
        """The active nodes in the order of computation."""
        keys = {(0, 0): 0}
        graph = []
        for layer, target, sources in incoming(self.supernet.space, codes):
            connections = []
            for source, operation in sources:
                before = keys[layer - 1, source]
                key = self._key("connection", layer, target, source, operation, before)
                connections.append(_Connection(source, operation, before, key))
            keys[layer, target] = self._key("node", *(connection.key for connection in connections))
            graph.append(_Node(layer, target, tuple(connections), keys[layer, target]))
        return graph

    def _key(self, *description: str | int) -> int:
        return self._ids.setdefault(description, len(self._ids) + 1)

    def _cost(self, graph: list[_Node], wanted: set[int] | None) -> int:
        """Multiply-adds for one face of the wanted connections (None: of all) and the head."""
        return self._head_macs + sum(
            self._connection_macs(node, connection)
            for node in graph
            for connection in node.connections
            if wanted is None or connection.key in wanted
        )

    def _connection_macs(self, node: _Node, connection: _Connection) -> int:
        return self._macs[node.layer - 1, connection.source, node.target][connection.operation]


def _calibrate(module: torch.nn.Module, *arguments: Any) -> Tensor:
    """What a module makes of the calibration faces, whose statistics it then keeps."""
    try:
        return module.train()(*arguments)
    finally:
        module.eval()


def make_evaluator(supernet: Supernet, uv: UVTarget, faces: Faces, experiment: Experiment) -> SupernetEvaluator:
    """The evaluator of a search: calibrated on some of the training faces, scored on the validation faces."""
    count = min(experiment.search.calibration, len(faces.train))
    chosen = np.random.default_rng([experiment.seed, 2]).permutation(len(faces.train))[:count]
    return SupernetEvaluator(
        supernet,
        uv,
        face_images(faces.train.subset(chosen)),
        EvaluationFaces.of(faces.val),
        experiment.search,
        experiment.seed,
        search_device(experiment),
    )


def search_device(experiment: Experiment) -> str:
    """Where a search computes: Lightning's accelerator, as far as there is one."""
    return "cuda" if uses_gpu(experiment.device.accelerator) else "cpu"


def face_images(faces: FaceSet) -> Tensor:
    """All images of a set, normalised: (N, 3, S, S)."""
    return normalise(torch.from_numpy(np.array(faces.images)))
