"""The target, its loss and the schedule: against the numpy reference of position maps and hand-computed numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nasface.config import OptimizerConfig, RetrainConfig
from nasface.faces.landmarks import FLIP_68
from nasface.faces.uv import UVBasis, position_map, reading_matrix, sample_map
from nasface.metrics.nme import nme_68
from nasface.nets.uv_output import UVOutput
from nasface.training.optimizers import learning_rate_factor
from nasface.training.targets.uv import UVTask, landmark_loss, output_loss, uv_loss
from nasface.training.uv_target import UVTarget
from tests.faces.mirror import mirror_landmarks
from tests.helpers.toy import MAP, SIZE, toy_basis, toy_context, toy_faces


@pytest.fixture(scope="module")
def basis() -> UVBasis:
    return toy_basis()


@pytest.fixture(scope="module")
def uv(basis: UVBasis) -> UVTarget:
    return UVTarget(basis, SIZE)


def inputs(count: int, mirrored: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    faces = toy_faces(count, seed=3)
    return torch.from_numpy(faces.coefficients), torch.from_numpy(faces.pose), torch.full((count,), mirrored)


def test_maps_are_those_of_the_numpy_reference(uv: UVTarget, basis: UVBasis) -> None:
    faces = toy_faces(9, seed=3)
    expected = position_map(basis, faces.coefficients, faces.pose)
    assert expected.std() > 1
    np.testing.assert_allclose(uv.maps(*inputs(9)).numpy(), expected, atol=2e-5)


def test_mirrored_maps_are_the_maps_of_the_mirrored_face(basis: UVBasis) -> None:
    """The mirror image of a face is the mirrored shape under the mirrored pose, on a chart that is symmetric in u."""
    mirrored_basis = UVBasis(
        mean=basis.mean[:, :, ::-1] * np.float32([-1, 1, 1]).reshape(3, 1, 1),
        basis=basis.basis[:, :, ::-1] * np.float32([-1, 1, 1]).reshape(3, 1, 1, 1),
        weight=basis.weight,
        landmark_uv=basis.landmark_uv,
        inside=basis.inside,
    )
    coefficients, pose, _ = inputs(5)
    mirror = torch.diag(torch.tensor([-1.0, 1, 1]))
    mirrored_pose = mirror @ pose @ torch.diag(torch.tensor([-1.0, 1, 1, 1]))
    mirrored_pose[:, 0, 3] += SIZE - 1
    expected = UVTarget(mirrored_basis, SIZE).maps(coefficients, mirrored_pose, torch.zeros(5, dtype=torch.bool))
    found = UVTarget(basis, SIZE).maps(coefficients, pose, torch.ones(5, dtype=torch.bool))
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-5)


def test_each_face_is_mirrored_by_its_own_flag(uv: UVTarget) -> None:
    coefficients, pose, _ = inputs(4)
    flags = torch.tensor([True, False, False, True])
    mixed = uv.maps(coefficients, pose, flags)
    plain, mirrored = uv.maps(coefficients, pose, flags & False), uv.maps(coefficients, pose, flags | True)
    for index, flag in enumerate(flags):
        assert torch.equal(mixed[index], (mirrored if flag else plain)[index])
    assert not torch.allclose(plain, mirrored, atol=0.5)


def test_landmarks_of_a_mirrored_map_are_the_mirrored_landmarks() -> None:
    basis = toy_basis()
    half = np.random.default_rng(0).uniform(0.1, 0.45, (68, 2)).astype(np.float32)
    symmetric = half.copy()
    for index, other in enumerate(FLIP_68):
        if other < index:
            symmetric[index] = [1 - half[other, 0], half[other, 1]]
        elif other == index:
            symmetric[index, 0] = 0.5
    basis = UVBasis(basis.mean, basis.basis, basis.weight, symmetric, basis.inside)
    uv = UVTarget(basis, SIZE)
    plain, mirrored = (uv.landmarks(uv.maps(*inputs(4, flag))).numpy() for flag in (False, True))
    np.testing.assert_allclose(mirrored, mirror_landmarks(plain, SIZE), atol=3e-5)


def test_landmarks_are_the_bilinear_read(uv: UVTarget, basis: UVBasis) -> None:
    maps = torch.randn(2, 5, 3, MAP, MAP, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(uv.landmarks(maps).numpy(), sample_map(maps.numpy(), basis.landmark_uv), atol=1e-5)


def test_reading_at_corners_cells_and_beyond() -> None:
    positions = np.array([[0, 0], [1, 1], [1, 0], [2 / 3, 1 / 3], [0.5, 0.5], [-0.2, 1.7]])
    values = np.arange(16, dtype=np.float32)  # row-major 4 x 4: value = 4 row + column
    read = values @ reading_matrix(positions, 4)
    np.testing.assert_allclose(read, [0, 15, 3, 6, 7.5, 12], atol=1e-6)
    np.testing.assert_allclose(reading_matrix(positions, 4).sum(0), 1, atol=1e-6)


def test_units_and_pixels_are_inverse(uv: UVTarget) -> None:
    maps = uv.maps(*inputs(3))
    torch.testing.assert_close(uv.to_pixels(uv.to_units(maps)), maps, rtol=0, atol=1e-5)
    corner = torch.tensor([-0.5, SIZE - 0.5, SIZE / 2]).view(3, 1, 1)
    torch.testing.assert_close(uv.to_units(corner).flatten(), torch.tensor([-1.0, 1.0, 1.0]))


def test_targets_are_float32_under_autocast(basis: UVBasis) -> None:
    """Coefficients like the Basel model's, of 1e6: bfloat16 would move the target by pixels."""
    large = UVBasis(basis.mean, basis.basis * np.float32(1e-6), basis.weight, basis.landmark_uv, basis.inside)
    uv = UVTarget(large, SIZE)
    coefficients, pose, flipped = inputs(4)
    batch = {"coefficients": coefficients * 1e6, "pose": pose, "flipped": flipped}
    plain = uv.target_units(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        product = batch["coefficients"] @ uv.modes
        assert product.dtype == torch.bfloat16, "autocast is not on: the test shows nothing"
        found = uv.target_units(batch)
        landmarks = uv.landmarks(uv.to_pixels(found))
    assert found.dtype == landmarks.dtype == torch.float32
    torch.testing.assert_close(found, plain, rtol=0, atol=0)
    torch.testing.assert_close(landmarks, uv.landmarks(uv.to_pixels(plain)), rtol=0, atol=0)


def test_loss_by_hand() -> None:
    weight = torch.tensor([[16.0, 4.0], [3.0, 0.0]])
    target = torch.zeros(1, 3, 2, 2)
    prediction = torch.zeros(1, 3, 2, 2)
    prediction[0, :, 0, 0] = torch.tensor([3.0, -4.0, 12.0])  # distance 13, mean |.| 19 / 3, mean square 169 / 3
    prediction[0, :, 1, 1] = 100.0  # where the weight is zero
    share = 16 / 23
    for kind, error in (("distance", 13.0), ("l1", 19 / 3), ("l2", 169 / 3)):
        # The floor of the distance, 1e-4 where there is no error, adds 7 / 23 of it.
        assert uv_loss(prediction, target, weight, kind).item() == pytest.approx(share * error, abs=1e-4)


def test_loss_is_the_mean_over_children_and_faces() -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.rand(4, 4, generator=generator)
    target = torch.randn(3, 3, 4, 4, generator=generator)
    prediction = torch.randn(2, 3, 3, 4, 4, generator=generator)
    parts = [uv_loss(prediction[k, b], target[b], weight, "distance") for k in range(2) for b in range(3)]
    torch.testing.assert_close(uv_loss(prediction, target, weight, "distance"), torch.stack(parts).mean())


def test_the_landmarks_loss_is_the_nme(uv: UVTarget) -> None:
    true = uv.maps(*inputs(4))
    generator = torch.Generator().manual_seed(2)
    moved = true + torch.randn(2, *true.shape, generator=generator)  # of two children
    points = uv.landmarks(true).numpy()
    box = np.ptp(points[..., :2], axis=1)
    expected = [nme_68(uv.landmarks(child).numpy(), points, box).mean() for child in moved]
    found = landmark_loss(uv.to_units(moved), uv.to_units(true), uv)
    assert 100 * found.item() == pytest.approx(np.mean(expected), rel=1e-4)


def test_the_landmarks_weigh_as_much_as_the_settings_say(uv: UVTarget) -> None:
    true = uv.to_units(uv.maps(*inputs(3)))
    output = UVOutput((true + 0.1 * torch.linspace(-1, 1, true.numel()).view_as(true))[None], None)
    plain, weighed = (output_loss(None, output, true, uv, RetrainConfig(landmarks=weight)) for weight in (0.0, 3.0))
    assert set(plain) == {"loss"} and set(weighed) == {"loss", "maps", "landmarks"}
    assert weighed["maps"] == plain["loss"] and weighed["landmarks"] == landmark_loss(output.maps, true, uv) > 0
    assert weighed["loss"].item() == pytest.approx((plain["loss"] + 3 * weighed["landmarks"]).item())


def test_gradient_of_the_distance_is_finite_at_zero() -> None:
    prediction = torch.zeros(1, 3, 2, 2, requires_grad=True)
    uv_loss(prediction, torch.zeros(1, 3, 2, 2), torch.ones(2, 2), "distance").backward()
    assert torch.isfinite(prediction.grad).all()


def test_schedule() -> None:
    factor = learning_rate_factor(OptimizerConfig(schedule="cosine", warmup=0.1), 100)
    assert [factor(step) for step in range(10)] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert factor(10) == pytest.approx(1)
    assert factor(55) == pytest.approx(0.5)
    assert factor(40) == pytest.approx(0.5 * (1 + math.cos(math.pi / 3)))
    assert factor(100) == pytest.approx(0, abs=1e-12)
    assert factor(500) == pytest.approx(0, abs=1e-12)
    constant = learning_rate_factor(OptimizerConfig(schedule="constant"), 100)
    assert {constant(step) for step in (0, 1, 50, 1000)} == {1.0}
    assert learning_rate_factor(OptimizerConfig(), 1)(0) == 1.0


def test_prediction_is_what_the_evaluation_reads(uv: UVTarget) -> None:
    maps = uv.maps(*inputs(3))

    class Known(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return uv.to_units(maps)

    task = UVTask(Known(), toy_context("l1", uv=uv))
    faces = toy_faces(3, seed=3)
    prediction = task(torch.zeros(3, 3, SIZE, SIZE))
    np.testing.assert_allclose(prediction.landmarks.numpy(), faces.landmarks, atol=1e-4)
    assert prediction.dense is not None and prediction.dense.shape == (3, 3, MAP, MAP)
