"""The vectors that describe faces: what they hold, whitening, and their fit to a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nasface.faces.camera import euler_to_matrix, make_pose
from nasface.nets.face_vector import AngleVector, LandmarkVector, MatrixVector, rotation
from nasface.nets.registry import create_network
from nasface.nets.weights import load_network, save_weights
from nasface.testing.networks import settled
from nasface.utils.errors import UserError
from tests.helpers.toy import SIZE, toy_basis, toy_faces


def rigid_faces(count: int = 12):
    """Toy faces whose poses are rotations times a scale, at one depth."""
    rng = np.random.default_rng(3)
    faces = toy_faces(count)
    pose = make_pose(rng.uniform(8, 12, count), rng.uniform(-80, 80, (count, 3)), rng.uniform(10, 20, (count, 3)))
    pose[:, 2, 3] = 4.0
    faces.pose[:] = pose
    return faces


def tensors(faces) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(faces.pose), torch.from_numpy(faces.coefficients)


def whitened(vector, faces) -> torch.Tensor:
    raw, _ = vector.encode(faces)
    return (torch.from_numpy(raw).float() - vector.mean) / vector.std


@pytest.mark.parametrize("kind", [MatrixVector, AngleVector])
def test_decoding_gives_the_faces_back(kind: type) -> None:
    faces, vector = rigid_faces(), kind(3, SIZE)
    vector.learn(faces)
    values = whitened(vector, faces)
    assert values.shape == (12, vector.size)
    moved = vector.std > 1.1e-3 * torch.from_numpy(vector.encode(faces)[1])
    assert torch.allclose(values.std(0, correction=0)[moved], torch.ones(int(moved.sum())), atol=1e-3)
    pose, coefficients = vector.decode(values)
    torch.testing.assert_close(pose, tensors(faces)[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(coefficients, tensors(faces)[1], atol=1e-5, rtol=1e-5)


def test_whitening_is_the_inverse_of_decoding() -> None:
    faces, vector = rigid_faces(), MatrixVector(3, SIZE)
    vector.learn(faces)
    torch.testing.assert_close(vector.whiten(*tensors(faces)), whitened(vector, faces), atol=1e-4, rtol=1e-4)


def test_what_does_not_vary_is_not_divided_by_nothing() -> None:
    vector = MatrixVector(3, SIZE)
    vector.learn(rigid_faces())
    assert vector.std[11] == pytest.approx(SIZE * 1e-3), "all faces have one depth"
    assert (vector.std > 0).all()


def test_rotation_is_the_cameras() -> None:
    angles = np.random.default_rng(0).uniform(-180, 180, (20, 3))
    found = rotation(torch.from_numpy(np.deg2rad(angles)))
    np.testing.assert_allclose(found.numpy(), euler_to_matrix(angles), atol=1e-12)


def test_angles_know_the_landmarks() -> None:
    faces, vector, basis = rigid_faces(), AngleVector(5, SIZE), toy_basis()
    columns = np.arange(68) * 3 % 256
    mean = torch.from_numpy(basis.mean.reshape(3, -1)[:, columns].copy())
    modes = torch.from_numpy(basis.basis.reshape(3, -1, 3)[:, columns].transpose(2, 0, 1).copy())
    vector.set_landmark_model(mean.flatten(), modes.flatten(1))
    vector.learn(faces)
    assert vector.coefficients == 3
    pose, coefficients = tensors(faces)
    shape = torch.einsum("bk,kcn->bcn", coefficients, modes) + mean
    expected = (pose[:, :, :3] @ shape + pose[:, :, 3:]).transpose(1, 2)
    torch.testing.assert_close(vector.landmarks(whitened(vector, faces)), expected, atol=1e-3, rtol=1e-4)


def test_landmarks_are_their_own_vector() -> None:
    faces, vector = rigid_faces(), LandmarkVector(SIZE)
    vector.learn(faces)
    found = vector.landmarks(whitened(vector, faces))
    torch.testing.assert_close(found, torch.from_numpy(faces.landmarks), atol=1e-3, rtol=1e-4)


def test_faces_without_a_model_are_refused() -> None:
    from dataclasses import replace

    faces = replace(rigid_faces(), pose=None, coefficients=None)
    with pytest.raises(UserError, match="toy has no model parameters"):
        MatrixVector(3, SIZE).learn(faces)


def test_fitting_to_the_same_model_keeps_the_last_layer() -> None:
    network = create_network("mobilenet_x05", SIZE, 16, 0.125)
    layer = network.body.fc_param
    network.resize(50)
    assert network.body.fc_param is layer
    network.resize(7)
    assert network.body.fc_param.out_features == network.vector.size == 19


def test_weights_of_any_model_come_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = create_network("mobilenet_x05", SIZE, 16, 0.125)
    network.resize(7)
    network, image = settled(network)
    network.vector.mean.uniform_()
    save_weights(tmp_path / "n.pt", network)
    found = load_network(tmp_path / "n.pt").eval()
    with torch.no_grad():
        assert torch.equal(found(image), network(image)) and found(image).shape == (16, 19)
    assert torch.equal(found.vector.mean, network.vector.mean)


def test_weights_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    network = create_network("mobilenet_x05", SIZE, 16, 0.125)
    save_weights(tmp_path / "n.pt", network)
    record = torch.load(tmp_path / "n.pt", weights_only=True)
    for name in ("vector.mean", "vector.std"):
        record["state"][name] = torch.ones(40)
    torch.save(record, tmp_path / "n.pt")
    with pytest.raises(UserError, match="n.pt does not fit its own description"):
        load_network(tmp_path / "n.pt")
