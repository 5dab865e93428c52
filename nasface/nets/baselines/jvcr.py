"""Joint voxel and coordinate regression: hourglasses that write volumes, 3D convolutions that read points from them.

Zhang et al., "Adversarial Learning Semantic Volume for 2D/3D Face Shape Regression in the Wild", TIP 2019, section
III-B; layers as in the released code of its compact predecessor (HongwenZhang/JVCR-3Dlandmark: models/hourglass.py,
models/coordRegressor.py). There the regressor reads the last volume alone; here, as in the paper, all volumes and the
image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasface.faces.correspondences import point_matrix
from nasface.nets.baselines.hourglass import Residual, StackedHourglass
from nasface.nets.network import VOLUMES, Network, full_precision, init_convolutions, scaled
from nasface.nets.registry import BaselineSpec, register_network
from nasface.utils.errors import UserError

STRIDE = 4
_ORDER = 4
_PAPER = "Zhang et al., TIP 2019"
_FULL_DEPTH = 64  # of a volume of 64 x 64: as deep as it is wide
_LAYERS = 4  # 3D convolutions that may halve; a fifth takes what remains
_LARGEST_REST = 8


@dataclass(frozen=True)
class VolumeLayout:
    """What the hourglasses of a network write.

    Attributes:
        depths: slices of each stack's volume, at the paper's 64 x 64 cells.
        semantic: whether volumes have colours (3 channels) or are compact (1).
        points: regressed points, one of `nasface.faces.correspondences.POINT_COUNTS`.
    """

    depths: tuple[int, ...] = (1, 2, 4, 64)
    semantic: bool = True
    points: int = 68

    @property
    def channels(self) -> int:
        """Colours of a voxel."""
        return 3 if self.semantic else 1

    def slices(self, side: int) -> tuple[int, ...]:
        """`depths` for volumes of `side` x `side` cells: the full depth becomes `side`, others the largest divisor of
        `side` that is not greater."""
        return tuple(
            side if depth == _FULL_DEPTH else max(part for part in range(1, depth + 1) if side % part == 0)
            for depth in self.depths
        )


class VoxelConv(nn.Conv2d):
    """The convolution that writes voxels; small first weights, since most voxels are empty."""

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.01)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class VolumeEstimator(StackedHourglass):
    """G: images (B, 3, S, S) -> a volume (B, C, depth, S / 4, S / 4) for each stack.

    Args:
        channels: C.
        depths: slices of each stack's volume.
        width: of the hourglasses, 256 in the paper.
        order: how often each hourglass halves.
    """

    def __init__(self, channels: int, depths: tuple[int, ...], width: int = 256, order: int = _ORDER) -> None:
        waiting = iter(depths)
        super().__init__(len(depths), lambda inputs: VoxelConv(inputs, channels * next(waiting), 1), width, order)
        half = width // 2
        self.channels, self.depths = channels, depths
        # The released code's stem is wide one residual earlier than Newell et al.'s.
        self.stem[-2], self.stem[-1] = Residual(half, width), Residual(width, width)
        init_convolutions(self.stem)

    def forward(self, image: Tensor) -> list[Tensor]:
        outputs = super().forward(image)
        return [output.unflatten(1, (self.channels, depth)) for output, depth in zip(outputs, self.depths, strict=True)]


class CoordinateRegressor(nn.Module):
    """P: five 3D convolutions and a linear layer: (B, inputs, W, W, W) -> (B, points, 3).

    At W = 64 four convolutions halve, as published; where W / 2 would fall under 4, the next ones keep the side.

    Args:
        inputs: channels.
        points: to regress.
        side: W.
        width: channels of the first convolution, 64 in the paper.
    """

    def __init__(self, inputs: int, points: int, side: int, width: int = 64) -> None:
        super().__init__()
        self.inputs, self.width, self.halvings = inputs, width, halvings(side)
        layers: list[nn.Module] = []
        for index in range(_LAYERS):
            outputs = width << index
            layers += [*conv3d(inputs, outputs, index < self.halvings), nn.BatchNorm3d(outputs), nn.LeakyReLU(0.2)]
            inputs = outputs
        self.rest = side >> self.halvings
        self.encoder = nn.Sequential(*layers, nn.Conv3d(inputs, inputs // 2, self.rest))
        self.output = nn.Linear(inputs // 2, 3 * points)
        nn.init.normal_(self.output.weight, std=0.01)
        nn.init.zeros_(self.output.bias)

    def read(self, features: Tensor) -> Tensor:
        """Points (B, points, 3) of the encoder's features (B, 4 width, 1, 1, 1)."""
        with full_precision(features):
            return self.output(features.float().flatten(1)).unflatten(1, (-1, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.encoder(x))


def conv3d(inputs: int, outputs: int, halves: bool) -> list[nn.Module]:
    """A 3D convolution that halves the side (kernel 4) or keeps it (kernel 3)."""
    return [nn.Conv3d(inputs, outputs, 4, 2, 1) if halves else nn.Conv3d(inputs, outputs, 3, 1, 1)]


def halvings(side: int) -> int:
    """How many of the regressor's convolutions halve a volume of `side` cells: as many as leave 4 or more."""
    count = 0
    while count < _LAYERS and side % 2 == 0 and side // 2 >= 4:
        side, count = side // 2, count + 1
    return count


def volumes_and_image(volumes: list[Tensor], image: Tensor) -> Tensor:
    """What the regressor and the discriminator read, (B, M C + 3, W, W, W): the M volumes (B, C, depth, W, W), slices
    of coarse ones repeated, and the image (B, 3, S, S) in every slice."""
    side = volumes[-1].shape[-1]
    full = [volume.repeat_interleave(side // volume.shape[2], 2) for volume in volumes]
    small = F.avg_pool2d(image, image.shape[-1] // side).to(volumes[0].dtype)
    return torch.cat([*full, small[:, :, None].expand(-1, -1, side, -1, -1)], 1)


class JVCR(Network):
    """The network: images (B, 3, S, S) -> volumes and points.

    The points (B, N, 3) are in units of half the image's side about its centre, with depth about the mean of the 68
    landmarks. The network regresses what is added to a mean shape, a buffer.

    Args:
        spec: the input's side S is a multiple of 8; S / 4, halved up to four times, must come to 2 to 8 (S = 32, 64,
            128 or 256). Widths at scale 1: 256 in the hourglasses (a multiple of 8), 64 in the first 3D convolution
            (of 4).
        layout: of the volumes.

    Raises:
        UserError: other sizes.
    """

    mean_shape: Tensor
    completion: Tensor

    channels_last = False  # no such layout of 3D convolutions

    def __init__(self, spec: BaselineSpec, layout: VolumeLayout) -> None:
        spec.require_multiple(2 * STRIDE)
        super().__init__(spec)
        self.layout, self.side = layout, spec.input_size // STRIDE
        if not 2 <= self.side >> halvings(self.side) <= _LARGEST_REST:
            raise UserError(
                f"network.input_size {spec.input_size} does not suit {spec.name}, whose 3D convolutions halve it to a"
                " few cells: take 32, 64, 128 or 256"
            )
        order = min(_ORDER, (self.side & -self.side).bit_length() - 1)
        depths = layout.slices(self.side)
        self.estimator = VolumeEstimator(layout.channels, depths, scaled(256, spec.scale, 8), order)
        self.regressor = CoordinateRegressor(
            len(depths) * layout.channels + 3, layout.points, self.side, scaled(64, spec.scale)
        )
        self.register_buffer("mean_shape", torch.zeros(1, layout.points, 3))
        self.register_buffer("completion", torch.from_numpy(np.linalg.pinv(point_matrix(layout.points))))

    def points(self, volumes: list[Tensor], image: Tensor) -> Tensor:
        """P: points (B, N, 3) of volumes and images."""
        return self.regressor(volumes_and_image(volumes, image)) + self.mean_shape

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        volumes = self.estimator(image)
        return volumes, self.points(volumes, image)

    def landmarks(self, points: Tensor) -> Tensor:
        """All 68 landmarks (B, 68, 3) of the regressed points: their own where there are 68, else what goes with the
        fewer points on the training faces."""
        if points.shape[1] == self.completion.shape[0]:
            return points
        centre = points.mean(1, keepdim=True)
        with full_precision(points):
            return self.completion @ (points - centre) + centre

    def set_shapes(self, landmarks: Tensor) -> None:
        """Learn the mean shape, and how the 68 landmarks follow from the regressed points, from faces (F, 68, 3) in the
        network's units."""
        matrix = torch.from_numpy(point_matrix(self.layout.points))
        points = matrix @ landmarks.cpu()
        self.mean_shape.copy_(points.mean(0))
        centre = points.mean(1, keepdim=True)
        # One matrix for x, y and z: what it learns of the head's form holds in every pose.
        left, right = ((part - centre).transpose(1, 2).flatten(0, 1).double() for part in (points, landmarks.cpu()))
        ridge = 1e-3 * len(left) * torch.eye(left.shape[1], dtype=left.dtype) * left.square().mean()
        self.completion.copy_(torch.linalg.solve(left.T @ left + ridge, left.T @ right).T)


def _register(name: str, layout: VolumeLayout) -> None:
    """Make a row of the paper's tables known."""

    @register_network(name, paper=_PAPER, target=VOLUMES)
    def make(spec: BaselineSpec) -> JVCR:
        return JVCR(spec, layout)


TABLE_V = (
    (64,),
    (1, 64),
    (1, 2, 64),
    (1, 4, 64),
    (1, 2, 4, 64),
    (1, 4, 16, 64),
    (1, 2, 4, 8, 16, 64),
    (1, 2, 4, 8, 16, 32, 64, 64),
)
"""The paper's numbers of stacks and depths of their volumes."""


def _rows() -> dict[str, VolumeLayout]:
    """Tables V and VI: `jvcr`, then `-` the depths where they are not 1-2-4-64, the number of points where it is not
    68, and `compact`; 66 are 3DFAW's, of Tables I and II."""
    rows = {}
    for semantic, end in ((True, ""), (False, "-compact")):
        for depths in TABLE_V:
            own = "" if depths == VolumeLayout.depths else "-" + "-".join(map(str, depths))
            rows[f"jvcr{own}{end}"] = VolumeLayout(depths, semantic)
        for points in (5, 21, 51, 66):
            rows[f"jvcr-{points}points{end}"] = VolumeLayout(semantic=semantic, points=points)
    return rows


LAYOUTS = _rows()
"""The registered networks' layouts by name."""

for _name, _layout in LAYOUTS.items():
    _register(_name, _layout)
