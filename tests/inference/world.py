"""A network of the toy world with its weights file, and an aligner whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from nasface.config import MultipathConfig
from nasface.inference.aligner import FaceAligner
from nasface.inference.detection import Detection
from nasface.inference.trained import trained_record
from nasface.nets.multipath import MultipathNetwork
from nasface.nets.weights import save_weights
from nasface.space.space import MultipathSpace
from tests.helpers.toy import MAP, SIZE, toy_context

SPACE = MultipathSpace(name="toy", layers=3, scales=2)
CONFIG = MultipathConfig(input_size=SIZE, map_size=MAP, stem_stride=4, width=8, head_width=8, head="cells")


def toy_network() -> MultipathNetwork:
    torch.manual_seed(0)
    network = MultipathNetwork(SPACE.random_architecture(np.random.default_rng(0)), CONFIG)
    rng = np.random.default_rng(1)
    network.head.mean_map.copy_(torch.from_numpy(rng.uniform(-0.5, 0.5, network.head.mean_map.shape)))
    return network.eval()


def toy_weights(path: Path, with_record: bool = True) -> MultipathNetwork:
    network = toy_network()
    save_weights(path, network, trained_record(toy_context()) if with_record else None)
    return network


def marked_points() -> np.ndarray:
    """68 points in an image of 200 x 160 pixels."""
    rng = np.random.default_rng(5)
    points = np.concatenate([rng.uniform([60, 50], [120, 110], (68, 2)), rng.normal(size=(68, 1))], 1)
    return points.astype(np.float32)


class KnowingAligner(FaceAligner):
    """Sees the points whose crop it is given: the image's red and green channels hold x and y of each pixel."""

    def __init__(self, box: tuple[float, float, float, float] | None = (60.0, 50.0, 60.0, 60.0)) -> None:
        detector = None if box is None else lambda image: [Detection(box, 0.9)]
        super().__init__(self._see, 64, np.random.default_rng(0).normal(size=(68, 3)), np.ones((4, 4), bool), detector)
        self.seen: list[np.ndarray] = []

    def _see(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.seen.append(crops)
        points = []
        for crop in crops:
            # The pixel in which a marked point lies is the one whose colours are nearest to its coordinates.
            place = crop[..., :2].astype(float)
            distance = np.abs(place[None] - marked_points()[:, None, None, :2]).sum(-1).reshape(68, -1)
            row, column = np.unravel_index(distance.argmin(1), crop.shape[:2])
            points.append(np.stack([column, row, np.zeros(68)], -1))
        found = np.stack(points).astype(np.float32)
        return found, found[:, :16].swapaxes(1, 2).reshape(-1, 3, 4, 4)


def coordinate_image() -> np.ndarray:
    y, x = np.mgrid[:160, :200]
    return np.stack([x, y, np.full_like(x, 255)], -1).astype(np.uint8)
