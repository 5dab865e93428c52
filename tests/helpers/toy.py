"""A toy world for tests of networks: random shapes on a UV grid, images with landmarks as bright dots."""

from __future__ import annotations

import numpy as np

from nasface.config import Experiment, OptimizerConfig, RetrainConfig
from nasface.data.face_set import FaceSet
from nasface.faces.morphable import MorphableModel
from nasface.faces.uv import UVBasis, position_map, sample_map
from nasface.training.face_task import TaskContext
from nasface.training.uv_target import UVTarget

SIZE = 32
MAP = 16


def toy_basis(modes: int = 3, seed: int = 0) -> UVBasis:
    """A wavy sheet of MAP x MAP cells with a few smooth modes."""
    rng = np.random.default_rng(seed)
    line = np.linspace(-1, 1, MAP)
    x, y = np.meshgrid(line, line)
    mean = np.stack([x, -y, 0.3 * (1 - x**2 - y**2)]).astype(np.float32)
    waves = [np.sin(rng.uniform(1, 3) * x + rng.uniform(1, 3) * y + rng.uniform(0, 6)) for _ in range(3 * modes)]
    basis = 0.1 * np.stack(waves).reshape(3, modes, MAP, MAP).transpose(0, 2, 3, 1).astype(np.float32)
    uv = (
        np.stack(np.meshgrid(np.linspace(0.1, 0.9, 17), np.linspace(0.2, 0.8, 4)), -1).reshape(-1, 2).astype(np.float32)
    )
    return UVBasis(mean, basis, np.ones((MAP, MAP), np.float32), uv, np.ones((MAP, MAP), bool))


def toy_faces(count: int, seed: int = 0, name: str = "toy") -> FaceSet:
    """Faces over all yaw bins whose images hold their landmarks."""
    rng = np.random.default_rng([seed, 7])
    basis = toy_basis()
    coefficients = rng.normal(size=(count, 3)).astype(np.float32)
    yaw = np.resize([5.0, 45.0, -75.0], count).astype(np.float32) + rng.uniform(-5, 5, count).astype(np.float32)
    pose = np.zeros((count, 3, 4), np.float32)
    scale = rng.uniform(9, 12, count)
    shrink = np.cos(np.radians(yaw))
    pose[:, 0, 0], pose[:, 1, 1], pose[:, 2, 2] = scale * np.maximum(shrink, 0.4), -scale, scale
    pose[:, :2, 3] = (SIZE - 1) / 2 + rng.uniform(-2, 2, (count, 2))
    landmarks = sample_map(position_map(basis, coefficients, pose), basis.landmark_uv).astype(np.float32)
    images = np.full((count, SIZE, SIZE, 3), 40, np.uint8)
    for image, points in zip(images, landmarks, strict=True):
        column, row = np.clip(np.round(points[:, :2]).astype(int), 0, SIZE - 1).T
        image[row, column] = 255
    box = (landmarks[:, :, :2].max(1) - landmarks[:, :, :2].min(1)).astype(np.float32)
    return FaceSet(name, images, landmarks, yaw, box, pose, coefficients)


def toy_model() -> MorphableModel:
    """The sheet as a morphable model: a vertex for each cell, the first mode an identity, the others expressions."""
    basis = toy_basis()
    index = np.arange(MAP * MAP, dtype=np.int32).reshape(MAP, MAP)
    a, b, c, d = (index[y : MAP - 1 + y, x : MAP - 1 + x].ravel() for y in (0, 1) for x in (0, 1))
    uv = np.stack(np.meshgrid(*2 * [np.linspace(0, 1, MAP)]), -1).reshape(-1, 2).astype(np.float32)
    cells = np.round(basis.landmark_uv * (MAP - 1)).astype(int)
    return MorphableModel(
        name="sheet",
        mean=basis.mean.reshape(3, -1).T.copy(),
        basis=basis.basis.reshape(3, MAP * MAP, -1).transpose(1, 0, 2).copy(),
        coefficient_std=np.ones(3, np.float32),
        identity_count=1,
        triangles=np.concatenate([np.stack((a, c, b), -1), np.stack((b, c, d), -1)]),
        uv=uv,
        landmark_uv=basis.landmark_uv,
        landmark_vertices=cells[:, 1] * MAP + cells[:, 0],
    )


def toy_context(
    loss: str = "distance", optimizer: OptimizerConfig | None = None, steps: int = 10, uv: UVTarget | None = None
) -> TaskContext:
    """What a task of the toy world builds on."""
    retrain = RetrainConfig(loss=loss, optimizer=optimizer or OptimizerConfig(lr=2e-3), steps=steps)
    return TaskContext(uv or UVTarget(toy_basis(), SIZE), toy_model(), Experiment(retrain=retrain))
