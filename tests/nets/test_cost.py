"""The table of multiply-adds against torch's own counter."""

from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor, nn

from nasface.config import MultipathConfig
from nasface.evaluation.costs import MemberCosts
from nasface.nets import cost
from nasface.nets.cost import count_macs, cpu_latency
from nasface.nets.multipath import MultipathNetwork
from nasface.space.space import MultipathSpace
from tests.benchmarks.clock import Clock


@pytest.mark.parametrize(("layers", "scales", "size", "stride"), [(3, 2, 32, 4), (5, 3, 64, 2), (6, 4, 64, 4)])
def test_table_equals_torchs_counter(layers: int, scales: int, size: int, stride: int) -> None:
    space = MultipathSpace(name="test", layers=layers, scales=scales)
    config = MultipathConfig(input_size=size, map_size=size, stem_stride=stride, width=8, head_width=12)
    rng = np.random.default_rng(0)
    for _ in range(3):
        architecture = space.random_architecture(rng)
        assert MemberCosts(space, config).macs(architecture) == count_macs(MultipathNetwork(architecture, config), size)


class Slow(nn.Conv2d):
    """A convolution that takes one second more with every image."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(3, 1, 1)
        self.clock, self.images = clock, 0

    def forward(self, image: Tensor) -> Tensor:
        assert not self.training and image.shape == (1, 3, 32, 32)
        self.images += 1
        self.clock.pass_by(self.images)
        return super().forward(image)


def test_latency_is_the_median_after_five_images(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(cost, "time", clock)
    assert cpu_latency(Slow(clock), 32, repeats=3) == 7000  # of 6, 7 and 8 seconds
