"""Costs of members from tables, against the built networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nasface.config import MultipathConfig
from nasface.evaluation.costs import CostedEvaluator, MemberCosts, make_constraints, peak_activations
from nasface.nets.cost import count_macs, on_meta
from nasface.nets.multipath import MultipathNetwork
from nasface.search.strategy import Outcome, Proposal
from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError

SPACES = [MultipathSpace("small", 5, 3, (2, 6)), MultipathSpace("wide", 4, 4, (4, 8))]
CONFIGS = [
    MultipathConfig(input_size=64, map_size=32, width=8, head_width=8, head="cells"),
    MultipathConfig(input_size=64, map_size=64, stem_stride=2, width=16, head_width=12, head="cells"),
    MultipathConfig(input_size=64, map_size=32, width=8, head_width=8, resample="pool"),
    MultipathConfig(input_size=64, map_size=32, width=16, head_width=8, resample="conv"),
]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
@pytest.mark.parametrize("config", CONFIGS, ids=["stride4", "stride2", "pool", "conv"])
def test_tables_count_what_the_built_network_has(space: MultipathSpace, config: MultipathConfig) -> None:
    costs, rng = MemberCosts(space, config), np.random.default_rng(0)
    for _ in range(8):
        member = space.random_architecture(rng)
        with on_meta():
            network = MultipathNetwork(member, config)
        assert costs.parameters(member) == sum(parameter.numel() for parameter in network.parameters())
        assert costs.macs(member) == count_macs(MultipathNetwork(member, config), config.input_size)


def test_peak_of_a_network_counted_by_hand() -> None:
    # Image 3 x 4 x 4, then 8 channels, then a ReLU whose input is still there: (48 + 128 + 128) floats.
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU())
    assert peak_activations(network, torch.zeros(1, 3, 4, 4)) == 4 * (48 + 128 + 128)
    # In place there is no second one; what is smaller afterwards does not count.
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(inplace=True), nn.MaxPool2d(4))
    assert peak_activations(network, torch.zeros(1, 3, 4, 4)) <= 4 * (48 + 128) + 8 * (4 + 8)

    class Residual(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + (x + 1) * 2  # x, x + 1 and its double; then x, the double and the sum

    assert peak_activations(Residual(), torch.zeros(1, 2, 2)) == 4 * 3 * 4


def test_memory_is_that_of_a_real_pass() -> None:
    space, config, rng = SPACES[0], CONFIGS[0], np.random.default_rng(1)
    costs = MemberCosts(space, config)
    peaks = []
    for _ in range(4):
        member = space.random_architecture(rng)
        real = peak_activations(MultipathNetwork(member, config).eval(), torch.zeros(1, 3, 64, 64))
        peaks.append(costs.memory(member))
        assert peaks[-1] == real
    assert min(peaks) > 4 * (3 + 2 + 5) * 64**2, "image, coordinates and both together"


def test_an_evaluation_says_what_the_member_costs() -> None:
    space, config = SPACES[0], CONFIGS[0]
    costs, member = MemberCosts(space, config), space.random_architecture(np.random.default_rng(2))
    before = torch.random.get_rng_state()
    for complete in (True, False):
        evaluate = CostedEvaluator(lambda _, c=complete: Outcome(5.0, c, {"a": 1}), costs, ("penalty", "latency"))
        details = evaluate(Proposal(member, 1.0)).details
        assert details["a"] == 1
        assert {name: details["costs"][name] for name in ("macs", "parameters")} == {
            "macs": costs.macs(member),
            "parameters": costs.parameters(member),
        }
        assert ("latency" in details["costs"]) == complete
        assert not complete or details["costs"]["latency"] > 0
    assert torch.equal(before, torch.random.get_rng_state()), "measuring drew random numbers"


def test_limits() -> None:
    costs = MemberCosts(SPACES[0], CONFIGS[0])
    (macs, parameters) = make_constraints(costs, {"parameters": 1e5, "memory": 0.0, "macs": 2e6})
    assert (macs.name, macs.limit, parameters.name) == ("macs", 2e6, "parameters")
    with pytest.raises(UserError, match="no limit on 'latency'"):
        make_constraints(costs, {"latency": 3.0})


def test_a_limit_on_memory_that_no_member_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = MemberCosts(SPACES[0], CONFIGS[0])
    members = [SPACES[0].random_architecture(np.random.default_rng(seed)) for seed in range(3)]
    assert 4 * 3 * CONFIGS[0].input_size**2 < costs.least_memory <= min(map(costs.memory, members))
    with pytest.raises(UserError, match="search.max_memory 400 is too little: the stem alone needs"):
        make_constraints(costs, {"memory": 400.0})
    (limit,) = make_constraints(costs, {"memory": costs.least_memory})
    monkeypatch.setattr("nasface.evaluation.costs.peak_activations", None)
    assert [limit.measure(member) for member in members] == [costs.memory(member) for member in members]
    with pytest.raises(UserError, match="unknown cost 'weight'; known are: macs"):
        costs.measure("weight")
