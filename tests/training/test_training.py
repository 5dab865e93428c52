"""Training: exact resume after a kill, two processes against one, errors that leave checkpoints intact."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger

from nasface.config import AugmentConfig, OptimizerConfig
from nasface.data.augment import normalise
from nasface.data.module import SeededBatches
from nasface.training.face_task import FaceModule
from nasface.training.fit import CHECKPOINT
from nasface.training.targets.uv import uv_loss
from nasface.training.uv_target import UVTarget
from nasface.utils.errors import UserError
from tests.helpers.forked import Forked
from tests.helpers.toy import toy_faces
from tests.training import toy_training
from tests.training.toy_training import BATCH, CPU, EVERY, STEPS, make_data, make_task, train, train_and_pause

KINDS = ("supernet", "network")
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Losses(Logger):
    """Keeps what is logged."""

    name, version = "losses", "0"

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.values += [value for name, value in metrics.items() if name.endswith("loss")]

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass


class Keep(pl.Callback):
    """Keeps the loss of every batch."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        self.losses.append(float(outputs["loss"]))


def run_worker(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, toy_training.__file__, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        start_new_session=True,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def checkpoint_of(folder: Path) -> dict[str, Any]:
    return torch.load(folder / CHECKPOINT, weights_only=True)


def assert_equal(left: Any, right: Any, where: str = "") -> None:
    """Deep equality, bit by bit for tensors."""
    assert type(left) is type(right), where
    if isinstance(left, dict):
        assert left.keys() == right.keys(), where
        for key in left:
            assert_equal(left[key], right[key], f"{where}.{key}")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), where
        for number, (one, other) in enumerate(zip(left, right, strict=True)):
            assert_equal(one, other, f"{where}[{number}]")
    elif isinstance(left, torch.Tensor):
        assert torch.equal(left, right), f"{where}: {(left - right).abs().max()}"
    else:
        assert left == right, where


def assert_same_training(left: Path, right: Path) -> None:
    one, other = checkpoint_of(left), checkpoint_of(right)
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch", "nasface_identity"):
        assert_equal(one[part], other[part], part)


# Resume --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Path, Forked]]]:
    """Processes that train into a folder: a supernet's training that pauses after 3 steps, a network's after 5."""
    folders = {kind: tmp_path_factory.mktemp(f"paused-{kind}") for kind in KINDS}
    steps = {"supernet": 3, "network": 5}
    started = {
        kind: (folder, Forked(train_and_pause, (folder, kind, steps[kind]), folder)) for kind, folder in folders.items()
    }
    yield started
    for _, process in started.values():
        process.close()


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A training in two processes, which other tests do not wait for: most of its time goes to imports."""
    folder = tmp_path_factory.mktemp("ddp")
    process = run_worker(folder, free_port())
    yield folder, process
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # with the second process, which would keep the pipes open
    process.communicate()


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, paused: object, two_processes: object
) -> dict[str, tuple[Path, FaceModule]]:
    """Uninterrupted trainings."""
    result = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        result[kind] = folder, train(kind, folder)
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_training_goes_on_exactly(
    paused: dict[str, tuple[Path, Forked]], whole: dict[str, tuple[Path, FaceModule]], kind: str
) -> None:
    (killed, process), made = paused[kind], {"supernet": 2, "network": 4}[kind]
    limit = time.monotonic() + 120
    while process.output != "paused\n":
        assert process.poll() is None, process.finish().errors
        assert time.monotonic() < limit
        time.sleep(0.01)
    process.kill()
    assert checkpoint_of(killed)["global_step"] == made
    folder, uninterrupted = whole[kind]
    resumed = train(kind, killed)
    assert_equal(resumed.state_dict(), uninterrupted.state_dict())
    assert_same_training(killed, folder)
    assert checkpoint_of(folder)["global_step"] == STEPS
    if kind == "supernet":
        everything = uninterrupted.sampler.seen
        assert [step for step, _ in everything] == list(range(STEPS))
        assert len({codes for _, codes in everything}) > 1
        assert resumed.sampler.seen == everything[made:]


def test_training_moves_every_weight(whole: dict[str, tuple[Path, FaceModule]]) -> None:
    """Else equal weights would show nothing."""
    first = make_task("network")
    for (name, before), (_, after) in zip(
        first.network.named_parameters(), whole["network"][1].network.named_parameters(), strict=True
    ):
        assert not torch.equal(before, after), name


def test_training_goes_on_through_the_stream_of_faces(tmp_path: Path) -> None:
    """Every epoch has batches of its own: those of the sampler's, in its order."""
    seen = []

    class Record(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, _: int) -> None:
            seen.append(batch["coefficients"].clone())

    train("supernet", tmp_path, callbacks=[Record()])
    faces, batches, expected = toy_faces(13), SeededBatches(13, BATCH, EVERY, 7), []
    for epoch in range(STEPS // EVERY):
        batches.set_epoch(epoch)
        expected += [torch.from_numpy(faces.coefficients[batch.indices]) for batch in batches]
    assert_equal(seen, expected)
    assert len({tuple(batch.flatten().tolist()) for batch in seen}) == STEPS


def test_a_training_that_ended_between_checkpoints_is_whole(tmp_path: Path) -> None:
    task = train("supernet", tmp_path, steps=5)
    assert checkpoint_of(tmp_path)["global_step"] == 5
    again = train("supernet", tmp_path, steps=5)
    assert again.sampler.seen == [], "it trained on"
    assert_equal(again.state_dict(), task.state_dict())


def test_accumulation_resumes_exactly(tmp_path: Path) -> None:
    train("network", tmp_path / "whole", accumulate=2)

    class Stop(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
            if trainer.global_step == 3:
                raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        train("network", tmp_path / "cut", accumulate=2, callbacks=[Stop()])
    assert checkpoint_of(tmp_path / "cut")["global_step"] == 2
    train("network", tmp_path / "cut", accumulate=2)
    assert_same_training(tmp_path / "whole", tmp_path / "cut")


def test_the_clock_counts_all_parts_of_a_training(tmp_path: Path) -> None:
    def seconds() -> float:
        callbacks = checkpoint_of(tmp_path)["callbacks"]
        return next(state["seconds"] for name, state in callbacks.items() if name.startswith("TrainingClock"))

    train("network", tmp_path, steps=2)
    first = seconds()
    assert first > 0
    train("network", tmp_path, steps=4)
    assert seconds() > first


# Two processes -------------------------------------------------------------------------------------------------------


def test_two_processes_train_as_one_that_accumulates(
    two_processes: tuple[Path, subprocess.Popen[str]], tmp_path: Path
) -> None:
    one = train("supernet", tmp_path, accumulate=2)
    folder, process = two_processes
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors[-2000:]
    ranks = [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert [rank["world"] for rank in ranks] == [2, 2]
    assert ranks[0]["children"] == ranks[1]["children"]
    assert [step for step, _ in ranks[0]["children"]] == list(range(STEPS))
    # The accumulating process asks twice a step, for the same children.
    assert one.sampler.seen == [entry for entry in ranks[0]["children"] for _ in range(2)]
    first, moved = dict(make_task("supernet").network.named_parameters()), 0.0
    # Parameters only: running statistics are each rank's own, and training does not read them.
    for name, expected in one.network.named_parameters():
        left, right = (rank["parameters"][name] for rank in ranks)
        assert torch.equal(left, right), name
        torch.testing.assert_close(left, expected.detach(), rtol=0, atol=1e-4, msg=name)
        moved = max(moved, float((expected - first[name]).detach().abs().max()))
    assert moved > 20e-4, "the weights hardly moved: the test shows nothing"


# Errors --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_that_is_no_number_names_step_and_learning_rate(tmp_path: Path, kind: str) -> None:
    wild = make_task(kind, OptimizerConfig(lr=1e30, schedule="constant", clip=0.0))
    with pytest.raises(
        UserError, match=r"training loss became (nan|inf) at step \d+: lower the learning rate \(now 1e\+30\)"
    ):
        train(kind, tmp_path, task=wild)


def test_after_a_loss_that_is_no_number_the_checkpoint_is_intact(
    tmp_path: Path, whole: dict[str, tuple[Path, FaceModule]]
) -> None:
    batches = SeededBatches(13, BATCH, EVERY, 7)
    early = np.concatenate([batch.indices for batch in batches])
    late = next(face for face in range(13) if face not in early)
    faces = toy_faces(13)
    coefficients = faces.coefficients.copy()
    coefficients[late] = np.nan
    with pytest.raises(UserError, match="became nan at step [23]"):
        train("supernet", tmp_path, data=make_data(faces=replace(faces, coefficients=coefficients)))
    assert checkpoint_of(tmp_path)["global_step"] == 2
    train("supernet", tmp_path)
    assert_same_training(tmp_path, whole["supernet"][0])


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    train("supernet", tmp_path, steps=2)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(UserError, match="is of 'toy supernet', not of 'another': remove it, or use its own settings"):
        train("supernet", tmp_path, identity="another")
    assert (tmp_path / CHECKPOINT).read_bytes() == before


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "code", "other"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    train("supernet", tmp_path, steps=2)
    path = tmp_path / CHECKPOINT
    content, proof = path.read_bytes(), tmp_path / "proof"
    damaged = {
        "truncated": content[: len(content) // 2],
        "empty": b"",
        "text": b"not a checkpoint\n",
        "code": pickle.dumps(Touch(proof)),
        "other": b"",
    }[damage]
    path.write_bytes(damaged)
    if damage == "other":
        torch.save([1, 2], path)
    with pytest.raises(
        UserError, match=r"last\.ckpt cannot be read .*: remove it to train again from the start"
    ) as error:
        train("supernet", tmp_path)
    assert "\n" not in str(error.value)
    assert not proof.exists()


class Touch:
    """Unpickled freely, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train("supernet", tmp_path, steps=2)
    before = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / f".{CHECKPOINT}.killed").write_bytes(before[:100])  # a kill left this

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match="cannot write .*No space left on device"):
        train("supernet", tmp_path, steps=4)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [CHECKPOINT], "something was left behind"


# What training reaches -----------------------------------------------------------------------------------------------

FEW, BOUND = 8, 0.09  # it reaches 0.06, in units of half the image's side


def overfit(folder: Path) -> tuple[FaceModule, float]:
    """Train on 8 faces without augmentation; returns the loss on them in training mode."""
    steps = 120
    task = make_task("network", OptimizerConfig(lr=1e-2, warmup=0.1), steps)
    off = AugmentConfig(0, 0, 0, 0, 0, 0, 0, 0)
    data = make_data(faces=toy_faces(FEW), augmentation=off, batch_size=FEW, every=steps)
    losses = Keep()
    train("network", folder, task=task, data=data, steps=steps, callbacks=[losses])
    return task, float(np.mean(losses.losses[-5:]))


def test_a_network_over_fits_a_few_faces(tmp_path: Path) -> None:
    task, loss = overfit(tmp_path)
    assert loss < BOUND
    # The bound means something: the best that a network could do without looking at the faces is far above it.
    faces = toy_faces(FEW)
    target = task.uv.target_units(
        {
            "coefficients": torch.from_numpy(faces.coefficients),
            "pose": torch.from_numpy(faces.pose),
            "flipped": torch.zeros(FEW, dtype=torch.bool),
        }
    )
    constant = target.median(0, keepdim=True).values.expand_as(target)
    assert uv_loss(constant, target, task.uv.weight, "distance") > 1.5 * BOUND
    # And the loss is the right one: landmarks, which it never saw, are met too.
    with torch.no_grad():
        found = task.train()(normalise(torch.from_numpy(faces.images))).landmarks[..., :2].numpy()
    error = np.linalg.norm(found - faces.landmarks[..., :2], axis=-1).mean()
    assert error < 1.0


def test_a_wrong_target_misses_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same training with targets of other faces than the images', as a mix-up in a batch would make them."""
    plain, calls = UVTarget.target_units, iter(range(10**6))

    def shuffled(self: UVTarget, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return plain(self, batch).roll(next(calls) % FEW, 0)

    monkeypatch.setattr(UVTarget, "target_units", shuffled)
    _, loss = overfit(tmp_path)
    assert loss > 1.5 * BOUND


def test_bfloat16_trains(tmp_path: Path) -> None:
    losses = {}
    for precision in ("32-true", "bf16-mixed"):
        kept = Keep()
        train("supernet", tmp_path / precision, steps=3, device=replace(CPU, precision=precision), callbacks=[kept])
        losses[precision] = kept.losses
    assert len(losses["bf16-mixed"]) == 3 and np.isfinite(losses["bf16-mixed"]).all()
    assert losses["bf16-mixed"] != losses["32-true"], "autocast was not on"
    np.testing.assert_allclose(losses["bf16-mixed"], losses["32-true"], rtol=0.05)


def test_validation_logs_the_error_of_the_field(tmp_path: Path) -> None:
    seen: dict[str, list[float]] = {}

    class Metrics(Losses):
        def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
            for name, value in metrics.items():
                seen.setdefault(name, []).append(value)

    task = train("network", tmp_path, logger=Metrics())
    names = {f"val/nme{suffix}" for suffix in ("", "_all", "_0-30", "_30-60", "_60-90")}
    assert names <= seen.keys()
    assert all(len(seen[name]) == STEPS // EVERY for name in names)
    # The last validation by hand, face by face.
    faces, bins = toy_faces(9, seed=1), [[], [], []]
    task.eval()
    with torch.no_grad():
        for image, landmarks, box, yaw in zip(faces.images, faces.landmarks, faces.box, faces.yaw, strict=True):
            found = task(normalise(torch.from_numpy(image[None]))).landmarks[0, :, :2].numpy()
            error = np.linalg.norm(found - landmarks[:, :2], axis=1).mean() / np.sqrt(box.prod())
            bins[int(abs(yaw) > 30) + int(abs(yaw) > 60)].append(100 * error)
    means = [np.mean(values) for values in bins]
    for name, expected in zip(("0-30", "30-60", "60-90"), means, strict=True):
        assert seen[f"val/nme_{name}"][-1] == pytest.approx(expected, rel=1e-4)
    assert seen["val/nme"][-1] == pytest.approx(np.mean(means), rel=1e-4)
    assert seen["val/nme_all"][-1] == pytest.approx(np.mean(sum(bins, [])), rel=1e-4)
