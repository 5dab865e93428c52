"""Deformable convolution against loops, a plain convolution, and torchvision."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nasface.nets.layers import deformable
from nasface.nets.layers.deformable import DeformableConv, deform_by_sampling
from nasface.nets.layers.deformable_cpu import deform_by_gathering


def cell(x: Tensor, row: int, column: int) -> Tensor:
    """Values (C,) of a map (C, H, W), 0 outside."""
    inside = 0 <= row < x.shape[1] and 0 <= column < x.shape[2]
    return x[:, row, column] if inside else torch.zeros(len(x), dtype=x.dtype)


def bilinear(x: Tensor, row: float, column: float) -> Tensor:
    top, left = math.floor(row), math.floor(column)
    down, right = row - top, column - left
    return (
        (1 - down) * (1 - right) * cell(x, top, left)
        + (1 - down) * right * cell(x, top, left + 1)
        + down * (1 - right) * cell(x, top + 1, left)
        + down * right * cell(x, top + 1, left + 1)
    )


def by_loops(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    count, _, height, width = x.shape
    output = bias[None, :, None, None].repeat(count, 1, height, width)
    for image in range(count):
        for row in range(height):
            for column in range(width):
                for tap in range(9):
                    down, right = offset[image, 2 * tap : 2 * tap + 2, row, column].tolist()
                    value = bilinear(x[image], row + tap // 3 - 1 + down, column + tap % 3 - 1 + right)
                    output[image, :, row, column] += weight[:, :, tap // 3, tap % 3] @ value
    return output


def inputs(offset_size: float, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((2, 3, 4, 6), (2, 18, 4, 6), (5, 3, 3, 3), (5,))
    x, offset, weight, bias = (torch.randn(shape, generator=generator) for shape in shapes)
    return x, offset_size * offset, weight, bias


@pytest.mark.parametrize("offset_size", [0.3, 3.0])
def test_sampling_is_the_definition(offset_size: float) -> None:
    values = inputs(offset_size)
    torch.testing.assert_close(deform_by_sampling(*values), by_loops(*values), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("offset_size", [0.3, 3.0])
def test_gathering_is_sampling_with_its_gradients(offset_size: float) -> None:
    results = []
    for deform in (deform_by_sampling, deform_by_gathering):
        values = [one.requires_grad_() for one in inputs(offset_size, seed=3)]
        found = deform(*values)
        (found * torch.linspace(-1, 1, found.numel()).view_as(found)).sum().backward()
        results.append((found.detach(), *(one.grad for one in values)))
    for mine, wanted in zip(*results, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-4)
    x, offset, weight, _ = inputs(offset_size)
    torch.testing.assert_close(
        deform_by_gathering(x, offset, weight, None), deform_by_sampling(x, offset, weight, None)
    )


def test_a_layer_gathers_on_a_cpu_without_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Tensor] = []
    monkeypatch.setattr(deformable, "_fast", None)
    monkeypatch.setattr(deformable, "deform_by_gathering", lambda x, *more: calls.append(x) or x)
    DeformableConv(2, 2)(torch.zeros(1, 2, 4, 4))
    assert len(calls) == 1


def test_sampling_is_torchvisions() -> None:
    try:
        from torchvision.ops import deform_conv2d
    except (ImportError, RuntimeError):
        pytest.skip("torchvision is not installed, or is of another torch")
    x, offset, weight, bias = inputs(2.0)
    torch.testing.assert_close(
        deform_by_sampling(x, offset, weight, bias),
        deform_conv2d(x, offset, weight, bias, padding=1),
        rtol=1e-4,
        atol=1e-4,
    )


def test_it_begins_as_a_plain_convolution() -> None:
    torch.manual_seed(0)
    layer = DeformableConv(3, 5)
    layer.start_plain()
    x = torch.randn(2, 3, 6, 4)
    torch.testing.assert_close(layer(x), F.conv2d(x, layer.weight, layer.bias, padding=1), rtol=1e-4, atol=1e-5)


def test_the_offsets_move_the_taps() -> None:
    """An offset of one column to the left reads the image shifted to the right."""
    torch.manual_seed(0)
    layer = DeformableConv(2, 2)
    layer.start_plain()
    with torch.no_grad():
        layer.offset.bias[1::2] = -1.0
    x = torch.randn(1, 2, 5, 7)
    shifted = F.pad(x, (1, 0))[..., :-1]
    found, wanted = layer(x), F.conv2d(shifted, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(found[..., :-1], wanted[..., :-1], rtol=1e-4, atol=1e-5)


def test_gradients_reach_input_weights_and_offsets() -> None:
    torch.manual_seed(0)
    layer = DeformableConv(2, 3)
    layer.start_plain()
    with torch.no_grad():
        layer.offset.bias.uniform_(0.1, 0.4)
    x = torch.randn(1, 2, 4, 4, requires_grad=True)
    layer(x).square().sum().backward()
    for gradient in (x.grad, layer.weight.grad, layer.bias.grad, layer.offset.weight.grad, layer.offset.bias.grad):
        assert gradient is not None and gradient.abs().sum() > 0
