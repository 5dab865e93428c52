"""A made-up Basel model in the formats of face3d, 3DDFA_V2 and ICT-FaceKit."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
from scipy.io import savemat

from nasface.faces.uv import grid_triangles
from tests.faces.ddfa_files import planted_uv

SIDE = 25
COUNT = SIDE * SIDE


def surface() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (V, 3) of a bulging sheet, their UV (v upwards, as BFM_UV), and 68 mirror-symmetric landmarks."""
    line = np.linspace(0, 1, SIDE)
    u, up = np.meshgrid(line, line[::-1])
    x, y = 2 * u - 1, 2 * up - 1
    mean = np.stack([80e3 * x, 90e3 * y, 60e3 * (1 - x**2) * (1 - 0.3 * y**2)], axis=-1).reshape(-1, 3)
    cells = np.round(planted_uv() * [1, 0.7] * (SIDE - 1)).astype(int)
    cells[27] = [SIDE // 2, 3]
    # A jaw across the sheet at four fifths of its height, for the neck to be cut off below.
    cells[:17] = np.stack([np.round(np.linspace(1, SIDE - 2, 17)), np.full(17, round(0.8 * SIDE))], 1)
    return mean, np.stack([u, up], axis=-1).reshape(-1, 2), cells[:, 1] * SIDE + cells[:, 0]


def modes(identity: int, expression: int) -> np.ndarray:
    """(3 V, K) random unit columns."""
    values = np.random.default_rng(1).normal(size=(3 * COUNT, identity + expression))
    return values / np.linalg.norm(values, axis=0)


def write_bfm(folder: Path, identity: int = 199, expression: int = 29, **changes: object) -> Path:
    """BFM.mat and BFM_UV.mat as face3d has them; returns the former's path."""
    mean, uv, landmarks = surface()
    both = modes(identity, expression)
    inward = grid_triangles(np.ones((SIDE, SIDE), dtype=bool)).T[::-1]  # seen from inside, as the real ones
    content = {
        "shapeMU": (mean - 1.0).reshape(-1, 1),
        "shapePC": both[:, :identity],
        "shapeEV": np.geomspace(8e5, 1e4, identity)[:, None],
        "expMU": np.ones((3 * COUNT, 1)),
        "expPC": both[:, identity:],
        "expEV": np.linspace(2, 0.1, expression)[:, None],
        "tri": inward.astype(np.float64) + 1,
        "kpt_ind": landmarks[None].astype(np.int32) + 1,
    }
    content = {key: value for key, value in (content | changes).items() if value is not None}
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "BFM.mat", {"model": content})
    savemat(folder / "BFM_UV.mat", {"UV": uv})
    return folder / "BFM.mat"


def write_noneck(folder: Path) -> np.ndarray:
    """3DDFA_V2's configs: the sheet without its last two rows. Returns the kept vertices."""
    mean, uv, landmarks = surface()
    kept = np.arange(COUNT - 2 * SIDE)
    rows = (3 * kept[:, None] + [0, 1, 2]).ravel()
    both = modes(199, 29)
    content = {
        "u": mean.reshape(-1, 1)[rows].astype(np.float32),
        "w_shp": both[rows, :199].astype(np.float32),
        "w_exp": both[rows, 199:].astype(np.float32),
        "keypoints": (3 * landmarks[:, None] + [0, 1, 2]).ravel().astype(np.int64),
        "tri": np.zeros((3, 5), dtype=np.int32),
    }
    triangles = grid_triangles(np.ones((SIDE, SIDE), dtype=bool))
    triangles = triangles[(triangles < len(kept)).all(axis=1)].T.astype(np.int32)
    std = np.concatenate([np.ones(12), np.geomspace(5e5, 1e4, 40), np.linspace(1.5, 0.2, 10)])
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in (
        ("bfm_noneck_v3.pkl", content),
        ("tri.pkl", triangles),
        ("param_mean_std_62d_120x120.pkl", {"mean": np.zeros(62), "std": std}),
    ):
        (folder / name).write_bytes(pickle.dumps(value, protocol=2))
    np.save(folder / "indices.npy", kept.astype(np.int32))
    savemat(folder / "BFM_UV.mat", {"UV": uv})
    return kept


def write_ict(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """An ICT-FaceKit folder: quads, three identities, two expressions, and a tooth behind the face. Returns the
    displacements (V, 3, 5) and the landmarks."""
    mean, uv, landmarks = surface()
    mean = mean / 1e4
    shifts = np.random.default_rng(2).normal(0, 0.1, (COUNT, 3, 5)).round(6)
    index = np.arange(COUNT).reshape(SIDE, SIDE)
    quads = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1).reshape(-1, 4)
    # The layout lies in a part of the square, as one island of many.
    island = 0.1 + 0.4 * uv
    tail = [f"f {COUNT + 1}/1 {COUNT + 2}/2 {COUNT + 3}/3"]
    names = ["identity000", "identity001", "identity002", "jawOpen", "eyeBlink_L"]
    folder.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(["generic_neutral_mesh", *names]):
        vertices = mean if k == 0 else mean + shifts[..., k - 1]
        lines = [f"v {x:.9f} {y:.9f} {z:.9f}" for x, y, z in [*vertices, *np.eye(3)]]
        lines += [f"vt {u:.9f} {v:.9f}" for u, v in island]
        lines += ["f " + " ".join(f"{i + 1}/{i + 1}" for i in quad) for quad in quads] + tail
        (folder / f"{name}.obj").write_text("\n".join(lines) + "\n")
    (folder / "vertex_indices.json").write_text(json.dumps({"expressions": names[3:]}))
    return shifts, landmarks
