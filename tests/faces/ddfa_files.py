"""A made-up face model in the format of 3DDFA's files, for tests where the real ones are absent."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from nasface.faces.landmarks import FLIP_68
from nasface.faces.uv import bilinear_matrix

UPPER, LOWER = [61, 62, 63], [65, 66, 67]


def planted_uv() -> np.ndarray:
    """68 mirror-symmetric places on the chart, at least two cells apart: where the made-up model's landmarks lie."""
    rng = np.random.default_rng(7)
    uv = np.full((68, 2), np.nan)
    for landmark in (62, 66, *(j for j in range(68) if j not in (62, 66))):
        other = FLIP_68[landmark]
        while np.isnan(uv[landmark]).any():
            row = {**dict.fromkeys(UPPER, 0.675), **dict.fromkeys(LOWER, 0.692)}.get(landmark, rng.uniform(0.05, 0.95))
            place = np.array([0.5 if other == landmark else rng.uniform(0.06, 0.44), row])
            mirrored = place * [-1, 1] + [1, 0]
            lips = landmark in UPPER + LOWER
            taken = uv[~np.isnan(uv[:, 0])]
            if lips or not len(taken) or np.abs(taken - place).max(axis=1).min() > 2.2 / 63:
                uv[landmark], uv[other] = place, mirrored
    return uv


def write_assets(folder: Path, own_expressions: bool = False) -> dict[str, np.ndarray]:
    """Write the files of a made-up model; returns its parts (micrometres): grid (64, 64, 3, 51) with rows downwards,
    the 68-point model (68, 3, 51), the planted uv, and the whitening's mean and std."""
    rng = np.random.default_rng(3)
    folder.mkdir(parents=True, exist_ok=True)
    line = np.linspace(-1, 1, 64)
    angle, height = np.meshgrid(line * 1.2, line)
    radius = 80e3 + 25e3 * np.exp(-((angle / 0.2) ** 2) - ((height - 0.1) / 0.2) ** 2) - 10e3 * height**2
    mean = np.stack([radius * np.sin(angle), -90e3 * height, radius * np.cos(angle)], axis=-1)
    waves = rng.uniform(0.5, 3, (50, 3, 2)), rng.uniform(0, 6, (50, 3))
    phase = np.einsum("kcd,hwd->hwck", waves[0], np.stack([angle, height], axis=-1)) + waves[1].T
    std = np.concatenate([np.geomspace(5e5, 1e4, 40), np.linspace(1.5, 0.2, 10)])
    grid = np.concatenate([mean[..., None], 2e3 * np.sin(phase) / std], axis=-1)
    uv = planted_uv()
    points = (bilinear_matrix(uv, 64) @ grid.reshape(64 * 64, -1)).reshape(68, 3, 51)
    if not own_expressions:
        points[..., 41:] = rng.normal(0, 1500, (68, 3, 10))

    columns = grid.swapaxes(0, 1).reshape(64 * 64 * 3, 51).astype(np.float32)
    expressions = columns[:, 41:] if own_expressions else columns[:, 1:11]
    paf = {"mu_filter": columns[:, :1], "w_filter": columns[:, 1:41], "w_exp_filter": expressions}
    _dump(folder / "Model_PAF.pkl", paf)
    np.savetxt(folder / "u_base.txt", points[..., 0].ravel())
    np.savetxt(folder / "w_shp_base.txt", points[..., 1:41].reshape(204, 40))
    np.savetxt(folder / "w_exp_base.txt", points[..., 41:].reshape(204, 10))
    pose_std = np.tile([2e-4, 2e-4, 2e-4, 20.0], 3)
    whitening = {
        "mean": np.concatenate([np.tile([1e-4, 0, 0, 60.0], 3), std / 10]).astype(np.float32),
        "std": np.concatenate([pose_std, std]).astype(np.float32),
    }
    _dump(folder / "param_mean_std_62d_120x120.pkl", whitening)
    return {"grid": grid, "points": points, "uv": uv, **whitening}


def _dump(path: Path, content: object) -> None:
    with path.open("wb") as stream:
        pickle.dump(content, stream, protocol=2)
