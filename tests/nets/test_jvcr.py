"""JVCR: counts of the released networks, shapes of every registered one, what its parts read and write."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nasface.faces.correspondences import point_matrix
from nasface.nets.baselines.jvcr import (
    JVCR,
    LAYOUTS,
    CoordinateRegressor,
    VolumeEstimator,
    VolumeLayout,
    volumes_and_image,
)
from nasface.nets.baselines.jvcr_discriminator import VolumeDecoder, discriminate
from nasface.nets.cost import count_macs, count_parameters
from nasface.nets.registry import NETWORKS, BaselineSpec, create_network
from nasface.nets.weights import load_network, save_weights
from nasface.utils.errors import UserError
from tests.nets.fixed import on_meta


def small(name: str = "jvcr", input_size: int = 32) -> JVCR:
    torch.manual_seed(0)
    network = create_network(name, input_size, scale=1 / 16)
    assert isinstance(network, JVCR)
    return network


def settled(network: JVCR) -> tuple[JVCR, torch.Tensor]:
    """The network in evaluation mode, with statistics of the images that come with it."""
    image = torch.randn(6, 3, network.spec.input_size, network.spec.input_size)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(image)
    return network.eval(), image


@pytest.mark.parametrize(("depths", "parameters", "macs"), [((64,), 3.60, None), ((1, 2, 4, 64), 13.01, 15.32)])
def test_published_counts_of_the_estimator(depths: tuple[int, ...], parameters: float, macs: float | None) -> None:
    network = on_meta(lambda: VolumeEstimator(1, depths))
    assert round(count_parameters(network) / 1e6, 2) == parameters
    assert macs is None or round(count_macs(network, 256) / 1e9, 2) == macs


def test_published_counts_of_the_regressor() -> None:
    """The released one reads one compact volume and regresses 71 points."""
    network = on_meta(lambda: CoordinateRegressor(1, 71, 64))
    assert round(count_parameters(network) / 1e6, 2) == 19.46
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, 64, 64, 64, device="meta"))
    assert round(counter.get_total_flops() / 2e9, 2) == 3.90
    assert sum(isinstance(module, nn.Conv3d) for module in network.modules()) == 5


def test_counts_of_the_whole() -> None:
    """The released parts, but for the semantic heads (the three earlier stacks' also return), the regressor's 14
    further channels of 4 x 4 x 4 weights, and 68 points for 71."""
    network = on_meta(lambda: create_network("jvcr", 256))
    heads = sum(2 * depth * (256 + 1 + (256 if depth < 64 else 0)) for depth in (1, 2, 4, 64))
    assert count_parameters(network) == 13_010_119 + heads + 19_460_629 + 14 * 64 * 64 - 9 * (256 + 1)
    assert round(count_macs(network, 256) / 1e9, 1) == 21.3


@pytest.mark.parametrize("name", ["jvcr", "jvcr-64-compact", "jvcr-1-2-4-8-16-32-64-64", "jvcr-5points"])
def test_shapes(name: str) -> None:
    layout = LAYOUTS[name]
    size = 64
    network = on_meta(lambda: create_network(name, size, scale=0.1))
    volumes, points = network(torch.zeros(2, 3, size, size, device="meta"))
    side = size // 4
    assert points.shape == (2, layout.points, 3)
    assert [tuple(volume.shape) for volume in volumes] == [
        (2, 3 if layout.semantic else 1, depth, side, side) for depth in layout.slices(side)
    ]


@pytest.mark.parametrize("size", [32, 128, 256, 384])
def test_shapes_at_other_sizes(size: int) -> None:
    network = on_meta(lambda: create_network("jvcr-1-4-16-64", size, scale=0.1))
    volumes, points = network(torch.zeros(1, 3, size, size, device="meta"))
    side = size // 4
    assert points.shape == (1, 68, 3)
    assert [volume.shape[2] for volume in volumes] == [1, 4, min(16, side), side]
    features = network.regressor.encoder(volumes_and_image(volumes, torch.zeros(1, 3, size, size, device="meta")))
    assert features.shape[2:] == (1, 1, 1)


def test_names_are_rows_of_tables() -> None:
    assert len(LAYOUTS) == 24
    assert LAYOUTS["jvcr"] == VolumeLayout((1, 2, 4, 64), True, 68)
    assert LAYOUTS["jvcr-1-4-64-compact"] == VolumeLayout((1, 4, 64), False, 68)
    assert LAYOUTS["jvcr-21points"] == VolumeLayout((1, 2, 4, 64), True, 21)
    assert NETWORKS.get("jvcr-64").make(BaselineSpec("jvcr-64", 32, scale=0.05)).layout == VolumeLayout((64,))


@pytest.mark.parametrize(("size", "message"), [(36, "must be a multiple of 8"), (120, "does not suit jvcr")])
def test_other_sizes_are_refused(size: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        on_meta(lambda: create_network("jvcr", size))


def test_the_regressor_reads_all_volumes_and_the_image() -> None:
    network, image = settled(small())
    volumes = [volume.detach() for volume in network.estimator(image)]
    before = network.points(volumes, image)
    assert not torch.equal(network.points(volumes, image.flip(-1)), before)
    for index in range(4):
        changed = [volume + 1 if number == index else volume for number, volume in enumerate(volumes)]
        assert not torch.equal(network.points(changed, image), before), index


def test_coarse_slices_are_repeated_and_the_image_is_in_every_slice() -> None:
    coarse, fine = torch.arange(2.0).view(1, 1, 2, 1, 1).expand(1, 1, 2, 4, 4), torch.rand(1, 1, 4, 4, 4)
    image = torch.rand(1, 3, 16, 16)
    found = volumes_and_image([coarse, fine], image)
    assert found.shape == (1, 5, 4, 4, 4)
    assert found[0, 0, :, 0, 0].tolist() == [0, 0, 1, 1]
    assert torch.equal(found[:, 1:2], fine)
    for index in range(4):
        torch.testing.assert_close(found[0, 2:, index, 1, 2], image[0, :, 4:8, 8:12].mean((1, 2)))


def test_a_gradient_reaches_every_parameter() -> None:
    network, image = settled(small())
    volumes, points = network(image)
    (points * torch.randn_like(points)).sum().backward()
    idle = [name for name, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert idle == []


def test_training_starts_at_the_mean_shape() -> None:
    network, image = settled(small())
    landmarks = torch.rand(5, 68, 3)
    with torch.no_grad():
        before = network(image)[1]
        network.set_shapes(landmarks)
        after = network(image)[1]
    torch.testing.assert_close(after, before + landmarks.mean(0))
    assert 1e-5 < before.abs().mean() < 0.3


def test_all_landmarks_follow_from_fewer_points() -> None:
    """Faces that are one head in many poses: the points say all."""
    network = small("jvcr-21points")
    head = torch.randn(68, 3)
    faces = torch.stack([head @ torch.linalg.qr(torch.randn(3, 3))[0] + torch.randn(3) for _ in range(40)])
    network.set_shapes(faces)
    found = network.landmarks(torch.from_numpy(point_matrix(21)) @ faces)
    assert (found - faces).norm(dim=-1).mean() < 0.05 * faces.std()
    whole = torch.randn(2, 68, 3)
    assert torch.equal(small().landmarks(whole), whole)


def test_weights_come_back(tmp_path: Path) -> None:
    network, image = settled(small("jvcr-5points-compact"))
    network.set_shapes(torch.randn(9, 68, 3))
    save_weights(tmp_path / "n.pt", network)
    found = load_network(tmp_path / "n.pt").eval()
    assert type(found) is JVCR and found.spec == network.spec and found.layout == network.layout
    with torch.no_grad():
        (volumes, points), (own_volumes, own) = found(image), network(image)
    assert torch.equal(points, own) and torch.equal(found.landmarks(points), network.landmarks(own))
    assert all(torch.equal(one, other) for one, other in zip(volumes, own_volumes, strict=True))


@pytest.mark.parametrize("size", [32, 64])
def test_the_decoder_writes_what_the_network_writes(size: int) -> None:
    network = on_meta(lambda: create_network("jvcr", size, scale=0.1))
    decoder = on_meta(lambda: VolumeDecoder(network))
    image = torch.zeros(2, 3, size, size, device="meta")
    volumes, points = network(image)
    remade, again = discriminate(network.to("meta"), decoder, volumes, image)
    assert [volume.shape for volume in remade] == [volume.shape for volume in volumes]
    assert again.shape == points.shape


def test_the_discriminator_regresses_the_networks_points() -> None:
    network, image = settled(small())
    decoder = VolumeDecoder(network).eval()
    with torch.no_grad():
        volumes, points = network(image)
        assert torch.equal(discriminate(network, decoder, volumes, image)[1], points)


def test_the_graph_can_be_exported(tmp_path: Path) -> None:
    """To ONNX, where its packages are installed."""
    network, image = settled(small("jvcr-64"))
    program = torch.export.export(network, (image[:1],))
    with torch.no_grad():
        expected = network(image[:1])[1]
        torch.testing.assert_close(program.module()(image[:1])[1], expected)
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    torch.onnx.export(program, (image[:1],), tmp_path / "n.onnx", dynamo=True)
    session = runtime.InferenceSession(tmp_path / "n.onnx")
    (*_, points) = session.run(None, {session.get_inputs()[0].name: image[:1].numpy()})
    torch.testing.assert_close(torch.from_numpy(points), expected, rtol=0, atol=1e-4)
