"""The contract of networks, for their authors' tests."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from nasface.faces.landmarks import NUM_LANDMARKS
from nasface.nets.cost import count_parameters
from nasface.nets.network import HEATMAPS, PARAMETERS, UV_MAP, Network, NetworkSpec
from nasface.nets.weights import load_network, save_weights, state_digest


def outputs_of(network: Network, image: Tensor) -> list[Tensor]:
    """All tensors that a network returns, as a list."""
    return tree_leaves(network(image))


def settled(network: Network) -> tuple[Network, Tensor]:
    """The network in evaluation mode, with statistics of the images (16, 3, S, S) that come with it: enough of them,
    since the coarsest features may have one cell."""
    torch.manual_seed(1)
    image = torch.randn(16, 3, network.spec.input_size, network.spec.input_size)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(image)
    return network.eval(), image


def check_description(network: Network, image: Tensor) -> None:
    """It knows its spec."""
    del image
    assert network.target == network.spec.target


def check_outputs(network: Any, image: Tensor) -> None:
    """Its output is of its target's shape, finite, float32. A network of heatmaps has a `stride`, of parameters a
    `vector`, of volumes a `layout`."""
    with torch.no_grad():
        outputs = outputs_of(network, image)
    spec, shapes = network.spec, [tuple(output.shape[1:]) for output in outputs]
    if network.target == UV_MAP:
        assert shapes == [(3, spec.map_size, spec.map_size)], f"a UV map of the shape {shapes}"
    elif network.target == HEATMAPS:
        assert set(shapes) == {(NUM_LANDMARKS, *2 * [spec.input_size // network.stride])}
    elif network.target == PARAMETERS:
        assert shapes == [(network.vector.size,)]
    else:
        side = spec.input_size // 4
        assert shapes[-1] == (network.layout.points, 3)
        assert all(shape[0] == network.layout.channels and shape[2:] == (side, side) for shape in shapes[:-1])
    assert all(len(output) == len(image) and output.isfinite().all() for output in outputs)
    assert all(output.dtype == torch.float32 for output in outputs)


def check_first_weights(network: Network, image: Tensor) -> None:
    """A fresh network is a function of torch's seed."""
    del image
    digests = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        digests.append(state_digest(network.spec.build()))
    assert digests[0] == digests[1] != digests[2]


def check_gradients(network: Network, image: Tensor) -> None:
    """A finite gradient reaches every parameter."""
    network = copy.deepcopy(network)
    outputs = outputs_of(network, image[:4])
    torch.stack([(output * torch.randn_like(output)).sum() for output in outputs]).sum().backward()
    gradients = {key: parameter.grad for key, parameter in network.named_parameters()}
    idle = [key for key, gradient in gradients.items() if gradient is None]
    assert idle == [], f"no gradient reaches {', '.join(idle)}"
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())


def check_statistics(network: Network, image: Tensor) -> None:
    """Every batch norm sees each training forward once, or as often as `Network.repeated` says: what a norm averages
    over is what it meets in evaluation."""
    network = copy.deepcopy(network).train()
    norms = {key: module for key, module in network.named_modules() if isinstance(module, _BatchNorm)}
    norms = {key: norm for key, norm in norms.items() if norm.track_running_stats}
    before = {key: int(norm.num_batches_tracked or 0) for key, norm in norms.items()}
    with torch.no_grad():
        network(image[:4])
    for key, norm in norms.items():
        expected = next((times for part, times in network.repeated.items() if f"{key}.".startswith(f"{part}.")), 1)
        seen = int(norm.num_batches_tracked or 0) - before[key]
        assert seen == expected, f"{key} tracks {seen} times a training forward, not {expected}"


def check_weights(network: Network, image: Tensor) -> None:
    """A file of its weights gives the same network again."""
    with tempfile.TemporaryDirectory() as folder:
        save_weights(Path(folder) / "network.pt", network)
        found = load_network(Path(folder) / "network.pt").eval()
    assert type(found) is type(network) and found.spec.digest == network.spec.digest
    assert state_digest(found) == state_digest(network)
    with torch.no_grad():
        one, other = (outputs_of(each, image[:2]) for each in (found, network))
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def check_cost(network: Network, image: Tensor) -> None:
    """What is counted without values is what a real image costs."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image[:1])
    assert network.spec.cost() == (count_parameters(network), counter.get_total_flops() // 2), "another cost"


NETWORK_CHECKS: tuple[Callable[[Network, Tensor], None], ...] = (
    check_description,
    check_outputs,
    check_first_weights,
    check_gradients,
    check_statistics,
    check_weights,
    check_cost,
)
"""Each takes a network and images, as `settled` gives them, and leaves them as they are."""


def check_network(spec: NetworkSpec) -> None:
    """Every check of the contract: what it returns, first weights, gradients, norms, its file, what it costs.

        check_network(BaselineSpec("mine", input_size=32, map_size=32, scale=1 / 16))

    Raises:
        AssertionError: the network does not keep it.
        UserError: there is no such network, or not of these sizes.
    """
    network, image = settled(spec.build())
    assert network.spec == spec
    for check in NETWORK_CHECKS:
        check(network, image)
