from __future__ import annotations

from dataclasses import replace
from threading import Event

import pytest
import torch

from nasface.config import MultipathConfig, RetrainConfig
from nasface.nets.multipath import MultipathNetwork
from nasface.space.space import MultipathSpace
from nasface.tabular.side_by_side import run_in_threads, train_together
from nasface.tabular.training import SharedBatches, train_alone
from nasface.utils.errors import UserError
from tests.benchmarks.toy import NETWORK, toy_workspace

SPACE = MultipathSpace("small", layers=2, scales=2)
SIZES: MultipathConfig = NETWORK


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> SharedBatches:
    workspace = toy_workspace(tmp_path_factory.mktemp("runs"))
    config: RetrainConfig = replace(workspace.experiment.retrain, steps=12, batch_size=4)
    return SharedBatches(workspace.faces.train, workspace.uv, config, seed=3)


def test_an_optimizer_that_no_graph_holds_is_refused(batches: SharedBatches) -> None:
    config = replace(batches.config, optimizer=replace(batches.config.optimizer, kind="sgd"))
    other = SharedBatches(batches.maps.faces, batches.uv, config, seed=3)
    with pytest.raises(UserError, match="sgd cannot train side by side on a GPU: use one of muon, adam, adamw"):
        train_together([], other, torch.device("cuda"))


def test_a_failure_ends_the_others_and_is_told() -> None:
    ended = []

    def waits(stop: Event) -> None:
        ended.append(stop.wait(60))

    def fails(_: Event) -> None:
        raise UserError("the loss is no number")

    with pytest.raises(UserError, match="no number"):
        run_in_threads([waits, fails, waits])
    assert ended == [True, True]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_networks_side_by_side_come_out_as_each_alone(batches: SharedBatches) -> None:
    builds = [lambda rank=rank: MultipathNetwork(SPACE.member(rank), SIZES) for rank in (3, 5, 11)]
    together, _ = train_together(builds, batches, torch.device("cuda"))
    for build, network in zip(builds, together, strict=True):
        torch.manual_seed(batches.seed)
        first = torch.cat([value.flatten() for value in build().parameters()])
        alone, _ = train_alone(build, batches)
        ours, theirs = (
            torch.cat([value.detach().cpu().flatten() for value in one.parameters()]) for one in (network, alone)
        )
        assert (ours - theirs).abs().mean() < 0.05 * (theirs - first).abs().mean()
        for (name, value), other in zip(network.named_buffers(), alone.buffers(), strict=True):
            assert torch.allclose(value.cpu().float(), other.float(), rtol=0.05, atol=0.02), name
        assert not network.training
