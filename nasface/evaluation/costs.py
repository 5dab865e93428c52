"""What a member costs: multiply-adds and parameters from tables, peak activation memory, measured latency."""

from __future__ import annotations

import math
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nasface.config import MultipathConfig
from nasface.nets.cost import cpu_latency
from nasface.nets.multipath import MultipathNetwork
from nasface.nets.multipath_cost import (
    Place,
    connection_macs,
    connection_parameters,
    fixed_parameters,
    head_macs,
    stem_macs,
)
from nasface.nets.network import channels_last
from nasface.search.objectives import PENALTY, require_objectives
from nasface.search.strategy import Constraint, Outcome, Proposal
from nasface.space.presets import presets_in
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError

Measure = Callable[[Architecture], float]

COSTS = ("macs", "parameters", "memory", "latency", "latency_all")
# Measured times differ from run to run: a limit on one would make a search that nobody can repeat.
LIMITED = ("macs", "parameters", "memory")
_TABLED = ("macs", "parameters")


class MemberCosts:
    """Costs of the members of a space as networks of the sizes of `config`, none of which looks at a face.

    macs: multiply-adds for one image, from a table, exact.
    parameters: from a table, exact.
    memory: peak bytes of float32 activations (`peak_activations`) for one image.
    latency, latency_all: median milliseconds of one image on the CPU, after a warm-up, on one or all threads.
    """

    def __init__(self, space: MultipathSpace, config: MultipathConfig) -> None:
        self.space, self.config = space, config
        width = config.scale_widths(space.scales)[-1]
        self._macs = connection_macs(space, config)
        self._parameters = connection_parameters(space, config)
        self._fixed_macs = stem_macs(config, width) + head_macs(config, width)
        self._fixed_parameters = fixed_parameters(config, width)
        self._memory: dict[str, float] = {}

    def measure(self, name: str) -> Measure:
        """The function of that name; a UserError, which lists the known names, where there is none."""
        if name not in COSTS:
            raise UserError(f"unknown cost {name!r}; known are: {', '.join(COSTS)}")
        return getattr(self, name)

    def macs(self, architecture: Architecture) -> float:
        return self._fixed_macs + _sum(self._macs, architecture)

    def parameters(self, architecture: Architecture) -> float:
        return self._fixed_parameters + _sum(self._parameters, architecture)

    def memory(self, architecture: Architecture) -> float:
        if architecture.digest not in self._memory:  # a quarter of a second each; walks to a limit come back
            self._memory[architecture.digest] = self._peak(architecture, lambda network: network)
        return self._memory[architecture.digest]

    @cached_property
    def least_memory(self) -> float:
        """What the stem, which all members have, needs alone."""
        return self._peak(self.space.member(0), lambda network: network.stem)

    def _peak(self, architecture: Architecture, part: Callable[[MultipathNetwork], nn.Module]) -> float:
        with FakeTensorMode():  # tensors with sizes and lifetimes, but no content
            network = MultipathNetwork(architecture, self.config).eval()
            return peak_activations(part(network), torch.zeros(1, 3, self.config.input_size, self.config.input_size))

    def latency(self, architecture: Architecture) -> float:
        return self._latency(architecture, threads=1)

    def latency_all(self, architecture: Architecture) -> float:
        return self._latency(architecture, threads=available_cores())

    def _latency(self, architecture: Architecture, threads: int) -> float:
        # Times do not depend on the weights, and the search's own random numbers shall not depend on these.
        with torch.random.fork_rng(devices=[]):
            network = channels_last(MultipathNetwork(architecture, self.config))
        return cpu_latency(network, self.config.input_size, repeats=20, threads=threads)


def _sum(table: dict[Place, dict[int, int]], architecture: Architecture) -> int:
    """Over the live connections."""
    return sum(table[gap, start, end][code] for gap, start, end, code in architecture.canonical.connections())


def usual_macs(costs: MemberCosts) -> float:
    """The limit on multiply-adds of a search that names none: 1.25 times the median of random members, or more, where
    one of the well-known networks of the space needs it."""
    rng = np.random.default_rng(0)
    macs = [costs.macs(costs.space.random_architecture(rng)) for _ in range(200)]
    known = max(map(costs.macs, presets_in(costs.space).values()), default=0.0)
    return max(float(round(1.25 * float(np.median(macs)), -5)), 1e5 * math.ceil(known / 1e5))


def peak_activations(network: nn.Module, image: Tensor) -> int:
    """The most bytes of tensors, the image included, that are alive at once in a forward pass without gradients.

    Counted as the pass runs, also with fake tensors, where nothing is computed. A tensor lives as long as Python
    refers to it; parameters and buffers are not counted, nor is what a convolution's kernel needs inside.
    """
    with _LiveBytes(image) as live, torch.no_grad():
        network(image)
    return live.peak


class _LiveBytes(TorchDispatchMode):
    """Adds up the storages of all tensors that operations put out, until they die."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.bytes = self.peak = image.untyped_storage().nbytes()
        self._users: Counter[int] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Iterable[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        known = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._follow(leaf, known)
        self.peak = max(self.peak, self.bytes)
        return result

    def _follow(self, tensor: Tensor, known: set[int]) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._users:
            if key in known:
                return  # a view of the image, a parameter or a buffer
            self.bytes += size
        self._users[key] += 1
        weakref.finalize(tensor, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key]
            self.bytes -= size


class CostedEvaluator:
    """An evaluator whose outcomes also say what the member costs, under `costs` in the details.

    Multiply-adds and parameters always; the other objectives where the evaluation was complete.
    """

    def __init__(self, evaluate: Callable[[Proposal], Outcome], costs: MemberCosts, objectives: Sequence[str]) -> None:
        self.evaluate = evaluate
        names = [name for name in require_objectives(objectives) if name != PENALTY and name not in _TABLED]
        self._tabled = {name: costs.measure(name) for name in _TABLED}
        self._further = {name: costs.measure(name) for name in names}

    def __call__(self, proposal: Proposal) -> Outcome:
        outcome = self.evaluate(proposal)
        measures = self._tabled | (self._further if outcome.complete else {})
        costs = {name: measure(proposal.architecture) for name, measure in measures.items()}
        return Outcome(outcome.penalty, outcome.complete, {**outcome.details, "costs": costs})


def make_constraints(costs: MemberCosts, limits: dict[str, float]) -> tuple[Constraint, ...]:
    """Limits by name, of `LIMITED`; 0 is none. Cheapest to check first.

    Raises:
        UserError: there is no limit of that name, or no member can keep that on memory, which takes long to find out
            member by member.
    """
    for name in limits:
        if name not in LIMITED:
            raise UserError(f"there is no limit on {name!r}; limits are on: {', '.join(LIMITED)}")
    memory = limits.get("memory")
    if memory and memory < costs.least_memory:
        least = f"{costs.least_memory:,.0f}".replace(",", " ")
        raise UserError(f"search.max_memory {memory:g} is too little: the stem alone needs {least} bytes; raise it")
    return tuple(Constraint(name, limits[name], costs.measure(name)) for name in LIMITED if limits.get(name))
