from __future__ import annotations

import numpy as np
import pytest
import torch

from nasface.config import MultipathConfig
from nasface.nets.multipath import MultipathNetwork
from nasface.space.catalogue import load_space
from nasface.training.cuda_graph import graphed_output

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")


def test_a_graph_is_the_pass_that_it_was_captured_from() -> None:
    """Outputs, gradients and the statistics of batch norms, on other images than those of the capture."""
    architecture = load_space("multipath_small").random_architecture(np.random.default_rng(0))
    torch.manual_seed(0)
    plain = MultipathNetwork(architecture, MultipathConfig(input_size=32, map_size=16, width=8)).cuda()
    graphed = MultipathNetwork(architecture, MultipathConfig(input_size=32, map_size=16, width=8)).cuda()
    graphed.load_state_dict(plain.state_dict())
    output = graphed_output(graphed, torch.randn(4, 3, 32, 32, device="cuda"))
    for _ in range(2):
        images = torch.randn(4, 3, 32, 32, device="cuda")
        for network, found in ((plain, plain.output(images)), (graphed, output(images))):
            network.zero_grad()
            (found.maps.square().mean() + found.heatmaps.square().mean()).backward()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(graphed.state_dict()[name], value, rtol=1e-3, atol=1e-4)
    for one, other in zip(plain.parameters(), graphed.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-2, atol=1e-4)
