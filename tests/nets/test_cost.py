"""The table of multiply-adds against torch's own counter."""

from __future__ import annotations

import numpy as np
import pytest

from nasface.config import MultipathConfig
from nasface.evaluation.costs import MemberCosts
from nasface.nets.cost import count_macs, cpu_latency
from nasface.nets.multipath import MultipathNetwork
from nasface.space.space import MultipathSpace


@pytest.mark.parametrize(("layers", "scales", "size", "stride"), [(3, 2, 32, 4), (5, 3, 64, 2), (6, 4, 64, 4)])
def test_table_equals_torchs_counter(layers: int, scales: int, size: int, stride: int) -> None:
    space = MultipathSpace(name="test", layers=layers, scales=scales)
    config = MultipathConfig(input_size=size, map_size=size, stem_stride=stride, width=8, head_width=12)
    rng = np.random.default_rng(0)
    for _ in range(3):
        architecture = space.random_architecture(rng)
        assert MemberCosts(space, config).macs(architecture) == count_macs(MultipathNetwork(architecture, config), size)


def test_latency_is_a_positive_time() -> None:
    space = MultipathSpace(name="test", layers=3, scales=2)
    config = MultipathConfig(input_size=32, map_size=32, width=8)
    network = MultipathNetwork(space.random_architecture(np.random.default_rng(0)), config)
    assert cpu_latency(network, 32, repeats=3) > 0
