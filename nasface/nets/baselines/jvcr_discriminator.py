"""The auto-encoder that tells drawn volumes from estimated ones by how well it reconstructs them.

Zhang et al., "Adversarial Learning Semantic Volume for 2D/3D Face Shape Regression in the Wild", TIP 2019, section
III-C. Its encoder is the coordinate regressor's. The paper does not describe the decoder; this one mirrors the encoder.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn

from nasface.nets.baselines.jvcr import JVCR, conv3d, volumes_and_image


class VolumeDecoder(nn.Module):
    """Features (B, 4 width, 1, 1, 1) of a network's coordinate regressor -> volumes (B, C, depth, W, W) as that network
    writes them.

    Args:
        network: whose volumes and features.
        isolated: it has an encoder of its own (the paper's Adversarial-w/o-sharing).
    """

    def __init__(self, network: JVCR, isolated: bool = False) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(network.regressor.encoder) if isolated else None
        regressor, layout = network.regressor, network.layout
        width, inputs = regressor.width, 8 * regressor.width
        self.depths = network.estimator.depths
        self.layers = nn.Sequential(
            nn.ConvTranspose3d(inputs // 2, inputs, regressor.rest), nn.BatchNorm3d(inputs), nn.LeakyReLU(0.2)
        )
        for index in reversed(range(1, 4)):
            outputs = width << (index - 1)
            self.layers.extend(
                [*_doubling(inputs, outputs, index < regressor.halvings), nn.BatchNorm3d(outputs), nn.LeakyReLU(0.2)]
            )
            inputs = outputs
        self.layers.extend(_doubling(inputs, len(self.depths) * layout.channels, regressor.halvings > 0))

    def forward(self, features: Tensor) -> list[Tensor]:
        parts = self.layers(features).chunk(len(self.depths), 1)
        side = parts[0].shape[2]
        return [
            part.unflatten(2, (depth, side // depth)).mean(3) for part, depth in zip(parts, self.depths, strict=True)
        ]


def _doubling(inputs: int, outputs: int, doubles: bool) -> list[nn.Module]:
    """A 3D convolution that doubles the side (kernel 4) or keeps it (kernel 3)."""
    return [nn.ConvTranspose3d(inputs, outputs, 4, 2, 1)] if doubles else conv3d(inputs, outputs, halves=False)


def discriminate(
    network: JVCR, decoder: VolumeDecoder, volumes: list[Tensor], image: Tensor
) -> tuple[list[Tensor], Tensor]:
    """D and P at once, which share the encoder unless D is isolated: the reconstructed volumes, and the points
    (B, N, 3)."""
    seen = volumes_and_image(volumes, image)
    features = network.regressor.encoder(seen)
    judged = features if decoder.encoder is None else decoder.encoder(seen)
    return decoder(judged), network.regressor.read(features) + network.mean_shape
