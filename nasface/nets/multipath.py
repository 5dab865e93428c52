"""The multi-path supernet and the child networks derived from it (MONAS, section III-A and Algorithm 1).

Layers are counted from the stem: layer 0 is the stem (one node), layers 1..L-1 hold D nodes each, layer L is the output
node. Gap g joins layer g to layer g + 1. Scale 0 is the coarsest and scale D-1 the finest, where the stem ends and the
output node lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from nasface.config import MultipathConfig
from nasface.nets.anchor_head import AnchorHead
from nasface.nets.layers.batch_norm import Layers
from nasface.nets.layers.blocks import HPM, Resample, node_sum
from nasface.nets.network import UV_MAP, Network, NetworkSpec
from nasface.nets.uv_head import make_head
from nasface.nets.uv_output import TrainingMaps, UVOutput
from nasface.space.space import OPERATIONS, Architecture, MultipathSpace

NONE, IDENTITY, HPM_BLOCK = (OPERATIONS.index(name) for name in ("none", "identity", "hpm"))


class Stem(nn.Module):
    """Image to the finest scale: 3x3 convolutions of stride 2, (B, 3, S, S) -> (B, width, S / stride, S / stride).

    Two fixed channels of pixel coordinates join the image: a UV map holds absolute positions, which plain convolutions
    see only through padding.
    """

    coordinates: Tensor

    def __init__(self, config: MultipathConfig, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 5
        for outputs in config.stem_widths(width):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
            inputs = outputs
        self.layers = Layers(*layers)
        line = torch.linspace(-1, 1, config.input_size)
        self.register_buffer(
            "coordinates", torch.stack(torch.meshgrid(line, line, indexing="xy"))[None], persistent=False
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(torch.cat((image, self.coordinates.expand(image.shape[0], -1, -1, -1)), 1))


class Connection(nn.Module):
    """One connection: an operation at the source's scale, then the change to the target's scale."""

    def __init__(self, inputs: int, outputs: int, levels: int, with_hpm: bool, resample: str) -> None:
        super().__init__()
        self.hpm: Any = HPM(inputs) if with_hpm else None  # what has none is never asked for its
        self.resample = Resample(inputs, outputs, levels, resample)

    def forward(self, x: Tensor, operation: int) -> Tensor:
        return self.resample(self.hpm(x) if operation == HPM_BLOCK else x)

    def children_forward(self, features: Sequence[Tensor], operations: Sequence[int]) -> list[Tensor]:
        """`forward` in training mode on each of several children's features, without running statistics."""
        values = list(features)
        with_hpm = [number for number, operation in enumerate(operations) if operation == HPM_BLOCK]
        if with_hpm:
            for number, value in zip(with_hpm, self.hpm.children_forward([values[n] for n in with_hpm]), strict=True):
                values[number] = value
        return self.resample.children_forward(values)


class MultipathTrunk(nn.Module):
    """Stem, head and a set of connections: what the supernet (all connections) and a child (its live ones) have in
    common.

    The names of parameters are the same in both, so a child's state is a subset of its supernet's.
    """

    def __init__(
        self, space: MultipathSpace, config: MultipathConfig, hpm: dict[tuple[int, int, int], bool], **base: Any
    ) -> None:
        super().__init__(**base)
        config.check(space.scales, space.name)
        self.space, self.config, self.widths = space, config, config.scale_widths(space.scales)
        self.stem = Stem(config, self.widths[-1])
        self.connections = nn.ModuleDict(
            {connection_name(*place): self._connection(*place, with_hpm) for place, with_hpm in hpm.items()}
        )
        self.head = make_head(config, self.widths[-1])
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module is not self.head.last:
                nn.init.kaiming_normal_(
                    module.weight, nonlinearity="relu" if module.kernel_size == (3, 3) else "linear"
                )

    def _connection(self, gap: int, source: int, target: int, with_hpm: bool) -> Connection:
        start, end = self.scale_of(gap, source), self.scale_of(gap + 1, target)
        return Connection(self.widths[start], self.widths[end], end - start, with_hpm, self.config.resample)

    def scale_of(self, layer: int, node: int) -> int:
        """Scale of a node; stem and output node lie at the finest."""
        return node if 0 < layer < self.space.layers else self.space.scales - 1

    def connection(self, gap: int, source: int, target: int) -> Connection:
        found = self.connections[connection_name(gap, source, target)]
        assert isinstance(found, Connection)
        return found

    def node(self, layer: int, target: int, inputs: Sequence[tuple[int, int, Tensor]]) -> Tensor:
        """The value of a node of layer 1..L, `node_sum` of its incoming connections, given as (source node, operation
        code, source's features) in the order of the sources."""
        if not inputs:
            raise ValueError(f"node {target} of layer {layer} has no incoming connection")
        return node_sum(
            [self.connection(layer - 1, source, target)(features, operation) for source, operation, features in inputs]
        )

    def learn(self, maps: TrainingMaps) -> None:
        """Build the head around a training set's maps; done before training, and saved with the weights."""
        self.head.learn(maps)

    def heatmap_loss(self, heatmaps: Tensor, maps: Tensor) -> Tensor:
        """The loss of an output's heatmaps beside true maps (B, 3, M, M)."""
        assert isinstance(self.head, AnchorHead)  # no other has heatmaps
        return self.head.heatmap_loss(heatmaps, maps)


def connection_name(gap: int, source: int, target: int) -> str:
    return f"{gap}_{source}_{target}"


def incoming(
    space: MultipathSpace, codes: Sequence[int] | np.ndarray
) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Yield every active node of a code as (layer, node, [(source, operation), ...]) in the order of computation."""
    codes = np.asarray(codes)
    for gap in range(space.layers):
        block = codes[space.gap_slice(gap)].reshape(space.gap_shape(gap))
        for target in range(block.shape[1]):
            sources = [(int(source), int(block[source, target])) for source in np.flatnonzero(block[:, target])]
            if sources:
                yield gap + 1, target, sources


@dataclass(frozen=True)
class MemberSpec(NetworkSpec):
    """A member of a multi-path space, and the sizes (`config`) of its network."""

    architecture: Architecture
    config: MultipathConfig

    target = UV_MAP
    learning_rate: ClassVar[float] = 5e-3  # half a point better than 2e-3 after 1200 steps; MobileNets diverge at it
    optimizer: ClassVar[str] = "muon"  # four fifths of AdamW's error after 1200 steps
    warmup: ClassVar[float] = 0.25  # with less, some trainings stay at the mean face for hundreds of steps

    @property
    def name(self) -> str:  # type: ignore[override]  # the base only says that it can be read
        return self.digest

    @property
    def input_size(self) -> int:  # type: ignore[override]  # the base only says that it can be read
        return self.config.input_size

    @property
    def map_size(self) -> int:  # type: ignore[override]  # the base only says that it can be read
        return self.config.map_size

    @property
    def digest(self) -> str:  # type: ignore[override]  # the base only says that it can be read
        return self.architecture.digest

    def build(self) -> MultipathNetwork:
        return MultipathNetwork(self.architecture, self.config)

    def description(self) -> dict[str, Any]:
        codes = list(self.architecture.canonical.codes)
        return {**_describe(self.architecture.space, self.config), "codes": codes}


def _describe(space: MultipathSpace, config: MultipathConfig) -> dict[str, Any]:
    """The keys that files of supernets and of members share."""
    return {"layers": space.layers, "scales": space.scales, "network": asdict(config)}


class MultipathNetwork(MultipathTrunk, Network):
    """A child: only the live connections of one architecture. (B, 3, S, S) -> (B, 3, M, M) in the head's units."""

    def __init__(self, architecture: Architecture, config: MultipathConfig) -> None:
        space, codes = architecture.space, architecture.canonical.codes
        live = {
            (layer - 1, source, target): operation == HPM_BLOCK
            for layer, target, sources in incoming(space, codes)
            for source, operation in sources
        }
        super().__init__(space, config, live, spec=MemberSpec(architecture.canonical, config))
        self.architecture = architecture.canonical
        self._graph = list(incoming(space, codes))

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self._features(image))

    def output(self, image: Tensor) -> UVOutput:
        """What a loss is put on in training."""
        return self.head.output(self._features(image))

    def _features(self, image: Tensor) -> Tensor:
        """The output node's features."""
        previous: dict[int, Tensor] = {0: self.stem(image)}
        current: dict[int, Tensor] = {}
        at = 1
        for layer, target, sources in self._graph:
            if layer != at:
                previous, current, at = current, {}, layer
            current[target] = self.node(
                layer, target, [(source, operation, previous[source]) for source, operation in sources]
            )
        return current[0]


class Supernet(MultipathTrunk):
    """All connections of a space, each with its HPM block; trained through K children at a time."""

    def __init__(self, space: MultipathSpace, config: MultipathConfig) -> None:
        places = {
            (gap, source, target): True
            for gap in range(space.layers)
            for source in range(space.gap_shape(gap)[0])
            for target in range(space.gap_shape(gap)[1])
        }
        super().__init__(space, config, places)

    def forward(self, image: Tensor, codes: np.ndarray) -> Tensor:
        """The maps of `output`."""
        return self.output(image, codes).maps

    def output(self, image: Tensor, codes: np.ndarray) -> UVOutput:
        """The maps of all children of a step, and their heatmaps where the head has some, in one routed pass on the
        same images (B, 3, S, S). The operations `codes` (K, connections) of each must reach the output.

        Every connection runs once, on the features of all children that take it; batch-norm statistics are each child's
        own. The result and the gradients are those of the K children run one by one in training mode (the stem, which
        they share, runs once).
        """
        return self.children_output(self.stem(image), codes)

    def children_output(self, stem: Tensor, codes: np.ndarray) -> UVOutput:
        """`output` from the stem's features (B, width, F, F) on."""
        children = len(codes)
        # Dead ends change neither the maps nor the gradients.
        codes = np.stack([self.space.canonical(code) for code in codes])
        features: list[dict[int, Tensor]] = [{0: stem} for _ in range(children)]
        for gap in range(self.space.layers):
            blocks = codes[:, self.space.gap_slice(gap)].reshape(children, *self.space.gap_shape(gap))
            features = self._routed_gap(gap, blocks, features)
        return self.head.children_output([nodes[0] for nodes in features])

    def _routed_gap(self, gap: int, blocks: np.ndarray, features: list[dict[int, Tensor]]) -> list[dict[int, Tensor]]:
        incoming: list[dict[int, list[Tensor]]] = [{} for _ in features]
        _, sources, targets = blocks.shape
        for source, target in np.ndindex(sources, targets):
            operations = blocks[:, source, target]
            taken = np.flatnonzero(operations)
            if not len(taken):
                continue
            connection = self.connection(gap, source, target)
            values = connection.children_forward([features[k][source] for k in taken], operations[taken].tolist())
            for k, value in zip(taken, values, strict=True):
                incoming[k].setdefault(target, []).append(value)
        return [{target: node_sum(values) for target, values in nodes.items()} for nodes in incoming]

    def description(self) -> dict[str, Any]:
        """What a file of its weights says of it."""
        return {"kind": "supernet", **_describe(self.space, self.config)}

    def child(self, architecture: Architecture) -> MultipathNetwork:
        """The derived network with this supernet's weights; its batch-norm statistics are still to be calibrated."""
        network = MultipathNetwork(architecture, self.config)
        own = self.state_dict()
        network.load_state_dict({name: own[name] for name in network.state_dict()})
        return network
