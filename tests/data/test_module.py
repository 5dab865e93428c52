"""Batches: a function of (seed, step) alone, every face once a pass, ranks interleaved."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nasface.config import AugmentConfig
from nasface.data.module import Batch, BatchSettings, FaceDataModule, SeededBatches
from nasface.utils.errors import UserError
from tests.helpers.toy import SIZE, toy_faces


def flat(batches: SeededBatches) -> list[Batch]:
    return list(batches)


def epochs(sampler: SeededBatches, count: int) -> list[Batch]:
    result = []
    for epoch in range(count):
        sampler.set_epoch(epoch)
        result += flat(sampler)
    return result


def same(left: list[Batch], right: list[Batch]) -> bool:
    return len(left) == len(right) and all(
        np.array_equal(a.indices, b.indices) and a.seed == b.seed for a, b in zip(left, right, strict=True)
    )


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(1, 40),
    batch_size=st.integers(1, 50),
    steps=st.integers(1, 7),
    seed=st.integers(0, 2**31),
    epoch=st.integers(0, 5),
)
def test_an_epoch_is_a_function_of_seed_and_epoch(
    count: int, batch_size: int, steps: int, seed: int, epoch: int
) -> None:
    walked = epochs(SeededBatches(count, batch_size, steps, seed), epoch + 1)[epoch * steps :]
    jumped = SeededBatches(count, batch_size, steps, seed)
    jumped.set_epoch(epoch)
    assert same(walked, flat(jumped))
    assert same(flat(jumped), flat(jumped)), "iterating twice is not the same"


@settings(deadline=None, max_examples=60)
@given(count=st.integers(1, 40), batch_size=st.integers(1, 50), seed=st.integers(0, 1000))
def test_every_face_once_a_pass(count: int, batch_size: int, seed: int) -> None:
    batches = epochs(SeededBatches(count, batch_size, 5, seed), 3)
    stream = np.concatenate([batch.indices for batch in batches])
    assert len(stream) == 15 * batch_size
    for start in range(0, len(stream) - count + 1, count):
        assert sorted(stream[start : start + count]) == list(range(count))


def test_order_and_augmentation_change_from_pass_to_pass_and_seed_to_seed() -> None:
    batches = epochs(SeededBatches(20, 20, 3, 0), 2)
    orders = {tuple(batch.indices) for batch in batches}
    assert len(orders) == 6 and len({batch.seed for batch in batches}) == 6
    other = epochs(SeededBatches(20, 20, 3, 1), 2)
    assert not orders & {tuple(batch.indices) for batch in other}
    assert not {batch.seed for batch in batches} & {batch.seed for batch in other}


@settings(deadline=None, max_examples=40)
@given(world=st.integers(1, 4), steps=st.integers(1, 4), seed=st.integers(0, 100))
def test_ranks_interleave_into_the_stream_of_one_process(world: int, steps: int, seed: int) -> None:
    ranks = [epochs(SeededBatches(17, 4, steps, seed, rank, world), 3) for rank in range(world)]
    together = [batch for step in zip(*ranks, strict=True) for batch in step]
    # One process that accumulates over `world` micro-batches has `world` times as many in an epoch.
    assert same(together, epochs(SeededBatches(17, 4, steps * world, seed), 3))


def make_module(**settings: object) -> FaceDataModule:
    values: dict = {"size": 4, "steps_per_epoch": 3, "seed": 5, "augmentation": AugmentConfig()} | settings
    return FaceDataModule(toy_faces(10), toy_faces(7, seed=1), BatchSettings(**values))


def prepared(module: FaceDataModule, loader: object, training: bool) -> list[dict[str, torch.Tensor]]:
    module.trainer = SimpleNamespace(training=training, global_rank=0, world_size=1)
    return [module.on_after_batch_transfer(batch, 0) for batch in loader]


def test_training_batches_are_augmented_and_repeatable() -> None:
    module = make_module()
    first, second = (prepared(module, module.train_dataloader(), True) for _ in range(2))
    assert len(first) == 3
    for one, other in zip(first, second, strict=True):
        assert one["image"].shape == (4, 3, SIZE, SIZE) and one["image"].dtype == torch.float32
        assert set(one) == {"image", "landmarks", "yaw", "box", "index", "pose", "coefficients", "flipped"}
        for name, value in one.items():
            assert torch.equal(value, other[name]), name
    flipped = torch.cat([batch["flipped"] for batch in first])
    assert flipped.any() and not flipped.all()
    stream = SeededBatches(10, 4, 3, 5)
    poses = torch.from_numpy(module.train.pose[next(iter(stream)).indices])
    assert not torch.allclose(first[0]["pose"], poses)


def test_evaluation_batches_are_every_face_in_order_and_not_augmented() -> None:
    module = make_module(evaluation_size=3)
    batches = prepared(module, module.val_dataloader(), False)
    assert [len(batch["image"]) for batch in batches] == [3, 3, 1]
    for name in ("landmarks", "pose", "yaw", "box", "coefficients"):
        found = torch.cat([batch[name] for batch in batches]).numpy()
        np.testing.assert_array_equal(found, getattr(module.val, name))
    images = torch.cat([batch["image"] for batch in batches])
    expected = (module.val.images.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 128
    np.testing.assert_allclose(images.numpy(), expected, atol=1e-6)
    assert not torch.cat([batch["flipped"] for batch in batches]).any()


def test_faces_without_a_model_are_evaluated() -> None:
    faces = toy_faces(4)
    plain = type(faces)(faces.name, faces.images, faces.landmarks, faces.yaw, faces.box, None, None)
    module = FaceDataModule(faces, plain, BatchSettings(2, 1, 0, AugmentConfig()))
    (batch,) = prepared(module, module.val_dataloader(), False)
    assert "pose" not in batch and "coefficients" not in batch


def test_empty_sets_are_refused() -> None:
    faces = toy_faces(4)
    for train, val, what in ((faces.subset([]), faces, "training"), (faces, faces.subset([]), "validation")):
        with pytest.raises(UserError, match=f"the {what} set 'toy' holds no face"):
            FaceDataModule(train, val, BatchSettings(2, 1, 0, AugmentConfig()))
