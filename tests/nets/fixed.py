"""What every fixed network must do."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nasface.nets.heatmap_network import HeatmapNetwork
from nasface.nets.network import Network
from nasface.nets.uv_head import UVNetwork
from nasface.nets.weights import load_network, save_weights

Network = TypeVar("Network", bound=Network)


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """A network whose costs can be counted without computing anything."""
    with torch.device("meta"):
        return make().eval()


def settled(network: Network) -> tuple[Network, Tensor]:
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


def outputs_of(network: Network, image: Tensor) -> list[Tensor]:
    """All that a network returns, as a list."""
    outputs = network(image)
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


def check_gradients(network: Network) -> None:
    """Every parameter moves the output. (In evaluation mode: in training, batch norm undoes a bias before it.)"""
    network, image = settled(network)
    sum((output * torch.randn_like(output)).sum() for output in outputs_of(network, image)).backward()
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


def check_weights(network: UVNetwork | HeatmapNetwork, path: Path) -> None:
    """Saved and loaded, it is the same network."""
    network, image = settled(network)
    if isinstance(network, UVNetwork):
        network.set_mean_map(torch.rand_like(network.mean_map[0]))
    save_weights(path, network.to(memory_format=torch.channels_last))
    found = load_network(path).eval()
    assert type(found) is type(network) and found.spec == network.spec
    own = network.to(memory_format=torch.contiguous_format)
    with torch.no_grad():
        for one, other in zip(outputs_of(found, image), outputs_of(own, image), strict=True):
            assert torch.equal(one, other)


def check_export(network: Network) -> None:
    """Exported to ONNX and run by ONNX Runtime, it gives the same; skips where either is not installed."""
    pytest.importorskip("onnx", reason="torch.onnx.export needs the package onnx")
    runtime = pytest.importorskip("onnxruntime")
    network, image = settled(network)
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constants that are traced, and of the exporter's age
        torch.onnx.export(network, (image,), content, opset_version=17, dynamo=False)
    session = runtime.InferenceSession(content.getvalue())
    found = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    with torch.no_grad():
        for one, other in zip(found, outputs_of(network, image), strict=True):
            np.testing.assert_allclose(one, other.numpy(), rtol=1e-3, atol=1e-3)
