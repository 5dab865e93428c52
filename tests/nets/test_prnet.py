"""PRNet: published counts, its odd kernels, the end that is ours and the published one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nasface.nets.baselines.prnet import PRNet, Shortcut
from nasface.nets.cost import count_macs, count_parameters
from nasface.nets.registry import BaselineSpec
from nasface.utils.errors import UserError
from tests.nets.fixed import check_export, check_gradients, on_meta
from tests.nets.overfit import overfit


def small(input_size: int = 32, map_size: int = 32) -> PRNet:
    torch.manual_seed(0)
    return PRNet(BaselineSpec("prnet", input_size, map_size, 0.25))


def macs_by_outputs(network: nn.Module, size: int) -> int:
    """Multiply-adds if every output of a convolution, transposed or not, had a term for each cell of the kernel."""
    found = []

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        found.append(output.shape[-2] * output.shape[-1] * module.weight.numel())

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(count)
    network(torch.zeros(1, 3, size, size, device="meta"))
    return sum(found)


def test_published_counts() -> None:
    network = on_meta(lambda: PRNet(BaselineSpec("prnet", 256, 256), published=True))
    assert count_parameters(network) == 13_353_618
    assert round(count_macs(network, 256) / 1e6) == 4_129
    assert int(macs_by_outputs(network, 256) / 1e6) == 6_142
    ours = on_meta(lambda: PRNet(BaselineSpec("prnet", 256, 256)))
    assert count_parameters(ours) == 13_353_618 - 2 * 3 + 3, "batch norm gives way to a bias"


@pytest.mark.parametrize(("input_size", "map_size"), [(32, 32), (64, 64), (64, 16), (64, 2), (96, 48)])
def test_shapes(input_size: int, map_size: int) -> None:
    network = on_meta(lambda: PRNet(BaselineSpec("prnet", input_size, map_size, 0.25)))
    assert network(torch.zeros(2, 3, input_size, input_size, device="meta")).shape == (2, 3, map_size, map_size)
    assert count_parameters(network) == count_parameters(on_meta(small)), "a smaller map takes the same parameters"


def test_widths_are_multiples_of_four() -> None:
    for scale in (0.1, 0.3, 0.7, 1.3):
        network = on_meta(lambda scale=scale: PRNet(BaselineSpec("prnet", 32, 32, scale)))
        widths = {m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d)} - {3}
        assert all(width % 2 == 0 for width in widths), "half a block's width is a multiple of 2"
        assert network.encoder[0][1].out_channels % 4 == 0


@pytest.mark.parametrize(("input_size", "map_size"), [(48, 48), (64, 128), (64, 24), (64, 1)])
def test_other_sizes_are_refused(input_size: int, map_size: int) -> None:
    with pytest.raises(UserError, match="network.(input|map)_size (48|128|24|1) must be .*for prnet"):
        PRNet(BaselineSpec("prnet", input_size, map_size))


def test_padding_is_tensorflows() -> None:
    network = small()
    x = torch.randn(1, 3, 5, 5)
    # SAME, stride 1: (4 - 1) cells in all, the odd one behind; the transpose is its gradient.
    pad, conv = network.encoder[0][:2]
    assert torch.allclose(conv(pad(x)), F.conv2d(F.pad(x, (1, 2, 1, 2)), conv.weight))
    transposed = network.decoder[0][:2]
    x = torch.randn(1, transposed[1].in_channels, 5, 5)
    y = transposed(x)
    full = F.conv_transpose2d(x, transposed[1].weight.flip(-1, -2).transpose(0, 1))
    assert torch.allclose(y, full[..., 1:-2, 1:-2], atol=1e-5)
    doubled = network.decoder[1][0]
    assert doubled(torch.randn(1, doubled.in_channels, 5, 5)).shape == (1, doubled.out_channels, 10, 10)


def test_shortcuts_are_convolutions_with_a_stride() -> None:
    torch.manual_seed(0)
    shortcut, x = Shortcut(4, 8, 2), torch.randn(2, 4, 6, 6)
    for layout in (torch.contiguous_format, torch.channels_last):
        image = x.contiguous(memory_format=layout)
        assert torch.allclose(shortcut(image), F.conv2d(image, shortcut.weight, stride=2), atol=1e-6)


def test_the_published_end_stays_in_its_range() -> None:
    torch.manual_seed(0)
    network = PRNet(BaselineSpec("prnet", 32, 32, 0.25), published=True)
    with torch.no_grad():
        network.last[-1].weight.fill_(1e4)
        maps = network(torch.randn(2, 3, 32, 32)).amax((0, 2, 3)), network(torch.randn(2, 3, 32, 32)).amin((0, 2, 3))
    highest, lowest = (values * 16 for values in maps)  # pixels about the centre, 15.5
    assert torch.allclose(highest + 15.5, torch.tensor([35.2, 35.2, 33.1]), atol=1e-3)
    assert torch.allclose(lowest + 15.5, torch.tensor([0.0, 0.0, -2.1]), atol=1e-3)


def test_a_gradient_reaches_every_parameter() -> None:
    check_gradients(small())


def test_export() -> None:
    check_export(small())


def test_eight_faces_are_learned_by_heart() -> None:
    first, last, error = overfit("prnet", 0.25, 80, lr=0.003)
    assert last < 0.35 * first
    assert error < 0.6, "pixels"
