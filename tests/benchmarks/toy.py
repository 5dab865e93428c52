"""A toy experiment for tests of the benchmarks: the toy faces of tests/helpers/toy.py behind a real workspace."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch

from nasface.config import DataConfig, Experiment, MultipathConfig, RetrainConfig, SearchConfig, SupernetConfig
from nasface.data.sources import Faces
from nasface.nets.multipath import Supernet
from nasface.pipelines.workspace import Workspace
from nasface.space.space import MultipathSpace
from nasface.training.uv_target import UVTarget
from tests.helpers.toy import MAP, SIZE, toy_basis, toy_faces

SPACE = MultipathSpace(name="test", layers=5, scales=3, connections=(2, 6))
NETWORK = MultipathConfig(input_size=SIZE, map_size=MAP, width=8, head_width=8, head="cells")


def toy_experiment(folder: Path) -> Experiment:
    return Experiment(
        name="toy",
        space="multipath_small",
        runs=str(folder),
        data=DataConfig(cache=str(folder / "cache")),
        network=NETWORK,
        supernet=SupernetConfig(children=3, batch_size=2),
        search=SearchConfig(iterations=60, settings={"temperature": 8.0}, calibration=8, chunk=1),
        retrain=RetrainConfig(steps=2, batch_size=2, evaluate_every=2),
    )


def toy_workspace(folder: Path) -> Workspace:
    faces = Faces(toy_faces(12, 1), toy_faces(24, 2), partial(toy_faces, 6, 3), model=None)
    return Workspace(toy_experiment(folder), SPACE, faces, UVTarget(toy_basis(), SIZE))


def toy_supernet() -> Supernet:
    torch.manual_seed(0)
    supernet = Supernet(SPACE, NETWORK)
    # Members that differ in their scores from the start.
    torch.nn.init.normal_(supernet.head.last.weight, std=0.1)
    return supernet
