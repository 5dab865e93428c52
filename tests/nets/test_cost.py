"""The table of multiply-adds against torch's own counter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nasface.config import MultipathConfig
from nasface.evaluation.costs import MemberCosts
from nasface.nets.cost import count_macs, cpu_latency
from nasface.nets.multipath import MultipathNetwork
from nasface.nets.registry import BaselineSpec, create_network
from nasface.space.space import MultipathSpace


@pytest.mark.parametrize(("layers", "scales", "size", "stride"), [(3, 2, 32, 4), (5, 3, 64, 2), (6, 4, 64, 4)])
def test_table_equals_torchs_counter(layers: int, scales: int, size: int, stride: int) -> None:
    space = MultipathSpace(name="test", layers=layers, scales=scales)
    config = MultipathConfig(input_size=size, map_size=size, stem_stride=stride, width=8, head_width=12)
    rng = np.random.default_rng(0)
    for _ in range(3):
        architecture = space.random_architecture(rng)
        assert MemberCosts(space, config).macs(architecture) == count_macs(MultipathNetwork(architecture, config), size)


@pytest.mark.parametrize(
    "name",
    ["prnet", "hrnet", "dhm", "dhm_2drnn", "dhm_3dcnn", "rhg", "jvcr-64", "sdu-stn", "sdu-dual", "mobilenet_x05"],
)
def test_counting_equals_torchs_counter(name: str) -> None:
    torch.manual_seed(0)
    network = create_network(name, 32, 16, 0.05).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 32, 32))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert BaselineSpec(name, 32, 16, 0.05).cost() == (parameters, counter.get_total_flops() // 2)
    assert count_macs(network, 32) == counter.get_total_flops() // 2


def test_latency_is_a_positive_time() -> None:
    space = MultipathSpace(name="test", layers=3, scales=2)
    config = MultipathConfig(input_size=32, map_size=32, width=8)
    network = MultipathNetwork(space.random_architecture(np.random.default_rng(0)), config)
    assert cpu_latency(network, 32, repeats=3) > 0
