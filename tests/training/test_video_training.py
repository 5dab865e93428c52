"""Training on short videos: whose frames a batch holds, and that a resumed training sees the same ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from nasface.config import ParametersConfig, VideoConfig
from nasface.data.module import BatchSettings, FaceDataModule
from nasface.training.fit import TrainingPlan, fit
from nasface.utils.errors import UserError
from tests.helpers.toy import toy_faces
from tests.training.parameter_training import PLAIN, parameters_task
from tests.training.toy_training import CPU

VIDEOS = ParametersConfig(objective="vdc", landmarks="regression", video=VideoConfig(frames=2))


class Seen(pl.Callback):
    def __init__(self) -> None:
        self.batches: list[dict[str, torch.Tensor]] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        self.batches.append(batch)


def train(
    folder: Path, config: ParametersConfig, steps: int, batch_size: int = 4, workers: int = 0
) -> tuple[Any, list[dict[str, Any]]]:
    faces, seen = toy_faces(13), Seen()
    task = parameters_task(config, steps=4, faces=faces)
    data = FaceDataModule(faces, toy_faces(5, 1), BatchSettings(batch_size, 2, 0, PLAIN), task.videos, workers=workers)
    fit(task, data, TrainingPlan(folder, "toy videos", steps), CPU, [seen])
    return task, seen.batches


@pytest.mark.parametrize("objective", ["vdc", "meta_joint"])
def test_a_batch_holds_the_frames_of_half_as_many_faces(tmp_path: Path, objective: str) -> None:
    _, batches = train(tmp_path, replace(VIDEOS, objective=objective, look_ahead=1), 4)
    assert len(batches) == 4
    for batch in batches:
        first, second = batch["index"].view(2, 2).unbind(1)
        assert torch.equal(first, second) and len(set(first.tolist())) == 2
        assert batch["image"].shape[0] == batch["pose"].shape[0] == batch["landmarks"].shape[0] == 4
        frames = batch["image"].view(2, 2, *batch["image"].shape[1:])
        assert (frames[:, 0] != frames[:, 1]).any() and not torch.equal(batch["pose"][0], batch["pose"][1])


def test_a_resumed_training_sees_the_frames_of_a_plain_one(tmp_path: Path) -> None:
    plain, wanted = train(tmp_path / "plain", VIDEOS, 4)
    _, first = train(tmp_path / "resumed", VIDEOS, 2, workers=2)
    resumed, rest = train(tmp_path / "resumed", VIDEOS, 4, workers=2)
    for batch, other in zip(wanted, first + rest, strict=True):
        assert torch.equal(batch["image"], other["image"]) and torch.equal(batch["pose"], other["pose"])
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)


def test_stills_stay_stills_and_a_batch_is_whole_videos(tmp_path: Path) -> None:
    assert parameters_task(ParametersConfig(objective="vdc")).videos is None
    with pytest.raises(UserError, match="batch_size 5 is no multiple of the 2 frames"):
        train(tmp_path, VIDEOS, 4, batch_size=5)
