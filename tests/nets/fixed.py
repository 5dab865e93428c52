"""What every fixed network must do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from nasface.nets.uv_network import UVNetwork
from nasface.nets.weights import load_network, save_weights


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """A network whose costs can be counted without computing anything."""
    with torch.device("meta"):
        return make().eval()


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def settled(network: UVNetwork) -> tuple[UVNetwork, Tensor]:
    """The network in evaluation mode, with statistics of the images that come with it: enough of them, since the
    coarsest features may have one cell."""
    torch.manual_seed(1)
    image = torch.randn(16, 3, network.spec.input_size, network.spec.input_size)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(image)
    return network.eval(), image


def check_gradients(network: UVNetwork) -> None:
    """Every parameter moves the map. (In evaluation mode: in training, batch norm undoes a bias before it.)"""
    network, image = settled(network)
    maps = network(image)
    (maps * torch.randn_like(maps)).sum().backward()
    idle = [name for name, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert idle == []


def check_mean_map(network: UVNetwork) -> None:
    """An untrained network writes about the mean map, and moves with it."""
    network, image = settled(network)
    with torch.no_grad():
        plain = network(image)
        mean_map = torch.randn_like(plain[0])
        network.set_mean_map(mean_map)
        assert torch.allclose(network(image), plain + mean_map, atol=1e-6)
    assert plain.dtype == torch.float32
    assert 1e-5 < plain.abs().mean() < 0.3


def check_weights(network: UVNetwork, path: Path) -> None:
    """Saved and loaded, it is the same network."""
    network, image = settled(network)
    network.set_mean_map(torch.rand_like(network.mean_map[0]))
    save_weights(path, network.to(memory_format=torch.channels_last))
    found = load_network(path).eval()
    assert type(found) is type(network) and found.spec == network.spec
    own = network.to(memory_format=torch.contiguous_format)
    with torch.no_grad():
        assert torch.equal(found(image), own(image))
