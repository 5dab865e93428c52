"""The supernet's routed pass against K separate passes, and derived children against the supernet."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from nasface.config import MultipathConfig
from nasface.nets.layers.blocks import HPM, Resample
from nasface.nets.multipath import MultipathNetwork, Supernet, incoming
from nasface.space.path_samplers import MNUS
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError

SPACE = MultipathSpace(name="test", layers=5, scales=3)
CONFIG = MultipathConfig(input_size=32, map_size=16, width=8, head_width=8, head="cells")


def make_supernet(seed: int = 0) -> Supernet:
    torch.manual_seed(seed)
    supernet = Supernet(SPACE, CONFIG).double()
    for parameter in supernet.parameters():
        # Norm weights of one and biases of zero would hide a mix-up between connections.
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return supernet


def separate_passes(supernet: Supernet, image: torch.Tensor, codes: np.ndarray) -> torch.Tensor:
    """Slow reference: each child on its own, connection by connection, in training mode."""
    outputs = []
    for code in codes:
        features = {(0, 0): supernet.stem(image)}
        for layer, target, sources in incoming(SPACE, code):
            features[layer, target] = supernet.node(
                layer, target, [(source, operation, features[layer - 1, source]) for source, operation in sources]
            )
        outputs.append(supernet.head(features[SPACE.layers, 0]))
    return torch.stack(outputs)


@pytest.mark.parametrize("repeats", [(1,), (2,)])
def test_routed_pass_equals_separate_passes(repeats: tuple[int, ...]) -> None:
    routed = make_supernet()
    separate = copy.deepcopy(routed)
    codes = MNUS(SPACE, 3, seed=5, repeats=repeats).sample(7)
    image = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    target = torch.randn(3, 4, 3, 16, 16, dtype=torch.float64)

    one = routed(image, codes)
    ((one - target) ** 2).mean().backward()
    other = separate_passes(separate, image, codes)
    for child in range(3):
        # K backward passes whose gradients accumulate, as Algorithm 1 writes it.
        (((other[child] - target[child]) ** 2).mean() / 3).backward(retain_graph=True)

    torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    compared = 0
    for (name, a), b in zip(routed.named_parameters(), separate.parameters(), strict=True):
        if b.grad is None or not b.grad.any():
            assert a.grad is None or not a.grad.any(), name
        else:
            torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-10, msg=name)
            compared += 1
    assert compared > 50


def test_weights_of_connections_that_no_child_takes_get_no_gradient() -> None:
    supernet = make_supernet()
    codes = np.zeros((1, SPACE.num_connections), dtype=np.int8)
    chain = SPACE.random_architecture(np.random.default_rng(0))
    codes[0] = chain.codes
    supernet(torch.randn(2, 3, 32, 32, dtype=torch.float64), codes).sum().backward()
    taken = {(gap, source, target): operation for gap, source, target, operation in chain.connections()}
    for gap in range(SPACE.layers):
        sources, targets = SPACE.gap_shape(gap)
        for place in ((gap, source, target) for source in range(sources) for target in range(targets)):
            has_gradient = supernet.connection(*place).hpm.conv1.weight.grad is not None
            assert has_gradient == (taken.get(place) == 2), place


def test_child_gives_the_supernets_outputs() -> None:
    supernet = make_supernet()
    architecture = SPACE.random_architecture(np.random.default_rng(3))
    child = supernet.child(architecture).double()
    child.load_state_dict({name: supernet.state_dict()[name] for name in child.state_dict()})
    image = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    expected = supernet(image, np.array([architecture.codes]))[0]
    torch.testing.assert_close(child.train()(image), expected, rtol=0, atol=1e-10)


def test_child_holds_live_connections_only() -> None:
    architecture = SPACE.random_architecture(np.random.default_rng(4))
    network = MultipathNetwork(architecture, CONFIG)
    assert set(network.connections) == {
        f"{gap}_{source}_{target}" for gap, source, target, _ in architecture.connections()
    }
    blocks = sum(isinstance(module, HPM) for module in network.modules())
    assert blocks == sum(operation == 2 for *_, operation in architecture.connections())


def test_dead_ends_do_not_change_a_child() -> None:
    """A connection to a node from which nothing leaves is pruned; the others keep their outputs."""
    supernet = make_supernet()
    space = SPACE
    rng = np.random.default_rng(0)
    while True:
        canonical = space.random_architecture(rng)
        codes = np.array(canonical.codes)
        first = codes[space.gap_slice(0)]
        dead = [node for node in range(3) if first[node] == 0]
        if dead:
            break
    with_dead_end = codes.copy()
    with_dead_end[space.gap_slice(0)][dead[0]] = 2
    assert Architecture(space, tuple(with_dead_end)).canonical.codes == canonical.codes
    image = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    assert torch.equal(supernet(image, codes[None]), supernet(image, with_dead_end[None]))


@pytest.mark.parametrize(
    "layer",
    [
        HPM(8),
        Resample(8, 12, 1),
        Resample(8, 12, -2),
        Resample(8, 8, 0),
        Resample(8, 12, 2, "pool"),
        Resample(8, 12, -2, "pool"),
        Resample(8, 12, -2, "conv"),
    ],
)
@pytest.mark.parametrize("children", [1, 3])
def test_children_together_equal_children_one_by_one(layer: torch.nn.Module, children: int) -> None:
    torch.manual_seed(0)
    layer = layer.double()
    before = {name: value.clone() for name, value in layer.named_buffers()}
    inputs = [torch.randn(4, 8, 8, 8, dtype=torch.float64) * (1 + number) for number in range(children)]
    outputs = layer.children_forward(inputs)
    assert all(torch.equal(value, before[name]) for name, value in layer.named_buffers())
    for x, output in zip(inputs, outputs, strict=True):
        torch.testing.assert_close(output, layer.train()(x), rtol=0, atol=1e-12)


def test_hpm_block_has_the_counted_parameters() -> None:
    """Facts: HPM(256) has 406,400 parameters of which its pre-activation norms have 2 * (256 + 128 + 64)."""
    assert sum(p.numel() for p in HPM(256).parameters()) == 9 * (256 * 128 + 128 * 64 + 64 * 64) + 2 * (256 + 128 + 64)
    assert sum(p.numel() for p in HPM(256).parameters()) == 406_400


@pytest.mark.parametrize(("levels", "side"), [(-2, 4), (-1, 8), (0, 16), (1, 32), (2, 64)])
@pytest.mark.parametrize("kind", ["cells", "pool", "conv"])
def test_resample_changes_side_and_width(levels: int, side: int, kind: str) -> None:
    assert Resample(8, 12, levels, kind)(torch.ones(2, 8, 16, 16)).shape == (2, 12, side, side)


def test_pooled_cells_tell_no_place_in_a_cell_and_convolved_ones_do() -> None:
    torch.manual_seed(0)
    x = torch.zeros(1, 4, 8, 8)
    x[0, :, 2, 2] = 1
    moved = x.roll(1, -1)  # within the cell of 2 x 2
    pool, conv, cells = (Resample(4, 6, -1, kind).eval() for kind in ("pool", "conv", "cells"))
    torch.testing.assert_close(pool(x), pool(moved))
    assert all((layer(x) - layer(moved)).abs().max() > 1e-3 for layer in (conv, cells))


@pytest.mark.parametrize("kind", ["pool", "conv"])
def test_children_of_other_changes_of_scale_are_those_of_their_supernet(kind: str) -> None:
    config = replace(CONFIG, resample=kind)
    supernet = Supernet(SPACE, config)
    member = SPACE.random_architecture(np.random.default_rng(0))
    image = torch.randn(2, 3, 32, 32)
    child = supernet.child(member)
    torch.testing.assert_close(child(image), supernet(image, np.array([member.codes]))[0], rtol=1e-4, atol=1e-5)
    assert child.description()["network"]["resample"] == kind


@pytest.mark.parametrize(("levels", "reached"), [(-2, [(1, 0)]), (1, [(10, 4), (10, 5), (11, 4), (11, 5)])])
def test_resampled_cells_do_not_overlap(levels: int, reached: list[tuple[int, int]]) -> None:
    """A change in source cell (5, 2) reaches only the target cells that lie over it."""
    torch.manual_seed(0)
    resample, x = Resample(4, 4, levels).eval(), torch.randn(1, 4, 8, 8)
    changed = x.clone()
    changed[0, :, 5, 2] += 1
    moved = (resample(changed) - resample(x)).abs().sum(1)[0] > 1e-6
    assert [tuple(cell) for cell in moved.nonzero().tolist()] == reached


def test_same_scale_connection_has_no_resampling_weights() -> None:
    assert not list(Resample(8, 8, 0).parameters())


@pytest.mark.parametrize(("input_size", "map_size", "stride"), [(32, 32, 2), (48, 24, 4), (64, 64, 4), (64, 128, 8)])
def test_any_resolution(input_size: int, map_size: int, stride: int) -> None:
    space = MultipathSpace(name="test", layers=3, scales=2)
    config = MultipathConfig(
        input_size=input_size, map_size=map_size, stem_stride=stride, width=8, head_width=8, head="cells"
    )
    network = MultipathNetwork(space.random_architecture(np.random.default_rng(0)), config)
    assert network(torch.zeros(2, 3, input_size, input_size)).shape == (2, 3, map_size, map_size)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"widths": [8, 8]}, "network.widths"),
        ({"width": 6}, "network.width must be a positive multiple of 8, not 6"),
        ({"input_size": 40}, "network.input_size"),
        ({"map_size": 20}, "network.map_size"),
        ({"stem_stride": 3}, "network.stem_stride"),
    ],
)
def test_sizes_that_do_not_fit_are_named(settings: dict, named: str) -> None:
    with pytest.raises(UserError, match=named):
        Supernet(SPACE, MultipathConfig(**({"input_size": 32, "map_size": 16, "width": 8} | settings)))
