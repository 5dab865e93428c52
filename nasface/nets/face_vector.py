"""The vectors that describe a face to the networks which regress one: what is in them, and their whitening.

3DDFA_V2 (Guo et al., ECCV 2020, section 2.1) regresses pose matrix and coefficients (`MatrixVector`); DHM (Sun et al.,
"Deep Evolutionary 3D Diffusion Heat Maps", BMVC 2018) scale, Euler angles, shift and coefficients (`AngleVector`), or
the landmarks themselves (`LandmarkVector`). Networks see whitened vectors: (raw - mean) / std over the training faces.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from nasface.faces.camera import rotation_rows, split_pose
from nasface.faces.landmarks import NUM_LANDMARKS
from nasface.nets.network import Network, NetworkSpec, full_precision
from nasface.utils.errors import UserError

if TYPE_CHECKING:
    from nasface.data.face_set import FaceSet

# A number that hardly varies over the training faces is whitened by at least this part of its natural scale.
_LEAST = 1e-3


class FaceVector(nn.Module):
    """P numbers (`size`) for a face of images of side S (`image_size`), and the mean and deviation that whiten them.

    Attributes:
        has_model: whether it holds a pose and coefficients of a morphable model.
        has_depth: whether it says how far the face is moved along the line of sight.
    """

    mean: Tensor
    std: Tensor

    has_model = True
    has_depth = True

    def __init__(self, size: int, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    @property
    def size(self) -> int:
        """P."""
        return len(self.mean)

    @abstractmethod
    def encode(self, faces: FaceSet) -> tuple[np.ndarray, np.ndarray]:
        """Raw vectors (N, P) of faces, and the natural scale (P,) of each number."""

    def learn(self, faces: FaceSet) -> None:
        """Set mean and deviation to those of the training faces; a UserError where they have no labels of this kind."""
        if self.has_model and (faces.pose is None or faces.coefficients is None):
            raise UserError(f"{faces.name} has no model parameters: train this network on a set that has them")
        raw, scale = self.encode(faces)
        self.mean.copy_(torch.from_numpy(raw.mean(0)))
        self.std.copy_(torch.from_numpy(np.maximum(raw.std(0), _LEAST * scale)))

    def raw(self, whitened: Tensor) -> Tensor:
        """Raw vectors (B, P) of whitened ones; float32 always, since coefficients of the Basel model reach 1e6."""
        return whitened.float() * self.std + self.mean


class ModelVector(FaceVector):
    """A pose, in so many numbers as the class says, then the K coefficients of the morphable model."""

    pose_size: int

    def __init__(self, coefficients: int, image_size: int) -> None:
        super().__init__(self.pose_size + coefficients, image_size)
        self.resize(coefficients)

    @property
    def coefficients(self) -> int:
        """K."""
        return self.size - self.pose_size

    def resize(self, coefficients: int) -> None:
        """Make room for a model of K coefficients."""
        size = self.pose_size + coefficients
        if size != self.size:
            self.mean, self.std = self.mean.new_zeros(size), self.std.new_ones(size)

    def set_landmark_model(self, mean: Tensor, modes: Tensor) -> None:
        """Give it the landmarks' model, where it needs one: mean (204,), modes (K, 204)."""
        self.resize(len(modes))

    @abstractmethod
    def decode(self, whitened: Tensor) -> tuple[Tensor, Tensor]:
        """Pose (B, 3, 4), model to crop pixels, and coefficients (B, K)."""


class MatrixVector(ModelVector):
    """The (3, 4) pose row by row, then the coefficients: 3DDFA's 62 numbers with its 40 + 10."""

    pose_size = 12

    def encode(self, faces: FaceSet) -> tuple[np.ndarray, np.ndarray]:
        pose = np.asarray(faces.pose, np.float64)
        coefficients = np.asarray(faces.coefficients, np.float64)
        linear = np.abs(pose[:, :, :3]).mean()
        scale = np.full((3, 4), linear)
        scale[:, 3] = self.image_size
        return (
            np.concatenate((pose.reshape(-1, 12), coefficients), 1),
            np.concatenate((scale.ravel(), _spread(coefficients))),
        )

    def decode(self, whitened: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.raw(whitened)
        return raw[:, :12].reshape(-1, 3, 4), raw[:, 12:]

    def whiten(self, pose: Tensor, coefficients: Tensor) -> Tensor:
        """Whitened vectors (B, P) of poses (B, 3, 4) and coefficients (B, K): the inverse of `decode`."""
        return (torch.cat((pose.flatten(1), coefficients), 1) - self.mean) / self.std


class AngleVector(ModelVector):
    """Scale, pitch, yaw, roll (radians), x and y of the origin in crop pixels, then the coefficients: 234 numbers with
    the Basel model's 199 + 29.

    It knows where its faces' landmarks are. The origin's depth is no part of it: that of the mean training face is
    taken.
    """

    depth: Tensor
    landmark_mean: Tensor
    landmark_modes: Tensor

    pose_size = 6
    has_depth = False

    def __init__(self, coefficients: int, image_size: int) -> None:
        super().__init__(coefficients, image_size)
        self.register_buffer("depth", torch.zeros(()))
        self.register_buffer("landmark_mean", torch.zeros(3 * NUM_LANDMARKS))
        self.register_buffer("landmark_modes", torch.zeros(coefficients, 3 * NUM_LANDMARKS))

    def resize(self, coefficients: int) -> None:
        super().resize(coefficients)
        modes = getattr(self, "landmark_modes", None)
        if modes is not None and len(modes) != coefficients:
            self.landmark_modes = modes.new_zeros(coefficients, modes.shape[1])

    def set_landmark_model(self, mean: Tensor, modes: Tensor) -> None:
        super().set_landmark_model(mean, modes)
        self.landmark_mean.copy_(mean)
        self.landmark_modes.copy_(modes)

    def encode(self, faces: FaceSet) -> tuple[np.ndarray, np.ndarray]:
        scale, angles, shift = split_pose(np.asarray(faces.pose))
        coefficients = np.asarray(faces.coefficients, np.float64)
        natural = np.array([scale.mean(), 1.0, 1.0, 1.0, self.image_size, self.image_size])
        return (
            np.concatenate((scale[:, None], np.deg2rad(angles), shift[:, :2], coefficients), 1),
            np.concatenate((natural, _spread(coefficients))),
        )

    def learn(self, faces: FaceSet) -> None:
        super().learn(faces)
        self.depth.fill_(float(np.asarray(faces.pose)[:, 2, 3].mean()))

    def decode(self, whitened: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.raw(whitened)
        linear = raw[:, 0, None, None] * rotation(raw[:, 1:4])
        linear = torch.cat((linear[:, :1], -linear[:, 1:2], linear[:, 2:]), 1)
        shift = torch.cat((raw[:, 4:6], self.depth.expand(raw.shape[0], 1)), 1)
        return torch.cat((linear, shift[:, :, None]), 2), raw[:, 6:]

    def landmarks(self, whitened: Tensor) -> Tensor:
        """The landmarks (B, 68, 3) in crop pixels."""
        with full_precision(whitened):
            pose, coefficients = self.decode(whitened)
            shape = (coefficients @ self.landmark_modes + self.landmark_mean).view(-1, 3, NUM_LANDMARKS)
            return (pose[:, :, :3] @ shape + pose[:, :, 3:]).transpose(1, 2)


class LandmarkVector(FaceVector):
    """x, y and z of the 68 landmarks in crop pixels, point by point: 204 numbers, no morphable model."""

    has_model = False

    def __init__(self, image_size: int) -> None:
        super().__init__(3 * NUM_LANDMARKS, image_size)

    def encode(self, faces: FaceSet) -> tuple[np.ndarray, np.ndarray]:
        raw = np.asarray(faces.landmarks, np.float64).reshape(len(faces), -1)
        return raw, np.full(raw.shape[1], float(self.image_size))

    def landmarks(self, whitened: Tensor) -> Tensor:
        """The landmarks (B, 68, 3) in crop pixels."""
        return self.raw(whitened).view(-1, NUM_LANDMARKS, 3)


class VectorNetwork(Network):
    """A network that maps images (B, 3, S, S) to whitened vectors (B, P) of a kind, `vector`.

    How long the vector is depends on the morphable model: `resize` fits the last layer to it, and so does loading
    weights, which may be of any model.

    Attributes:
        paper_objective, paper_landmarks: how its paper trains it, in the words of `ParametersConfig`.
        feature_count: length of `features(image)`, for a branch beside the vector; 0 where it has none.
    """

    vector: Any
    """A `FaceVector`; which methods it has beyond those depends on what it regresses."""

    paper_objective = "vdc"
    paper_landmarks = "none"
    feature_count = 0

    def __init__(self, spec: NetworkSpec, vector: FaceVector) -> None:
        super().__init__(spec)
        self.vector = vector

    @abstractmethod
    def resize_output(self, size: int) -> None:
        """Make the last layer write vectors of P numbers; a fresh layer where it did not, else the same one."""

    def set_corrections(self, count: int) -> None:
        """Let a network that corrects a face again and again do it so often; a UserError of any other network."""
        raise UserError(f"parameters.corrections is of networks such as dhm and rhg, not of {self.spec.name}")

    def resize(self, coefficients: int) -> None:
        """Fit vector and last layer to a morphable model of K coefficients."""
        if isinstance(self.vector, ModelVector):
            self.vector.resize(coefficients)
        self.resize_output(self.vector.size)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        mean = state_dict.get(f"{prefix}vector.mean")
        if isinstance(self.vector, ModelVector) and isinstance(mean, Tensor) and len(mean) > self.vector.pose_size:
            self.resize(len(mean) - self.vector.pose_size)
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def rotation(angles: Tensor) -> Tensor:
    """Rotation matrices (B, 3, 3) of pitch, yaw, roll (B, 3) in radians: `nasface.faces.camera.euler_to_matrix` with a
    gradient."""
    rows = rotation_rows(angles.cos().unbind(1), angles.sin().unbind(1))
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def _spread(coefficients: np.ndarray) -> np.ndarray:
    """The natural scale (K,) of coefficients (N, K): that of the set as a whole."""
    return np.full(coefficients.shape[1], max(float(coefficients.std()), 1e-6))
