"""UV position maps as a training target: from morphable model parameters, and back to landmarks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasface.faces.uv import UVBasis, reading_matrix
from nasface.training.prediction import FacePrediction


class UVTarget(nn.Module):
    """Makes UV position maps from the parameters of a model (its `basis` on the map's grid) and reads landmarks from
    maps; crop pixels of an S x S image (`image_size`) in and out."""

    mean: Tensor
    modes: Tensor
    weight: Tensor
    reading: Tensor

    def __init__(self, basis: UVBasis, image_size: int) -> None:
        super().__init__()
        self.image_size, self.map_size = image_size, basis.mean.shape[-1]
        self.landmark_uv = basis.landmark_uv
        self.register_buffer("mean", torch.from_numpy(basis.mean.reshape(1, 3, -1).copy()), persistent=False)
        modes = basis.basis.shape[-1]
        self.register_buffer("modes", torch.from_numpy(basis.basis.reshape(-1, modes).T.copy()), persistent=False)
        self.register_buffer("weight", torch.from_numpy(basis.weight.copy()), persistent=False)
        self.register_buffer(
            "reading", torch.from_numpy(reading_matrix(basis.landmark_uv, self.map_size)), persistent=False
        )

    def maps(self, coefficients: Tensor, pose: Tensor, flipped: Tensor) -> Tensor:
        """Position maps (B, 3, M, M) of coefficients (B, K) under pose (B, 3, 4), mirrored where flipped (B,)."""
        # Raw coefficients of the Basel model reach 1e6: never in half precision.
        with torch.autocast(pose.device.type, enabled=False):
            shape = (coefficients @ self.modes).unflatten(1, (3, -1)) + self.mean
            maps = (pose[:, :, :3] @ shape + pose[:, :, 3:]).unflatten(2, (self.map_size, self.map_size))
        mirrored = maps.flip(-1)
        mirrored = torch.cat((self.image_size - 1 - mirrored[:, :1], mirrored[:, 1:]), 1)
        return torch.where(flipped[:, None, None, None], mirrored, maps)

    @torch.no_grad()
    def target_maps(self, batch: dict[str, Tensor]) -> Tensor:
        """Position maps (B, 3, M, M) of a training batch, in crop pixels of its augmented images."""
        return self.maps(batch["coefficients"], batch["pose"], batch["flipped"])

    def target_units(self, batch: dict[str, Tensor]) -> Tensor:
        """`target_maps` in the networks' units."""
        return self.to_units(self.target_maps(batch))

    def target_landmarks(self, batch: dict[str, Tensor]) -> Tensor:
        """The 68 landmarks (B, 68, 3) of a training batch, in crop pixels of its augmented images (a batch's own are
        those before augmentation)."""
        return self.landmarks(self.target_maps(batch))

    def landmarks(self, maps: Tensor) -> Tensor:
        """The 68 landmarks (..., 68, 3), read from maps (..., 3, M, M) at their sub-pixel UV positions."""
        with torch.autocast(maps.device.type, enabled=False):
            return (maps.flatten(-2).float() @ self.reading).transpose(-1, -2)

    def read(self, maps: Tensor) -> FacePrediction:
        """The faces of maps (B, 3, M, M) in the networks' units."""
        pixels = self.to_pixels(maps.float())
        return FacePrediction(self.landmarks(pixels), pixels)

    def points_to_pixels(self, points: Tensor) -> Tensor:
        """Points (B, 3, P) of maps in the networks' units as landmarks (B, P, 3)."""
        return self.to_pixels(points.float().unsqueeze(-1)).squeeze(-1).transpose(1, 2)

    def to_units(self, maps: Tensor) -> Tensor:
        """Crop pixels to units of half the image's side about its centre (depth: about zero)."""
        return torch.cat((maps[..., :2, :, :] - (self.image_size - 1) / 2, maps[..., 2:, :, :]), -3) * (
            2 / self.image_size
        )

    def to_pixels(self, maps: Tensor) -> Tensor:
        """The inverse of `to_units`."""
        maps = maps * (self.image_size / 2)
        return torch.cat((maps[..., :2, :, :] + (self.image_size - 1) / 2, maps[..., 2:, :, :]), -3)


class UVReader(nn.Module):
    """A network of UV maps with what reads them: images (B, 3, S, S), normalised, to a `FacePrediction`."""

    def __init__(self, network: nn.Module, uv: UVTarget) -> None:
        super().__init__()
        self.network, self.uv = network, uv

    def forward(self, image: Tensor) -> FacePrediction:
        return self.uv.read(self.network(image))
