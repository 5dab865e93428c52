"""MobileNet-V1 as 3DDFA and 3DDFA_V2 train it: a 120-pixel crop in, 62 whitened parameters of the morphable model out.

Howard et al. 2017, "MobileNets", table 1, with the classifier replaced by one linear layer; modules are named as in
3DDFA_V2's models/mobilenet_v1.py, whose published weights load into it. Guo et al., "Towards Fast, Accurate and Stable
3D Dense Face Alignment", ECCV 2020, train it as `nasface.training.targets.meta_joint` does.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from nasface.faces.ddfa_model import COEFFICIENTS, CROP_SIZE, PARAMETERS, Whitening
from nasface.nets.face_vector import MatrixVector, VectorNetwork
from nasface.nets.layers.batch_norm import batch_norm
from nasface.nets.network import PARAMETERS as TARGET
from nasface.nets.network import scaled
from nasface.nets.registry import BaselineSpec, register_network
from nasface.utils.errors import UserError
from nasface.utils.reading import reading
from nasface.utils.tensors import read_tensors

_PAPER = "Guo et al., ECCV 2020"

# Name, output channels at width 1, stride of each depthwise separable block.
_BLOCKS = (
    ("dw2_1", 64, 1),
    ("dw2_2", 128, 2),
    ("dw3_1", 128, 1),
    ("dw3_2", 256, 2),
    ("dw4_1", 256, 1),
    ("dw4_2", 512, 2),
    *((f"dw5_{index}", 512, 1) for index in range(1, 6)),
    ("dw5_6", 1024, 2),
    ("dw6", 1024, 1),
)


class DepthwiseSeparable(nn.Module):
    """Depthwise 3x3, then pointwise 1x1 convolution, each with batch norm and ReLU; stride s: H, W -> H/s, W/s."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)
        self.bn_dw = nn.BatchNorm2d(channels)
        self.conv_sep = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn_sep = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = batch_norm(self.bn_dw, self.conv_dw(x), relu=True)
        return batch_norm(self.bn_sep, self.conv_sep(x), relu=True)


class MobileNetV1(nn.Module):
    """The network.

    Args:
        width: multiplier of all channels, which are multiples of 4; 1.0 has 3,270,526 parameters, 0.5 has 850,398
            (without `landmarks`).
        outputs: length of the parameter vector.
        landmarks: add the branch that 3DDFA_V2 trains beside the parameters (`fc_lm`: 68 x, then 68 y, of value
            (pixel - 60) / 60 in the 120-pixel crop).
    """

    def __init__(self, width: float = 1.0, outputs: int = 62, landmarks: bool = False) -> None:
        super().__init__()
        channels = scaled(32, width)
        self.conv1 = nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        for name, full, stride in _BLOCKS:
            self.add_module(name, DepthwiseSeparable(channels, scaled(full, width), stride))
            channels = scaled(full, width)
        self.fc_param = nn.Linear(channels, outputs)
        self.fc_lm = nn.Linear(channels, 136) if landmarks else None

    def features(self, image: Tensor) -> Tensor:
        """Pooled features (B, 1024 * width) of images (B, 3, H, W), see `normalise_crop`."""
        x = batch_norm(self.bn1, self.conv1(image), relu=True)
        for name, _, _ in _BLOCKS:
            x = self.get_submodule(name)(x)
        return x.mean(dim=(2, 3))

    def forward(self, image: Tensor) -> Tensor:
        """Whitened parameters (B, outputs)."""
        return self.fc_param(self.features(image))


def normalise_crop(images: Tensor) -> Tensor:
    """Crops (B, H, W, 3) uint8 RGB as 3DDFA's networks take them: (B, 3, H, W) float, BGR, (value - 127.5) / 128."""
    return (images.flip(-1).permute(0, 3, 1, 2).float() - 127.5) / 128.0


WIDTHS = {"mobilenet": 1.0, "mobilenet_x05": 0.5}


def published_arch(path: str | Path) -> str | None:
    """Which of `WIDTHS` a file is a checkpoint of, or None."""
    try:
        state = read_tensors(path, "is no checkpoint", "give another")["state_dict"]
        channels = state["module.conv1.weight"].shape[0]
    except (UserError, LookupError, AttributeError, TypeError):
        return None
    return next((name for name, width in WIDTHS.items() if channels == 32 * width), None)


def load_published(path: str | Path, width: float) -> MobileNetV1:
    """A published 3DDFA_V2 checkpoint (`mb1_120x120.pth` or `mb05_120x120.pth`), in evaluation mode.

    Raises:
        UserError: the file is absent, no checkpoint, or of another network or width.
    """
    path = Path(path)
    absent = "the weights are published at https://github.com/cleardusk/3DDFA_V2"
    content = read_tensors(path, "is not a readable checkpoint", "restore it from its source", absent)
    with reading(path, "is not a readable checkpoint", "restore it from its source"):
        weights = {key.removeprefix("module."): value for key, value in content.get("state_dict", content).items()}
    network = MobileNetV1(width, landmarks="fc_lm.weight" in weights)
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError:
        raise UserError(f"{path} does not hold a MobileNet-V1 of width {width}: check file and width") from None
    return network.eval()


class MobileNetParameters(VectorNetwork):
    """MobileNet-V1 as a candidate: images (B, 3, S, S) -> whitened `MatrixVector`s (B, 12 + K).

    Args:
        spec: any input side. Widths are rounded to multiples of 4.
        width: multiplier of the widths beside `spec.scale`.
    """

    paper_objective = "meta_joint"
    paper_landmarks = "regression"

    def __init__(self, spec: BaselineSpec, width: float) -> None:
        super().__init__(spec, MatrixVector(COEFFICIENTS, spec.input_size))
        self.body = MobileNetV1(width * spec.scale, PARAMETERS)
        self.feature_count = self.body.fc_param.in_features
        _start_small(self.body.fc_param)

    def resize_output(self, size: int) -> None:
        if size != self.body.fc_param.out_features:
            old = self.body.fc_param.weight
            self.body.fc_param = nn.Linear(self.feature_count, size, device=old.device)
            _start_small(self.body.fc_param)

    def features(self, image: Tensor) -> Tensor:
        """Pooled features (B, feature_count)."""
        return self.body.features(image)

    def vector_of(self, features: Tensor) -> Tensor:
        """The vector that `forward` makes of features."""
        return self.body.fc_param(features)

    def forward(self, image: Tensor) -> Tensor:
        return self.vector_of(self.features(image))


def _start_small(layer: nn.Linear) -> None:
    """First weights with which training starts about at the mean face."""
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)


def adopt_published(network: MobileNetParameters, published: MobileNetV1, whitening: Whitening) -> None:
    """Give a candidate the weights of a published network; it then finds the same faces.

    3DDFA's networks take BGR, ours RGB: the first convolution's inputs change places. Their pose refers to a crop whose
    first pixel is 1 and whose y grows upwards (`nasface.faces.ddfa_model.split_parameters`): the second row changes
    sign, and the mean moves.

    Args:
        network: of input side 120.
        published: of the same width, see `load_published`.
        whitening: that the published network was trained with.

    Raises:
        UserError: another input side or width.
    """
    if network.spec.input_size != CROP_SIZE:
        raise UserError(f"published weights are for network.input_size {CROP_SIZE}, not {network.spec.input_size}")
    weights = {key: value.clone() for key, value in published.state_dict().items() if not key.startswith("fc_lm.")}
    if network.feature_count != published.fc_param.in_features:
        raise UserError(f"the published network has another width than {network.spec.digest}: take the one of its name")
    mean, std = torch.from_numpy(whitening.mean.copy()), torch.from_numpy(whitening.std)
    weights["conv1.weight"] = weights["conv1.weight"].flip(1)
    for name in ("fc_param.weight", "fc_param.bias"):
        weights[name][4:8] *= -1
    mean[4:8] *= -1
    mean[3] -= 1
    mean[7] += CROP_SIZE
    network.resize(COEFFICIENTS)
    network.body.load_state_dict(weights)
    network.vector.mean.copy_(mean)
    network.vector.std.copy_(std)


@register_network("mobilenet", paper=_PAPER, target=TARGET)
def mobilenet(spec: BaselineSpec) -> MobileNetParameters:
    """MobileNet-V1."""
    return MobileNetParameters(spec, 1.0)


@register_network("mobilenet_x05", paper=_PAPER, target=TARGET)
def mobilenet_x05(spec: BaselineSpec) -> MobileNetParameters:
    """MobileNet-V1 of half the width."""
    return MobileNetParameters(spec, 0.5)
