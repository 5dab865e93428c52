"""DHM and RHG: counts by hand, the recurrence step by step, gradients through the drawing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nasface.nets.baselines.evolution import Evolution
from nasface.nets.registry import BaselineSpec, create_network
from nasface.utils.errors import UserError
from tests.helpers.toy import SIZE, toy_context, toy_faces
from tests.nets.fixed import on_meta

NAMES = ("dhm", "dhm_3dcnn", "dhm_2drnn", "dhm_landmarks", "rhg", "rhg_landmarks")


def ready(name: str, scale: float = 0.125) -> Evolution:
    """A network that knows the toy model."""
    from nasface.training.tasks import make_task

    torch.manual_seed(0)
    network = create_network(name, SIZE, 16, scale)
    make_task(network, toy_context()).learn_statistics(toy_faces(12))
    return network


def images(count: int = 4) -> Tensor:
    torch.manual_seed(2)
    return torch.randn(count, 3, SIZE, SIZE)


def test_parameters_of_dhm() -> None:
    """With the full Basel model at the paper's 224 pixels: 234 outputs, 14 x 14 cells."""
    convolutions = (6 * 32 + 32 * 64) * 25 + 32 + 64
    recurrent = 64 * 14**2 * 512 + 512**2
    parameters, macs = BaselineSpec("dhm", 224).cost()
    assert parameters == convolutions + recurrent + 512 * 234
    convolution_macs = 25 * (112**2 * 6 * 32 + 28**2 * 32 * 64)
    drawing = 228 * 204 + 3 * 3 * 68 + (3 + 1) * 224**2 * 68
    step = convolution_macs + 64 * 14**2 * 512 + 512 * 234 + drawing
    assert macs == 4 * step + 3 * 512**2


def test_weights_of_former_versions_see_the_maps_that_they_were_trained_on() -> None:
    network = ready("dhm_landmarks").eval()
    state = {key: value for key, value in network.state_dict().items() if key != "shared"}
    former = ready("dhm_landmarks").eval()
    former.load_state_dict(state)
    start = torch.zeros(1, 204)
    summed, maps = former.heat_maps(start), network.heat_maps(start)
    assert summed.amax() > 1.2 >= 1 >= maps.amax()
    again = ready("dhm_landmarks")
    again.load_state_dict(former.state_dict())
    assert torch.equal(again.heat_maps(start), summed), "saved again, it still knows"


def test_parameters_of_the_ablations() -> None:
    (whole, _), (plain, _), (flat, _) = (BaselineSpec(name, 224).cost() for name in NAMES[:3])
    assert whole - plain == 512**2 - 512, "no recurrent weights, but biases"
    assert whole - flat == 512 * (234 - 204) + 25 * 2 * 32, "204 outputs, two channels less"


def test_stem_of_rhg() -> None:
    network = on_meta(lambda: create_network("rhg", 256))
    x = torch.zeros(1, 6, 256, 256, device="meta")
    assert network.extract.stem[0].stride == (2, 2) and network.extract.stem[0].kernel_size == (7, 7)
    assert network.extract.stem(x).shape == (1, 256, 64, 64)
    assert len(network.extract.stacks) == 3 and network.extract(x).shape == (1, 16 * 8 * 8)
    assert network.vector.size == 234 and create_network("rhg_landmarks", 32, 32, 0.1).vector.size == 204


@pytest.mark.parametrize(
    ("name", "size"),
    [*((name, size) for name in NAMES[:4] for size in (32, 60, 120)), ("rhg", 120), ("rhg_landmarks", 32)],
)
def test_shapes(name: str, size: int) -> None:
    network = on_meta(lambda: create_network(name, size, 64, 0.25))
    expected = 234 if name in ("dhm", "dhm_3dcnn", "rhg") else 204
    assert network(torch.zeros(2, 3, size, size, device="meta")).shape == (2, expected)


def test_rhg_refuses_sides_that_it_cannot_halve() -> None:
    with pytest.raises(UserError, match="network.input_size 36 must be a multiple of 8 for rhg"):
        create_network("rhg", 36)


def test_recurrence_is_equation_4_with_a_share_of_each_step() -> None:
    network, image = ready("dhm").eval(), images()
    w_ih, w_hh, w_ho = (m.weight for m in (network.cell.input, network.cell.hidden, network.correct))
    p, h = torch.zeros(4, network.vector.size), torch.zeros(4, len(w_hh))
    with torch.no_grad():
        for step, found in enumerate(network.evolve(image)):
            torch.testing.assert_close(found, p, atol=1e-5, rtol=1e-4)
            if step < 4:
                x = network.extract(torch.cat((image, network.heat_maps(p)), 1))
                h = torch.tanh(x @ w_ih.T + h @ w_hh.T)
                p = p + h @ w_ho.T / 4
        assert step == 4 and torch.equal(network(image), found)


def test_maps_are_redrawn_from_the_corrected_face() -> None:
    network = ready("dhm").eval()
    with torch.no_grad():
        maps = [network.heat_maps(vector) for vector in network.evolve(images())]
    assert len(maps) == 5 and all(m.shape == (4, 3, SIZE, SIZE) for m in maps)
    assert torch.equal(maps[0][0], maps[0][1]), "each face starts as the mean one"
    assert all((a - b).abs().max() > 1e-4 for a, b in zip(maps, maps[1:], strict=False))


@pytest.mark.parametrize("name", ["dhm", "rhg", "dhm_2drnn", "rhg_landmarks"])
def test_gradients_are_finite_through_four_steps(name: str) -> None:
    network = ready(name).train()
    torch.nn.init.normal_(network.correct.weight, std=0.3)  # faces that move far, some out of the image
    vectors = network.evolve(images())
    for vector in vectors[1:]:
        vector.retain_grad()
    network.vector.landmarks(vectors[-1]).square().mean().backward()
    assert len(vectors) == 5
    for vector in vectors[1:]:
        assert torch.isfinite(vector.grad).all() and vector.grad.abs().sum() > 0
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), parameter_name


def test_gradients_go_through_the_drawing() -> None:
    network = ready("dhm").eval()
    vector = torch.zeros(1, network.vector.size, requires_grad=True)
    maps = network.heat_maps(vector)
    (maps * torch.rand_like(maps)).sum().backward()
    moving = vector.grad[0, [0, 1, 2, 3, 4, 5]]
    assert (moving.abs() > 1e-6).all(), "scale, three angles and shift all change the picture"
