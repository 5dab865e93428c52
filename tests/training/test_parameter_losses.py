"""The losses of 3DDFA_V2 against each other and against loops over points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nasface.faces.camera import make_pose
from nasface.training.targets.parameter_losses import (
    Face,
    Points,
    fwpdc_weights,
    landmark_cost,
    matched,
    vanilla_joint,
    vdc,
    weighted_cost,
    wpdc_weights,
)


def random_points(rng: np.random.Generator, count: int, modes: int) -> Points:
    return Points(
        torch.tensor(rng.normal(size=(3, count)), dtype=torch.float64),
        torch.tensor(rng.normal(size=(modes, 3 * count)) * 0.2, dtype=torch.float64),
    )


def random_face(rng: np.random.Generator, batch: int, modes: int) -> Face:
    angles = rng.uniform(-90, 90, (batch, 3))
    pose = make_pose(rng.uniform(5, 40, batch), angles, rng.uniform(-20, 90, (batch, 3)))
    coefficients = torch.tensor(rng.normal(size=(batch, modes)), dtype=torch.float64)
    return Face(torch.from_numpy(pose).double(), coefficients)


def near(face: Face, rng: np.random.Generator) -> Face:
    """A prediction: any matrix, not only a rotation times a scale."""
    return Face(*(part + torch.tensor(rng.normal(size=part.shape)) for part in face))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(3, 40), st.integers(1, 8))
def test_fwpdc_is_wpdc(seed: int, batch: int, count: int, modes: int) -> None:
    rng = np.random.default_rng(seed)
    points, true = random_points(rng, count, modes), random_face(rng, batch, modes)
    predicted = near(true, rng)
    slow = wpdc_weights(points, predicted, true)
    fast = fwpdc_weights(points, points.modes.norm(dim=1), predicted, true)
    assert slow.shape == (batch, 12 + modes)
    torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-4)
    whitened = [torch.tensor(rng.normal(size=slow.shape)) for _ in range(2)]
    torch.testing.assert_close(weighted_cost(fast, *whitened), weighted_cost(slow, *whitened), atol=1e-4, rtol=1e-4)


def test_the_largest_weight_of_each_face_is_1_and_weights_have_no_gradient() -> None:
    rng = np.random.default_rng(0)
    points, true = random_points(rng, 20, 4), random_face(rng, 3, 4)
    predicted = Face(*(part.requires_grad_() for part in near(true, rng)))
    for weights in (
        wpdc_weights(points, predicted, true),
        fwpdc_weights(points, points.modes.norm(dim=1), predicted, true),
    ):
        assert torch.allclose(weights.amax(1), torch.ones(3, dtype=torch.float64))
        assert not weights.requires_grad and (weights >= 0).all()


def test_a_perfect_prediction_costs_nothing() -> None:
    rng = np.random.default_rng(1)
    points, true = random_points(rng, 20, 4), random_face(rng, 2, 4)
    assert vdc(points, true, true).tolist() == [0.0, 0.0]
    for weights in (wpdc_weights(points, true, true), fwpdc_weights(points, points.modes.norm(dim=1), true, true)):
        assert weights.abs().max() == 0.0


def test_vdc_is_the_mean_square_distance_of_the_points() -> None:
    rng = np.random.default_rng(2)
    points, true = random_points(rng, 7, 2), random_face(rng, 2, 2)
    predicted = near(true, rng)
    for face in range(2):
        total = 0.0
        for point in range(7):
            ends = []
            for which in (predicted, true):
                place = [float(points.mean[axis, point]) for axis in range(3)]
                for axis in range(3):
                    for mode in range(2):
                        place[axis] += float(which.coefficients[face, mode] * points.modes[mode, 7 * axis + point])
                pose = which.pose[face].numpy()
                ends.append(
                    [sum(pose[row, axis] * place[axis] for axis in range(3)) + pose[row, 3] for row in range(3)]
                )
            total += sum((a - b) ** 2 for a, b in zip(*ends, strict=True))
        assert float(vdc(points, predicted, true)[face]) == pytest.approx(total / 7)


def test_matching_keeps_the_direction_and_takes_the_size() -> None:
    x = torch.tensor([2.0], requires_grad=True)
    small, large = 3 * x.square().sum(), 50 * x.sum()
    value = matched(small, large)
    assert value.item() == pytest.approx(100)
    value.backward()
    assert x.grad.item() == pytest.approx(6 * 2 * 100 / 12), "the gradient is the loss's own times the ratio"
    assert matched(torch.zeros(()), large).item() == 0.0


def test_vanilla_joint() -> None:
    x = torch.tensor([1.0, 1.0], requires_grad=True)
    fwpdc, distance = 4 * x[0], 10 * x[1]
    for beta in (0.0, 0.3, 1.0):
        x.grad = None
        value = vanilla_joint(fwpdc, distance, beta)
        assert value.item() == pytest.approx(4)
        value.backward(retain_graph=True)
        assert x.grad.tolist() == pytest.approx([4 * beta, 4 * (1 - beta)])


def test_landmark_cost_is_over_136_coordinates() -> None:
    predicted = torch.zeros(2, 68, 2)
    true = predicted.clone()
    true[1, 5] = torch.tensor([3.0, 4.0])
    assert landmark_cost(predicted, true).tolist() == pytest.approx([0.0, 25 / 136])
