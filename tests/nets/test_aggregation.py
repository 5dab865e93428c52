"""The triangle of scales: which node reads which, and the parameters of its kinds."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from nasface.nets.baselines.aggregation import Aggregation, AggregationNode, LightNode
from nasface.nets.baselines.unet import UNet
from nasface.nets.cost import count_parameters
from tests.nets.fixed import on_meta


class Marked(nn.Module):
    """A block that counts the blocks made."""

    made = 0

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        Marked.made += 1
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def nodes(network: Aggregation) -> dict[tuple[int, int], nn.Module]:
    return {(level, step + 1): node for step, row in enumerate(network.steps) for level, node in enumerate(row)}


@pytest.mark.parametrize(("kind", "order"), [("dla", 4), ("sat", 4), ("sat", 3), ("light", 3)])
def test_shapes_and_every_parameter_is_used(kind: str, order: int) -> None:
    torch.manual_seed(0)
    network = Aggregation(order, 8, Marked, kind)
    x = torch.randn(2, 8, 2 ** (order + 1), 2**order)
    output = network.eval()(x)
    assert output.shape == x.shape
    (output * torch.randn_like(output)).sum().backward()
    assert [name for name, p in network.named_parameters() if not p.grad.abs().sum() > 0] == []


def test_which_node_reads_which() -> None:
    """With n = 3 the nodes of a level are n + 1 - level, the first of which comes from the level above."""
    network = Aggregation(3, 8, Marked, "sat").eval()
    read: dict[tuple[int, int], tuple[int, ...]] = {}
    for place, node in nodes(network).items():
        node.register_forward_hook(
            lambda _module, inputs, _output, place=place: read.__setitem__(
                place, tuple(0 if x is None else x.shape[-1] for x in inputs)
            )
        )
    network(torch.randn(1, 8, 16, 16))
    side = {0: 16, 1: 8, 2: 4, 3: 2}
    assert set(read) == {(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (0, 3)}
    for (level, _), sides in read.items():
        assert sides == (side[level], side[level + 1], side[level - 1] if level else 0)


def test_full_nodes_have_downward_paths_below_the_finest_level() -> None:
    found = {place: node.down is not None for place, node in nodes(Aggregation(4, 8, Marked, "sat")).items()}
    assert len(found) == 10 and sum(found.values()) == 6
    assert all(down == (level > 0) for (level, _), down in found.items())
    plain = nodes(Aggregation(4, 8, Marked, "dla")).values()
    assert all(isinstance(node, AggregationNode) and node.down is None for node in plain)


def test_light_nodes() -> None:
    """Of six nodes, three end a level (with a block) and three double by a transposed convolution; two have a
    depth-wise convolution on their own scale."""
    Marked.made = 0
    found = nodes(Aggregation(3, 8, Marked, "light"))
    assert Marked.made == 2 * 3 + 3, "two blocks a halving, one at each level's end"
    assert all(isinstance(node, LightNode) for node in found.values())
    transposed = {place for place, node in found.items() if isinstance(node.up[0], nn.ConvTranspose2d)}
    depthwise = {place for place, node in found.items() if not isinstance(node.lateral, nn.Identity)}
    assert transposed == {(0, 1), (0, 2), (1, 1)}
    assert depthwise == {(1, 1), (2, 1)}


def test_a_light_node_is_a_mean() -> None:
    node = LightNode(4, lambda _i, _o: nn.Identity(), depthwise=False, last=True)
    same, coarse = torch.randn(1, 4, 4, 4), torch.randn(1, 4, 2, 2)
    doubled = coarse.repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(node(same, coarse, None), (same + doubled) / 2)


def test_unet_is_an_hourglass_with_bare_skips() -> None:
    kinds = Counter(type(module).__name__ for module in on_meta(lambda: UNet(4, 8, Marked)).modules())
    assert kinds["Marked"] == 2 * 4 + 1 and kinds["UNet"] == 4
    network = UNet(2, 8, Marked)
    x = torch.randn(2, 8, 8, 8)
    assert network(x).shape == x.shape
    for parameter in network.up.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(network(x), x)
    assert count_parameters(network.up) == 64 + 16
