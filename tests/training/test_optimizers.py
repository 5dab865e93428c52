"""Optimizers and schedules by name, resumed exactly, and trainings that are counted in epochs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from nasface.config import AugmentConfig, OptimizerConfig, RetrainConfig, VideoConfig
from nasface.data.module import BatchSettings, FaceDataModule
from nasface.nets.multipath import MemberSpec
from nasface.nets.network import NetworkSpec
from nasface.nets.registry import BaselineSpec
from nasface.rendering.video import ShortVideos
from nasface.training.optimizers import in_steps, learning_rate_factor, make_optimizer, of_steps, with_optimizer_of
from nasface.utils.errors import UserError
from tests.helpers.toy import toy_faces, toy_model
from tests.training.toy_training import make_task, train

KINDS = {"adamw": "AdamW", "adam": "Adam", "nadam": "NAdam", "rmsprop": "RMSprop", "sgd": "SGD"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_every_kind_is_torchs_own(kind: str, precision: str) -> None:
    torch.manual_seed(0)
    ours = nn.Linear(3, 2)
    theirs = nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    config = OptimizerConfig(kind=kind, lr=0.01, weight_decay=0.1, momentum=0.8)
    made, _ = make_optimizer(ours.parameters(), config, lambda step: 1.0, precision=precision)
    extra = {"momentum": 0.8} if kind == "sgd" else {}
    reference = getattr(torch.optim, KINDS[kind])(theirs.parameters(), lr=0.01, weight_decay=0.1, **extra)
    for step in range(3):
        for network, optimizer in ((ours, made), (theirs, reference)):
            optimizer.zero_grad()
            network(torch.full((4, 3), 1.0 + step)).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_schedules_by_hand() -> None:
    steps = learning_rate_factor(OptimizerConfig(schedule="steps", milestones=[3, 5], factor=0.2), 10)
    assert [steps(step) for step in (0, 2, 3, 4, 5, 9)] == pytest.approx([1, 1, 0.2, 0.2, 0.04, 0.04])
    falling = learning_rate_factor(OptimizerConfig(schedule="exponential", factor=0.95, every=2000), 10)
    assert [falling(step) for step in (0, 1999, 2000, 6000)] == pytest.approx([1, 1, 0.95, 0.95**3])
    with pytest.raises(UserError, match="no optimizer.milestones"):
        learning_rate_factor(OptimizerConfig(schedule="steps"), 10)


@pytest.mark.parametrize("network", [MemberSpec, BaselineSpec])
def test_a_training_without_a_schedule_takes_its_networks(network: type[NetworkSpec]) -> None:
    filled = with_optimizer_of(network, RetrainConfig()).optimizer
    assert (filled.lr, filled.kind, filled.warmup) == (network.learning_rate, network.optimizer, network.warmup)
    given = RetrainConfig(optimizer=OptimizerConfig(lr=0.1, kind="sgd", warmup=0.0))
    assert with_optimizer_of(network, given) == given
    with pytest.raises(UserError, match="optimizer.warmup is empty"):
        learning_rate_factor(RetrainConfig().optimizer, 10)
    with pytest.raises(UserError, match="optimizer.lr is empty"):
        make_optimizer([], RetrainConfig().optimizer, lambda step: 1.0)
    with pytest.raises(UserError, match="optimizer.kind is empty"):
        make_optimizer([], OptimizerConfig(kind=None), lambda step: 1.0)


def test_epochs_are_passes_over_the_faces() -> None:
    config = RetrainConfig(epochs=40, batch_size=32, accumulate=2, optimizer=OptimizerConfig(milestones=[5, 15, 30]))
    found = in_steps(config, faces=6400)
    assert (found.steps, found.epochs, found.optimizer.milestones) == (4000, None, [500, 1500, 3000])
    assert in_steps(found, faces=7) is found
    assert in_steps(RetrainConfig(epochs=0.001, batch_size=8), 8).steps == 1
    assert in_steps(config, faces=6400, processes=4).optimizer.milestones == [125, 375, 750]


def test_a_shorter_training_falls_at_the_same_shares() -> None:
    optimizer = OptimizerConfig(schedule="steps", milestones=[30, 40], every=1000)
    epochs = RetrainConfig(epochs=50, batch_size=32, optimizer=optimizer)
    short = of_steps(epochs, 300, faces=6400)
    assert (short.steps, short.epochs, short.optimizer.milestones) == (300, None, [180, 240])
    plain = of_steps(RetrainConfig(steps=1200, optimizer=optimizer), 300, faces=1)
    assert (plain.steps, plain.optimizer.milestones, plain.optimizer.every) == (300, [7.5, 10], 250)


@pytest.mark.parametrize("kind", ["muon", "nadam", "rmsprop", "sgd"])
def test_a_resumed_training_is_the_plain_one(tmp_path: Path, kind: str) -> None:
    config = OptimizerConfig(kind=kind, lr=1e-3, schedule="steps", milestones=[2], factor=0.5)
    plain = train("network", tmp_path / "plain", task=make_task("network", config, 4), steps=4)
    train("network", tmp_path / "resumed", task=make_task("network", config, 4), steps=2)
    resumed = train("network", tmp_path / "resumed", task=make_task("network", config, 4), steps=4)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0, msg=name)


def test_workers_make_the_frames_that_the_training_would() -> None:
    videos = ShortVideos(toy_model(), VideoConfig(frames=2))
    settings = BatchSettings(4, 3, 0, AugmentConfig(flip=0))
    batches = []
    for workers in (0, 2):
        data = FaceDataModule(toy_faces(7), toy_faces(3, 1), settings, videos, workers=workers)
        made = []
        for batch in data.train_dataloader():
            data.trainer = type("Training", (), {"training": True})()
            made.append(data.on_after_batch_transfer(batch, 0))
            data.trainer = None
        batches.append(made)
    assert len(batches[0]) == len(batches[1]) == 3
    for here, there in zip(*batches, strict=True):
        assert here.keys() == there.keys() and len(here["image"]) == 4
        for name, value in here.items():
            torch.testing.assert_close(there[name], value, rtol=0, atol=0, msg=name)
