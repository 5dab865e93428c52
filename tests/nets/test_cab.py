"""The channel aggregation block: published count, and its graph written out."""

from __future__ import annotations

import pytest
import torch

from nasface.nets.cost import count_parameters
from nasface.nets.layers.cab import CAB
from tests.nets.fixed import on_meta


def test_published_count() -> None:
    assert count_parameters(on_meta(lambda: CAB(256))) == 389_632


def test_graph_written_out() -> None:
    """Every node by its place: width, then step."""
    torch.manual_seed(0)
    block = CAB(16).eval()
    for module in block.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
    x = torch.randn(2, 16, 5, 5)

    def twice(y: torch.Tensor) -> torch.Tensor:
        return torch.cat([y, y], 1)

    with torch.no_grad():
        half = block.narrower[0](x)
        quarter = block.narrower[1](half)
        eighth = block.narrower[2](quarter)
        x1 = (x + twice(half)) / 2
        half1 = (block.depthwise[0](half) + twice(quarter)) / 2
        quarter1 = (block.depthwise[1](quarter) + twice(eighth)) / 2
        x2, half2 = (x1 + twice(half1)) / 2, (half1 + twice(quarter1)) / 2
        torch.testing.assert_close(block(x), (x2 + twice(half2)) / 2)


def test_other_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 8 channels, not 12"):
        CAB(12)
