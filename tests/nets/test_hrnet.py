"""HRNetV2: published counts, streams that all reach each other, the UV map's end."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nasface.nets.baselines.hrnet import Exchange, HRNetUV, HRNetV2
from nasface.nets.cost import count_macs, count_parameters
from nasface.nets.registry import BaselineSpec
from nasface.utils.errors import UserError
from tests.nets.fixed import check_export, check_gradients, on_meta
from tests.nets.overfit import overfit


def small(input_size: int = 32, map_size: int = 32) -> HRNetUV:
    torch.manual_seed(0)
    return HRNetUV(BaselineSpec("hrnet", input_size, map_size, 0.2))


def test_published_counts() -> None:
    network = on_meta(lambda: HRNetV2(nn.Conv2d(270, 68, 1)))
    assert count_parameters(network) == 9_654_398
    assert round(count_macs(network, 256) / 1e6) == 4_660
    assert network(torch.zeros(1, 3, 256, 256, device="meta")).shape == (1, 68, 64, 64)


def test_what_the_uv_map_adds() -> None:
    heatmaps = on_meta(lambda: HRNetV2(nn.Conv2d(270, 68, 1)))
    maps = on_meta(lambda: HRNetUV(BaselineSpec("hrnet", 256, 256)))
    # 3 coordinates of 4 x 4 cells for 68 heatmaps, and a bias for each of 64 x 64 cells.
    assert count_parameters(maps) - count_parameters(heatmaps) == (48 - 68) * 271 + 270 * 64 * 64


@pytest.mark.parametrize(("input_size", "map_size"), [(32, 32), (64, 16), (96, 48)])
def test_shapes(input_size: int, map_size: int) -> None:
    network = on_meta(lambda: HRNetUV(BaselineSpec("hrnet", input_size, map_size, 0.25)))
    assert network(torch.zeros(2, 3, input_size, input_size, device="meta")).shape == (2, 3, map_size, map_size)


@pytest.mark.parametrize(
    ("scale", "width", "stem"), [(1, 18, 64), (0.5, 8, 32), (0.25, 4, 16), (0.01, 4, 8), (2, 36, 128)]
)
def test_widths(scale: float, width: int, stem: int) -> None:
    body = on_meta(lambda: HRNetUV(BaselineSpec("hrnet", 32, 32, scale))).body
    assert (body.mix.in_channels, body.stem[0].out_channels) == (15 * width, stem)


@pytest.mark.parametrize(("input_size", "map_size"), [(48, 48), (64, 24), (64, 8)])
def test_other_sizes_are_refused(input_size: int, map_size: int) -> None:
    with pytest.raises(
        UserError, match="network.(input_size 48|map_size (24|8)) must be a multiple of (32|16) for hrnet"
    ):
        HRNetUV(BaselineSpec("hrnet", input_size, map_size))


def test_every_stream_reaches_every_other() -> None:
    torch.manual_seed(0)
    exchange = Exchange([4, 8, 16]).eval()
    sides = (8, 4, 2)
    plain = [torch.randn(1, width, side, side) for width, side in zip((4, 8, 16), sides, strict=True)]
    with torch.no_grad():
        before = exchange(list(plain))
        assert [x.shape for x in before] == [x.shape for x in plain]
        for source in range(3):
            changed = [x + 1 if stream == source else x for stream, x in enumerate(plain)]
            after = exchange(changed)
            assert not any(torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_a_gradient_reaches_every_parameter() -> None:
    check_gradients(small())


def test_export() -> None:
    check_export(small())


def test_eight_faces_are_learned_by_heart() -> None:
    first, last, error = overfit("hrnet", 0.2, 40, lr=0.005)
    assert last < 0.35 * first
    assert error < 0.6, "pixels"
