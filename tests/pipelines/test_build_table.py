"""Building a table: a fixed order, a record that survives a kill, and trainings that are those of `nasface retrain`."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nasface.config import AugmentConfig, Experiment
from nasface.nets.multipath import MemberSpec, MultipathNetwork
from nasface.pipelines import build_table as table_building
from nasface.pipelines.build_table import build_table
from nasface.pipelines.retrain import retrain
from nasface.pipelines.workspace import Workspace, prepare
from nasface.runs.run import Run
from nasface.space.space import MultipathSpace
from nasface.tabular import training as many_networks
from nasface.tabular.build import append_training, build_jobs, read_trainings
from nasface.tabular.training import SharedBatches, errors_of, train_alone
from nasface.utils.errors import UserError
from nasface.utils.lock import hold
from tests.benchmarks.toy import NETWORK, toy_workspace
from tests.helpers.toy_table import toy_table

SPACE = MultipathSpace("small", layers=2, scales=2)
STEPS = 12


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    torch.set_num_threads(1)
    workspace = toy_workspace(tmp_path_factory.mktemp("runs"))
    retraining = replace(
        workspace.experiment.retrain,
        steps=STEPS,
        batch_size=4,
        evaluate_every=STEPS,
        augmentation=AugmentConfig(erase=0.5, noise=2.0),
    )
    experiment = replace(workspace.experiment, retrain=retraining, seed=3)
    return replace(workspace, experiment=replace(experiment, log=replace(experiment.log, wandb="off")), space=SPACE)


def test_training_is_that_of_retrain(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("trained_record", "save_weights"):
        monkeypatch.setattr(f"nasface.pipelines.retrain.{name}", lambda *_: None)
    member = SPACE.member(5)
    slow = retrain(workspace, MemberSpec(member, NETWORK), Run(tmp_path / "run"))
    faces, config = workspace.faces, workspace.experiment.retrain
    batches = SharedBatches(faces.train, workspace.uv, config, seed=3)
    network, seconds = train_alone(lambda: MultipathNetwork(member, NETWORK), batches)
    assert seconds > 0
    for (name, ours), theirs in zip(network.named_parameters(), slow.network.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=2e-4), name
    result = errors_of(network, workspace.uv, faces.test, chunk=4)
    assert result.bins == pytest.approx(slow.row.bins, rel=1e-3, nan_ok=True)
    assert float(result.all) == pytest.approx(slow.row.all, rel=1e-3)


def test_batches_are_the_same_kept_or_not(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = SharedBatches(workspace.faces.train, workspace.uv, workspace.experiment.retrain, seed=1)
    monkeypatch.setattr(many_networks, "KEPT_BYTES", 0)
    made = SharedBatches(workspace.faces.train, workspace.uv, workspace.experiment.retrain, seed=1)
    assert kept._kept is not None and made._kept is None and len(made) == len(list(made)) == STEPS
    for one, other in zip(kept, made, strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


def test_settings_of_the_training_alone(workspace: Workspace) -> None:
    faces, retrain = workspace.faces.train, workspace.experiment.retrain
    with pytest.raises(UserError, match="retrain.accumulate 3 .* give retrain.batch_size 12"):
        SharedBatches(faces, workspace.uv, replace(retrain, accumulate=3), seed=1)
    epochs = SharedBatches(faces, workspace.uv, replace(retrain, epochs=2.0), seed=1)
    assert len(epochs) == len(list(epochs)) == len(faces) // 2
    plain = replace(retrain, steps=20, augmentation=AugmentConfig(0, 0, 0, 0, 0, 0, 0, 0))
    white = np.zeros_like(faces.images)
    white[-2:] = 255
    mixture = ((len(faces) - 2, 0.5), (2, 0.5))  # of two sets; the second, of two white faces, is half of all
    batches = SharedBatches(replace(faces, images=white), workspace.uv, plain, seed=1, mixture=mixture)
    share = np.mean([bool(image.mean() > 0) for images, _ in batches for image in images])
    assert share == pytest.approx(0.5, abs=0.05)


def test_a_loss_that_is_no_number_is_told(workspace: Workspace) -> None:
    config = replace(workspace.experiment.retrain, optimizer=replace(workspace.experiment.retrain.optimizer, lr=1e30))
    batches = SharedBatches(workspace.faces.train, workspace.uv, config, seed=1)
    with pytest.raises(UserError, match="lower retrain.optimizer.lr"):
        train_alone(lambda: MultipathNetwork(SPACE.member(3), NETWORK), batches)


def test_the_order_is_fixed_and_whole() -> None:
    jobs = build_jobs(SPACE, 0, [0, 1])
    size = SPACE.count_members()
    assert len(jobs) == 2 * size == len({job.key for job in jobs})
    assert [job.seed for job in jobs] == [0] * size + [1] * size
    assert [job.key for job in build_jobs(SPACE, 5, [0])] == [job.key for job in jobs[:5]]
    large = MultipathSpace("large", layers=10, scales=4, connections=(4, 8))
    some = build_jobs(large, 20, [0])
    assert len({job.key for job in some}) == 20
    assert [job.key for job in build_jobs(large, 7, [0])] == [job.key for job in some[:7]]
    for space, count, seeds, message in (
        (large, 0, [0], "give --members"),
        (SPACE, size + 1, [0], f"has {size} members"),
        (SPACE, 2, [1, 1], "--seeds"),
        (SPACE, 2, [], "--seeds"),
    ):
        with pytest.raises(UserError, match=message):
            build_jobs(space, count, seeds)


@pytest.fixture
def building(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    monkeypatch.setattr(table_building, "prepare", lambda experiment, _: replace(workspace, experiment=experiment))
    short = replace(workspace.experiment.retrain, steps=2, evaluate_every=2)
    return replace(workspace.experiment, retrain=short)


def test_a_build_whose_faces_are_absent_leaves_no_settings(
    building: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_building, "prepare", prepare)
    data = replace(building.data, test="aflw2000", aflw2000=str(tmp_path / "none"), cache=str(tmp_path / "cache"))
    data = replace(data, train_count=2, val_count=1)
    with pytest.raises(UserError, match="none"):
        build_table(replace(building, data=data), SPACE, tmp_path / "table", 1, [0], 1)
    assert not (tmp_path / "table" / "settings.json").exists()


def test_a_build_goes_on_after_a_kill(building: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build_table(building, SPACE, tmp_path / "whole", 4, [0], 1)
    trained: list[str] = []
    train = table_building.TableBuilder.train

    def dies(self: table_building.TableBuilder, job: table_building.Job) -> object:
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(job.member.digest)
        return train(self, job)

    monkeypatch.setattr(table_building.TableBuilder, "train", dies)
    with pytest.raises(KeyboardInterrupt):
        build_table(building, SPACE, tmp_path / "killed", 4, [0], 1)
    path = tmp_path / "killed" / "trainings.jsonl"
    with path.open("ab") as stream:
        stream.write(b'{"digest": "half a li')
    assert len(read_trainings(path)) == 2

    def counts(self: table_building.TableBuilder, job: table_building.Job) -> object:
        trained.append(job.member.digest)
        return train(self, job)

    monkeypatch.setattr(table_building.TableBuilder, "train", counts)
    killed = build_table(building, SPACE, tmp_path / "killed", 4, [0], 1)
    assert len(trained) == len(set(trained)) == 4 and len(read_trainings(path)) == 4
    assert [replace(one, seconds=0) for one in killed.trainings] == [replace(one, seconds=0) for one in whole.trainings]
    # A member is the same network in a space with other ranges, but not at other sizes.
    narrow = replace(SPACE, connections=(1, 4))
    build_table(building, narrow, tmp_path / "whole", 4, [0], 1)
    # A folder of an earlier version says nothing of how connections resize.
    older = replace(building, network=replace(NETWORK, resample="cells"))
    build_table(older, SPACE, tmp_path / "older", 1, [0], 1)
    settings = tmp_path / "older" / "settings.json"
    record = json.loads(settings.read_text())
    del record["network"]["resample"]
    settings.write_text(json.dumps(record))
    build_table(older, SPACE, tmp_path / "older", 1, [0], 1)
    with pytest.raises(UserError, match="other settings .network differs"):
        build_table(building, SPACE, tmp_path / "older", 1, [0], 1)
    wide = replace(building, network=replace(NETWORK, width=16))
    with pytest.raises(UserError, match="other settings .network differs"):
        build_table(wide, SPACE, tmp_path / "whole", 4, [0], 1)
    with (
        hold(tmp_path / "whole" / ".lock", "build", ""),
        pytest.raises(UserError, match="another build is writing to .*whole.*, or choose another --folder"),
    ):
        build_table(building, SPACE, tmp_path / "whole", 4, [0], 1)


def test_figures_are_those_of_the_member(building: Experiment, tmp_path: Path) -> None:
    table = build_table(building, SPACE, tmp_path / "one", 2, [5], 1)
    one = table.trainings[0]
    member = build_jobs(SPACE, 2, [5])[0].member
    network = MultipathNetwork(member, NETWORK)
    assert (one.digest, one.seed) == (member.digest, 5)
    assert one.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert one.val[3] == pytest.approx(np.nanmean(one.val[:3]), rel=1e-3, nan_ok=True)
    assert table.settings["network"] == asdict(NETWORK) and "torch" in table.settings["environment"]


def test_damaged_records_are_named(tmp_path: Path) -> None:
    path, trainings = tmp_path / "trainings.jsonl", toy_table(count=3).trainings
    for training in trainings:
        append_training(path, training)
    assert tuple(read_trainings(path).values()) == trainings
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], json.dumps({"digest": "x"}), lines[2]]) + "\n")
    with pytest.raises(UserError, match="line 2 is damaged"):
        read_trainings(path)
    assert read_trainings(tmp_path / "none.jsonl") == {}
