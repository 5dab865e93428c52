"""Time of a member in onnxruntime, foretold from measured parts, so that a search can keep a limit.

Every kind of connection (scales that it starts and ends at, with and without HPM block), the stem and the head are
measured alone. A network is slower than its parts, which find their weights in the cache: a few whole members give
the weights of a sum of three terms, a constant, the parts' time, and the number of parameters. The members that were
measured whole also say how far such a forecast is off.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor, nn

from nasface.config import MultipathConfig
from nasface.evaluation.costs import MemberCosts
from nasface.inference.export import need, onnx_session
from nasface.nets.cost import least_time
from nasface.nets.layers.blocks import node_sum
from nasface.nets.multipath import HPM_BLOCK, IDENTITY, Connection, MemberSpec, MultipathNetwork, Stem
from nasface.nets.uv_head import make_head
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.compute_threads import torch_threads
from nasface.utils.files import write_json
from nasface.utils.progress import stage_bar
from nasface.utils.reading import read_json, reading
from nasface.utils.schema import checked

REFERENCES = 12
"""Members that are measured whole."""
_FEW, _MANY = 2, 8  # connections side by side: the difference of two sums has no overhead of a run
_REPEATS = 150


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of one image on one thread.

    Attributes:
        connections: of each kind, by "start end operation" (scales, code of the operation).
        fixed: stem and head.
        weights: of 1, of the parts' sum and of the parameters.
        error: mean relative difference between a member's forecast, made without it, and its measured time.
        worst: the largest one.
    """

    connections: dict[str, float]
    fixed: float
    weights: tuple[float, float, float]
    error: float
    worst: float

    def milliseconds(self, architecture: Architecture, parameters: float) -> float:
        """The forecast for a member with so many parameters."""
        return float(np.dot(self.weights, (1.0, self.parts(architecture), parameters)))

    def parts(self, architecture: Architecture) -> float:
        """The parts' time."""
        last = architecture.space.layers
        finest = architecture.space.scales - 1

        def scale(layer: int, node: int) -> int:
            return node if 0 < layer < last else finest

        return self.fixed + sum(
            self.connections[_kind(scale(gap, source), scale(gap + 1, target), operation)]
            for gap, source, target, operation in architecture.canonical.connections()
        )

    def save(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        write_json(path, asdict(self))


def load_latency_table(path: Path) -> LatencyTable:
    """Read what `LatencyTable.save` wrote.

    Raises:
        UserError: the file is damaged.
    """
    mend = "delete it, and it is measured again"
    with reading(path, "is no table of latencies", mend):
        return latency_table_of(read_json(path, mend))


def latency_table_of(record: Any) -> LatencyTable:
    """The table of a record, `asdict` of one.

    Raises:
        ValueError: it is something else.
    """
    fields = checked(LatencyTable, record, "latency table")
    return LatencyTable(**{**fields, "weights": tuple(fields["weights"])})


def kept_latencies(path: Path, space: MultipathSpace, config: MultipathConfig) -> LatencyTable:
    """The table of a file, measured first where there is none.

    Raises:
        UserError: onnxruntime is not installed, or the table is damaged.
    """
    if path.exists():
        return load_latency_table(path)
    table = measure_latencies(space, config)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.save(path)
    return table


def measured_latency(member: MemberSpec) -> float:
    """Least milliseconds of one image through a whole member in onnxruntime on one thread.

    Raises:
        UserError: a package of the extra `export` is not installed.
    """
    with _alone():
        return _time(member.build(), torch.rand(1, 3, member.input_size, member.input_size))


@contextmanager
def _alone() -> Iterator[None]:
    """On one thread, with random numbers that nobody misses: weights do not change a time."""
    for package in ("onnx", "onnxruntime"):
        need(package)
    with torch_threads(1), torch.random.fork_rng(devices=[]):
        yield


def measure_latencies(space: MultipathSpace, config: MultipathConfig) -> LatencyTable:
    """Measure parts and reference members, some fifteen seconds; other work on the machine makes it worse.

    Raises:
        UserError: a package of the extra `export` is not installed.
    """
    with _alone(), stage_bar("measuring latencies", 2 * space.scales**2 + REFERENCES) as bar:
        return _measured(space, config, lambda: bar.update(1))


def _measured(space: MultipathSpace, config: MultipathConfig, done: Callable[[], object]) -> LatencyTable:
    widths, size = config.scale_widths(space.scales), config.input_size
    finest, image = size // config.stem_stride, torch.rand(1, 3, size, size)
    fixed = _time(Stem(config, widths[-1]), image) + _time(_Head(config, widths[-1]), _noise(widths[-1], finest))
    connections = {}
    for start, end in np.ndindex(space.scales, space.scales):
        source = _noise(widths[start], finest >> (space.scales - 1 - start))
        for operation in (IDENTITY, HPM_BLOCK):
            sizes = (widths[start], widths[end], end - start)
            connect = partial(Connection, *sizes, operation == HPM_BLOCK, config.resample)
            few, many = (_time(_SideBySide(connect, operation, count), source) for count in (_FEW, _MANY))
            connections[_kind(start, end, operation)] = max(many - few, 0.0) / (_MANY - _FEW)
            done()
    parts = LatencyTable(connections, fixed, (0.0, 1.0, 0.0), 0.0, 0.0)
    costs, rows = MemberCosts(space, config), []
    for member in _references(space):
        whole = _time(MultipathNetwork(member, config), image)
        rows.append((whole, 1.0, parts.parts(member), costs.parameters(member)))
        done()
    weights, errors = fit_weights(np.array(rows))
    return LatencyTable(connections, fixed, weights, float(errors.mean()), float(errors.max()))


def _noise(width: int, side: int) -> Tensor:
    return torch.rand(1, width, side, side)


def _kind(start: int, end: int, operation: int) -> str:
    return f"{start} {end} {operation}"


def _references(space: MultipathSpace) -> Sequence[Architecture]:
    """Members of rising density, the same ones whenever a space is measured."""
    rng, most = np.random.default_rng(0x1A7), max(1, space.scales**2 // 2)
    low, high = space.drawn or space.connections or (1, space.scales**2)
    levels = sorted({min(max(level, 1), high) for level in np.linspace(1, min(most, 2 * high), 4).round().astype(int)})
    spaces = [MultipathSpace(space.name, space.layers, space.scales, (int(k), int(k))) for k in levels]
    return [spaces[number % len(spaces)].random_architecture(rng) for number in range(REFERENCES)]


def fit_weights(rows: np.ndarray) -> tuple[tuple[float, float, float], np.ndarray]:
    """Weights for (N, 4) rows of time, 1, parts and parameters, and each row's relative error when it is left out."""

    def solve(rows: np.ndarray) -> np.ndarray:
        found, _ = nnls(rows[:, 1:] / rows[:, :1], np.ones(len(rows)))
        return found

    errors = [abs(row[1:] @ solve(np.delete(rows, place, 0)) / row[0] - 1) for place, row in enumerate(rows)]
    constant, parts, parameters = map(float, solve(rows))
    return (constant, parts, parameters), np.array(errors)


class _SideBySide(nn.Module):
    """So many connections of a kind from one node to another."""

    def __init__(self, connect: Callable[[], Connection], operation: int, count: int) -> None:
        super().__init__()
        self.operation = operation
        self.connections = nn.ModuleList(connect() for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        return node_sum([connection(x, self.operation) for connection in self.connections])


class _Head(nn.Module):
    """The head as a module with one input."""

    def __init__(self, config: MultipathConfig, width: int) -> None:
        super().__init__()
        self.head = make_head(config, width)

    def forward(self, x: Tensor) -> Any:
        return self.head(x)


def _time(network: nn.Module, image: Tensor) -> float:
    """Least milliseconds of one image in onnxruntime on one thread."""
    content: Any = io.BytesIO()  # the exporter's hints know of paths only
    with warnings.catch_warnings(action="ignore"):
        # The exporter of before torch 2.5 takes a fiftieth of the time of the new one, and a table needs dozens.
        torch.onnx.export(network.eval(), (image,), content, dynamo=False)
    session = onnx_session(content.getvalue(), 1)
    feed = {session.get_inputs()[0].name: image.numpy()}
    return least_time(partial(session.run, None, feed), _REPEATS)
