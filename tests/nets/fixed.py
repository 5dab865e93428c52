"""Checks of networks that several tests share."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from nasface.nets import cost
from nasface.nets.network import Network
from nasface.testing.networks import outputs_of, settled


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """A network whose costs can be counted without computing anything."""
    with cost.on_meta():
        return make().eval()


def check_gradients(network: Network) -> None:
    """Every parameter moves the output. (In evaluation mode: in training, batch norm undoes a bias before it.)"""
    network, image = settled(network)
    sum((output * torch.randn_like(output)).sum() for output in outputs_of(network, image)).backward()
    idle = [name for name, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert idle == []


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
