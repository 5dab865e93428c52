"""What a recurrent network makes of faces, step by step (Sun et al., BMVC 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from nasface.data.augment import normalise
from nasface.data.face_set import FaceSet
from nasface.evaluation.inference import evaluating
from nasface.evaluation.test_faces import spread_over_yaw
from nasface.nets.baselines.evolution import Evolution


@dataclass(frozen=True)
class EvolutionSteps:
    """The heat maps and landmarks of N faces; lengths in crop pixels.

    Attributes:
        images: (N, S, S, 3) uint8 RGB.
        true: (N, 68, 3).
        maps: (N, S, S, 1 or 3) each, in [0, 1]: of the mean face, and after each step.
        landmarks: (N, 68, 3) after the last step.
    """

    images: np.ndarray
    true: np.ndarray
    maps: list[np.ndarray]
    landmarks: np.ndarray


def evolution_steps(network: Evolution, faces: FaceSet, count: int = 4) -> EvolutionSteps:
    """The steps of a network, which stays in its mode, on `count` faces of its size over the range of yaw."""
    chosen = faces.subset(spread_over_yaw(faces.yaw, count))
    with evaluating(network) as device:
        vectors = network.evolve(normalise(torch.from_numpy(np.array(chosen.images))).to(device))
        maps = [network.heat_maps(vector).permute(0, 2, 3, 1).cpu().numpy() for vector in vectors]
        landmarks = network.vector.landmarks(vectors[-1]).cpu().numpy()
    return EvolutionSteps(chosen.images, chosen.landmarks, maps, landmarks)
