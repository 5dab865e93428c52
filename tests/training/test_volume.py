"""The training on volumes: units, losses by hand, who learns in which half-step, weak labels, exact resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nasface.config import AugmentConfig, Experiment, OptimizerConfig, VolumeConfig
from nasface.data.augment import normalise
from nasface.data.module import BatchSettings, FaceDataModule
from nasface.faces.correspondences import point_matrix
from nasface.nets.baselines.jvcr import JVCR
from nasface.nets.baselines.jvcr_discriminator import discriminate
from nasface.nets.registry import create_network
from nasface.tracking.progress import TrainingProgress
from nasface.training.face_task import TaskContext
from nasface.training.fit import CHECKPOINT, TrainingPlan, fit
from nasface.training.targets.volume import Labelled, VolumeTask, coordinate_loss, voxel_loss
from nasface.training.targets.wild_faces import WildFaces, load_wild_faces
from nasface.training.tasks import make_task
from nasface.training.uv_target import UVTarget
from nasface.utils.errors import UserError
from tests.helpers.toy import SIZE, toy_basis, toy_context, toy_faces
from tests.training.toy_training import CPU

NONE = AugmentConfig(rotation=0, scale=0, shift=0, flip=0, colour=0, grey=0, erase=0, noise=0)
STEPS = 6


@pytest.fixture(scope="module")
def uv() -> UVTarget:
    return UVTarget(toy_basis(), SIZE)


def context_of(uv: UVTarget, volume: VolumeConfig, steps: int = STEPS, accumulate: int = 1) -> TaskContext:
    context = toy_context(optimizer=OptimizerConfig(lr=2e-3), steps=steps, uv=uv)
    retrain = replace(context.experiment.retrain, batch_size=4, accumulate=accumulate)
    return replace(context, experiment=replace(context.experiment, volume=volume, retrain=retrain))


def make(
    uv: UVTarget, wild: bool = False, name: str = "jvcr-1-64", steps: int = STEPS, accumulate: int = 1, **volume: Any
) -> VolumeTask:
    torch.manual_seed(0)
    network = create_network(name, SIZE, scale=1 / 16)
    faces = WildFaces(toy_faces(11, seed=5), 4, 3, AugmentConfig()) if wild else None
    task = VolumeTask(network, context_of(uv, VolumeConfig(**volume), steps, accumulate), faces)
    task.learn_statistics(toy_faces(30))
    return task


def batch_of(count: int, seed: int = 0) -> dict[str, Tensor]:
    faces = toy_faces(count, seed)
    return {
        "image": normalise(torch.from_numpy(faces.images)),
        "landmarks": torch.from_numpy(faces.landmarks),
        "pose": torch.from_numpy(faces.pose),
        "coefficients": torch.from_numpy(faces.coefficients),
        "flipped": torch.zeros(count, dtype=torch.bool),
        "box": torch.from_numpy(faces.box),
        "yaw": torch.from_numpy(faces.yaw),
    }


def weak(batch: dict[str, Tensor], deep: Sequence[int] = ()) -> dict[str, Tensor]:
    """The batch as of a set without a model, whose faces have no depth but those that are `deep`."""
    landmarks = batch["landmarks"].clone()
    landmarks[[face for face in range(len(landmarks)) if face not in deep], :, 2] = torch.nan
    return {name: value for name, value in batch.items() if name not in ("pose", "coefficients")} | {
        "landmarks": landmarks
    }


# Units and labels ----------------------------------------------------------------------------------------------------


def test_units(uv: UVTarget) -> None:
    task = make(uv)
    landmarks = torch.rand(2, 68, 3) * SIZE
    units = task.to_units(landmarks)
    assert units[..., 2].mean(1).abs().max() < 1e-5
    pixels = task.to_pixels(units)
    torch.testing.assert_close(pixels[..., :2], landmarks[..., :2])
    depth = landmarks[..., 2] - landmarks[..., 2].mean(1, keepdim=True)
    torch.testing.assert_close(pixels[..., 2], depth, rtol=0, atol=1e-4)
    # Cell 0 holds pixels 0 to 3, the last one the last four; depth 0 is the middle of the volume.
    corners = task.to_voxels(task.to_units(torch.tensor([[[1.5, SIZE - 2.5, 7.0]]]).expand(1, 68, 3)))
    torch.testing.assert_close(corners[0, 0], torch.tensor([0.0, SIZE / 4 - 1, (SIZE / 4 - 1) / 2]))


def test_labels_show_the_landmarks(uv: UVTarget) -> None:
    task, batch = make(uv, name="jvcr-5points-compact"), batch_of(3)
    labels = task.labels(batch, mixed=False)
    assert labels.deep == 3 and len(labels.heatmap) == 0
    assert [tuple(volume.shape) for volume in labels.volumes] == [(3, 1, depth, 8, 8) for depth in (1, 2, 4, 8)]
    points = torch.from_numpy(point_matrix(5)) @ batch["landmarks"]
    torch.testing.assert_close(task.to_pixels(labels.points)[..., :2], points[..., :2], rtol=0, atol=1e-3)
    for face in range(3):
        found = labels.volumes[-1][face, 0]
        voxels = task.to_voxels(labels.points[face]).round().long()
        for x, y, z in voxels.tolist():
            assert found[z, y, x] > 0.5
        assert (found > 0.5).sum() <= 5 * 15
    flat = task.draw(batch["image"], labels.points, deep=0).heatmap
    torch.testing.assert_close(labels.volumes[0][:, :, 0], flat)


def test_labels_and_landmarks_are_float32_under_autocast(uv: UVTarget) -> None:
    task, batch = make(uv, name="jvcr-5points-compact"), batch_of(3)

    def found() -> list[Tensor]:
        labels = task.labels(batch, mixed=False)
        return [labels.points, labels.heatmap, *labels.volumes, task.network.landmarks(labels.points)]

    plain = found()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (task.targets @ task.targets.T).dtype == torch.bfloat16, "autocast is not on: the test shows nothing"
        assert all(torch.equal(one, other) for one, other in zip(found(), plain, strict=True))


def test_errors_are_float32_under_autocast(uv: UVTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    task, batch = make(uv, name="jvcr-5points-compact").eval(), batch_of(3)
    points = torch.rand(3, 5, 3) - 0.5
    monkeypatch.setattr(task.network, "forward", lambda image: ([], points))
    plain = task.evaluate(batch)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert {name: error.tolist() for name, error in task.evaluate(batch)[1].items()} == {
            name: error.tolist() for name, error in plain.items()
        }


def test_colours_of_a_semantic_volume(uv: UVTarget) -> None:
    ordered, shuffled = make(uv), make(uv, colours="random")
    assert ordered.colours.shape == (68, 3) and not torch.equal(ordered.colours, shuffled.colours)
    assert make(uv, name="jvcr-compact").colours.shape == (68, 1)
    one, other = (task.labels(batch_of(2), mixed=False).volumes[-1] for task in (ordered, shuffled))
    assert not torch.allclose(one, other)
    torch.testing.assert_close(
        (one.amax(1) > 0.3).float().mean(), (other.amax(1) > 0.3).float().mean(), rtol=0.1, atol=0
    )


def test_a_batch_without_poses_has_2d_labels(uv: UVTarget) -> None:
    task, batch = make(uv), batch_of(3)
    labels = task.labels(weak(batch), mixed=False)
    assert labels.deep == 0 and labels.heatmap.shape == (3, 3, 8, 8) and len(labels.volumes[-1]) == 0
    deep = task.labels(batch, mixed=False)
    torch.testing.assert_close(labels.points[..., :2], deep.points[..., :2], rtol=0, atol=1e-4)
    for values in (task.joint(labels), task.pretraining(labels)):
        assert torch.isfinite(values["loss"])


def test_2d_labels_do_not_hold_depth(uv: UVTarget) -> None:
    task = make(uv)
    labels = task.labels(weak(batch_of(3)), mixed=False)
    moved = labels.points + torch.rand(3, 68, 3) * torch.tensor([0.0, 0.0, 1e3])
    assert float(coordinate_loss(moved, labels)) == 0


def test_faces_with_depth_go_before_the_others(uv: UVTarget) -> None:
    task, batch = make(uv), batch_of(4)
    labels, known = task.labels(weak(batch, deep=[1, 3]), mixed=False), task.labels(batch, mixed=False)
    assert labels.deep == 2 and labels.heatmap.shape[0] == 2
    order = [1, 3, 0, 2]
    torch.testing.assert_close(labels.image, batch["image"][order])
    torch.testing.assert_close(labels.points[..., :2], known.points[order][..., :2], rtol=0, atol=1e-4)
    torch.testing.assert_close(labels.points[:2, :, 2], known.points[[1, 3], :, 2], rtol=0, atol=1e-4)
    for drawn, whole in zip(labels.volumes, known.volumes, strict=True):
        torch.testing.assert_close(drawn, whole[[1, 3]], rtol=0, atol=1e-3)


def test_points_that_are_not_annotated_do_not_count(uv: UVTarget) -> None:
    task, batch = make(uv), batch_of(3)
    whole = task.labels(weak(batch, deep=range(3)), mixed=False)
    batch["landmarks"][1, 5] = torch.nan
    labels = task.labels(weak(batch, deep=range(3)), mixed=False)
    assert labels.deep == 3 and labels.known is not None and int((~labels.known).sum()) == 1
    moved = whole.points.clone()
    moved[1, 5] += 7
    assert float(coordinate_loss(moved, labels)) < 1e-3  # the mean depth is that of the other points
    moved[1, 6] += 7
    assert float(coordinate_loss(moved, labels)) > 1
    estimates = [volume.clone() for volume in whole.volumes]
    for estimate in estimates:
        estimate[1] = 1
    assert float(voxel_loss(estimates, labels)) == pytest.approx(0, abs=1e-6)
    estimates[0][0] += 1
    assert float(voxel_loss(estimates, labels)) > 1
    values = task.pretraining(labels)
    values["loss"].backward()
    assert all(torch.isfinite(one.grad).all() for one in task.network.parameters() if one.grad is not None)


def test_who_learns_from_volumes_learns_from_whole_faces(uv: UVTarget) -> None:
    """P from drawn volumes, and D what real ones are: as if the faces that lack a point were not there."""
    task, batch = make(uv, adversarial=True), batch_of(3)
    batch["landmarks"][1, 5] = torch.nan
    labels = task.labels(weak(batch, deep=range(3)), mixed=False)
    others = {name: value[[0, 2]] for name, value in weak(batch, deep=range(3)).items()}
    whole = task.labels(others, mixed=False)
    assert whole.known is None and len(whole.image) == 2
    expected = task.pretraining(whole)["coordinates"]
    torch.testing.assert_close(task.pretraining(labels)["coordinates"], expected)
    estimates = task.network.estimator(labels.image)
    found = task.discriminator_half(estimates, labels)["real"]
    expected = task.discriminator_half([one[[0, 2]] for one in estimates], whole)["real"]
    torch.testing.assert_close(found, expected)
    batch["landmarks"][:, 5] = torch.nan
    none = task.labels(weak(batch, deep=range(3)), mixed=False)
    assert "coordinates" not in task.pretraining(none)
    assert "real" not in task.discriminator_half(estimates, none)


def test_faces_that_all_lack_points_are_refused(uv: UVTarget) -> None:
    task, faces = make(uv), toy_faces(12)
    landmarks = faces.landmarks.copy()
    landmarks[:, [60, 64]] = np.nan
    with pytest.raises(UserError, match="has all 68 points whose volumes jvcr-1-64.* learns"):
        task.learn_statistics(replace(faces, landmarks=landmarks))
    make(uv, name="jvcr-5points-compact").learn_statistics(replace(faces, landmarks=landmarks))
    landmarks[3] = faces.landmarks[3]
    task.learn_statistics(replace(faces, landmarks=landmarks))


def test_wild_faces_join_after_pretraining(uv: UVTarget) -> None:
    task, batch = make(uv, wild=True), batch_of(3)
    assert len(task.labels(batch, mixed=False).image) == 3
    labels = task.labels(batch, mixed=True)
    assert len(labels.image) == 7 and labels.deep == 3 and len(labels.heatmap) == 4
    assert torch.equal(labels.image[:3], batch["image"])
    torch.testing.assert_close(labels.points[:3], task.labels(batch, mixed=False).points)


def test_wild_landmarks_move_with_their_images() -> None:
    """Toy landmarks are bright dots."""
    plain = WildFaces(toy_faces(12), 8, 1, NONE)
    images, landmarks = plain.batch(0)
    known = {tuple(face) for face in toy_faces(12).landmarks[:, 0, :2].tolist()}
    assert {tuple(face) for face in landmarks[:, 0].tolist()} < known
    moved = replace(plain, augmentation=replace(NONE, rotation=40, scale=0.3, shift=0.1, flip=0.5))
    shifted, points = moved.batch(0)
    assert not torch.allclose(points, landmarks, atol=1.0)
    grid = ((points + 0.5) * (2 / SIZE) - 1)[:, :, None]
    read = nn.functional.grid_sample(shifted[:, :1], grid, padding_mode="border", align_corners=False)[:, 0, :, 0]
    inside = ((points > 0) & (points < SIZE - 1)).all(-1)
    assert read[inside].mean() > shifted[:, 0].mean() + 0.3


def test_mirrored_wild_landmarks_keep_their_names() -> None:
    plain, flipped = (WildFaces(toy_faces(3), 3, 1, replace(NONE, flip=flip)) for flip in (0.0, 1.0))
    (image, landmarks), (turned, points) = plain.batch(2), flipped.batch(2)
    assert torch.equal(turned, image.flip(-1))
    torch.testing.assert_close(points[:, 36, 0], SIZE - 1 - landmarks[:, 45, 0])
    torch.testing.assert_close(points[:, 36, 1], landmarks[:, 45, 1])


def test_wild_faces_of_no_set_and_no_folder_are_one_line() -> None:
    with pytest.raises(UserError, match="volume.wild 'coff' is no folder, nor a set: 300w, 3dfaw, aflw, "):
        load_wild_faces(Experiment(), "coff", 32)


def test_wild_batches_are_a_function_of_their_number() -> None:
    wild = WildFaces(toy_faces(12), 4, 1, AugmentConfig())
    for one, other in zip(wild.batch(5), wild.batch(5), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(wild.batch(5)[1], wild.batch(6)[1])
    # Two processes' batches are the next two of one process.
    assert torch.equal(wild.batch(3, rank=1, world=2)[0], wild.batch(7)[0])


# Losses --------------------------------------------------------------------------------------------------------------


def some_labels(deep: int, flat: int) -> tuple[list[Tensor], Labelled]:
    torch.manual_seed(deep + 10 * flat)
    count = deep + flat
    volumes = [torch.rand(deep, 3, depth, 4, 4) for depth in (1, 4)]
    labels = Labelled(torch.rand(count, 3, 16, 16), torch.rand(count, 5, 3), volumes, torch.rand(flat, 3, 4, 4))
    return [torch.rand(count, 3, depth, 4, 4) for depth in (1, 4)], labels


@pytest.mark.parametrize(("deep", "flat"), [(2, 0), (0, 2), (1, 2)])
def test_voxel_loss_is_equation_7(deep: int, flat: int) -> None:
    estimates, labels = some_labels(deep, flat)
    expected = 0.0
    for stack in range(2):
        for face in range(deep + flat):
            for colour in range(3):
                for y in range(4):
                    for x in range(4):
                        column = estimates[stack][face, colour, :, y, x]
                        if face < deep:
                            difference = column - labels.volumes[stack][face, colour, :, y, x]
                            expected += float((difference**2).sum())
                        else:
                            expected += float((column.sum() - labels.heatmap[face - deep, colour, y, x]) ** 2)
    assert float(voxel_loss(estimates, labels)) == pytest.approx(expected / (deep + flat), rel=1e-5)


@pytest.mark.parametrize(("deep", "flat"), [(2, 0), (0, 2), (1, 2)])
def test_coordinate_loss_is_equation_8(deep: int, flat: int) -> None:
    labels = some_labels(deep, flat)[1]
    points = torch.rand(deep + flat, 5, 3)
    expected = 0.0
    for face in range(deep + flat):
        axes = 3 if face < deep else 2
        expected += float((((points - labels.points)[face, :, :axes] / 2) ** 2).sum())
    assert float(coordinate_loss(points, labels)) == pytest.approx(expected / (deep + flat), rel=1e-5)


def test_losses_are_in_the_papers_unit(uv: UVTarget) -> None:
    """Eq. (1) and (5) of one landmark against an empty volume: the integral of a squared Gaussian."""
    task = make(uv, name="jvcr-64-compact", sigma=1.0)
    task.targets, task.colours = task.targets[:1], task.colours[:1]
    labels = task.draw(torch.zeros(1, 3, SIZE, SIZE), torch.zeros(1, 1, 3), 1)
    empty = [torch.zeros_like(volume) for volume in labels.volumes]
    assert float(task.voxel_loss(empty, labels)) == pytest.approx((4 * np.pi) ** -1.5, rel=1e-3)


def moved_by(loss: Tensor, task: VolumeTask) -> set[str]:
    """The parts whose parameters all get a gradient; a part with some but not all fails."""
    task.zero_grad(set_to_none=True)
    loss.backward()
    found = set()
    for name, part in {"G": task.network.estimator, "P": task.network.regressor, "D": task.decoder}.items():
        reached = [parameter.grad is not None and bool(parameter.grad.any()) for parameter in part.parameters()]
        # Batch norm undoes the bias of the convolution before it: such a gradient is zero but for rounding.
        assert any(reached) == all(parameter.grad is not None for parameter in part.parameters()), name
        found |= {name} if any(reached) else set()
    return found


@pytest.mark.parametrize("flat", [False, True])
def test_each_half_step_moves_its_own_part(uv: UVTarget, flat: bool) -> None:
    task = make(uv, wild=flat, adversarial=True)
    task.mu.fill_(0.5)
    labels = task.labels(batch_of(3), mixed=flat)
    estimates = task.network.estimator(labels.image)
    half = task.discriminator_half(estimates, labels)
    assert moved_by(half["discriminator"], task) == {"P", "D"}
    values = task.generator_half(estimates, labels)
    assert all(value.requires_grad for value in values.values())
    assert moved_by(values["loss"], task) == {"G"}
    estimates = task.network.estimator(labels.image)
    assert moved_by(task.generator_half(estimates, labels)["adversarial"], task) == {"G"}
    assert all(parameter.requires_grad for parameter in task.parameters()), "a part stays frozen"


def test_the_other_steps_move_their_parts(uv: UVTarget) -> None:
    task = make(uv, adversarial=True)
    labels = task.labels(batch_of(3), mixed=False)
    values = task.pretraining(labels)
    assert moved_by(values["loss"], task) == {"G", "P"}
    assert moved_by(task.pretraining(labels)["voxels"], task) == {"G"}
    assert moved_by(task.pretraining(labels)["coordinates"], task) == {"P"}
    assert moved_by(task.joint(labels)["coordinates"], task) == {"G", "P"}, "the regressor's error does not reach G"


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("aux", [0.0, 0.1])
def test_the_discriminators_loss_is_equation_11(uv: UVTarget, flat: bool, aux: float) -> None:
    """Summed over faces, one by one: it falls with the reconstruction error of estimates, by mu."""
    task = make(uv, wild=flat, adversarial=True, aux=aux, coord=2.0).eval()
    labels = task.labels(batch_of(3), mixed=flat)
    estimates = [estimate.detach() for estimate in task.network.estimator(labels.image)]
    count, weight = len(labels.image), aux or 2.0
    for mu in (0.0, 0.25, 1.0):
        task.mu.fill_(mu)
        expected = 0.0
        for volumes, faces, sign in ((labels.volumes, labels.deep, 1.0), (estimates, count, -mu)):
            for face in range(faces):
                own, image = [volume[face : face + 1] for volume in volumes], labels.image[face : face + 1]
                remade, points = discriminate(task.network, task.decoder, own, image)
                axes = 3 if face < labels.deep else 2
                error = (points - labels.points[face])[..., :axes].square().sum() / 4
                expected += sign * task.reconstruction_loss(own, remade) + weight * error
        torch.testing.assert_close(count * task.discriminator_half(estimates, labels)["discriminator"], expected)


def test_an_isolated_discriminator_shares_nothing(uv: UVTarget) -> None:
    """The paper's aux of 0: the regressor still learns, and by its own error alone."""
    task = make(uv, adversarial=True, aux=0.0)
    task.mu.fill_(0.5)
    labels = task.labels(batch_of(3), mixed=False)
    estimates = task.network.estimator(labels.image)
    half = task.discriminator_half(estimates, labels)
    assert moved_by(half["real"], task) == {"D"}
    half = task.discriminator_half(estimates, labels)
    assert moved_by(half["discriminator"], task) == {"P", "D"}
    assert moved_by(task.generator_half(estimates, labels)["loss"], task) == {"G"}


def test_the_regressors_norms_average_over_estimates_alone(uv: UVTarget) -> None:
    """What it reads in evaluation; drawn volumes are of another kind."""
    task = make(uv, adversarial=True)
    labels = task.labels(batch_of(3), mixed=False)
    norm = next(module for module in task.network.regressor.modules() if isinstance(module, nn.BatchNorm3d))
    norm.momentum = 1.0
    estimates = task.network.estimator(labels.image)
    before = norm.running_mean.clone()
    task.discriminator_half(estimates, labels)
    assert torch.equal(norm.running_mean, before) and int(norm.num_batches_tracked) == 0
    task.generator_half(estimates, labels)
    tracked, count = norm.running_mean.clone(), int(norm.num_batches_tracked)
    task.network.points(estimates, labels.image)
    torch.testing.assert_close(norm.running_mean, tracked)
    assert count == 1 and not torch.allclose(tracked, before)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)), min_size=1, max_size=20))
def test_mu_stays_in_its_range(gaps: list[tuple[float, float]]) -> None:
    task = _MU.task()
    task.mu.zero_()
    for real, fake in gaps:
        before = float(task.mu)
        task.update_mu(torch.tensor(real), torch.tensor(fake))
        assert 0 <= task.mu <= 1
        expected = min(1.0, max(0.0, before + 0.001 * (0.7 * real - fake)))
        assert float(task.mu) == pytest.approx(expected, abs=1e-5)


class _MU:
    """One task for all examples."""

    made: VolumeTask | None = None

    @classmethod
    def task(cls) -> VolumeTask:
        if cls.made is None:
            cls.made = make(UVTarget(toy_basis(), SIZE), adversarial=True)
        return cls.made


# Training ------------------------------------------------------------------------------------------------------------


def train(
    task: VolumeTask, folder: Path, steps: int = STEPS, callbacks: tuple[pl.Callback, ...] = (), faces: int = 13
) -> VolumeTask:
    known = toy_faces(faces)
    data = FaceDataModule(known, known, BatchSettings(4, 2 * task.accumulate, 7, AugmentConfig()))
    fit(task, data, TrainingPlan(folder, "toy volume", steps, task.accumulate), CPU, callbacks)
    return task


class Stop(pl.Callback):
    """Breaks a training off before a batch."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def on_train_batch_start(self, *_: Any) -> None:
        if self.left == 0:
            raise RuntimeError("stop")
        self.left -= 1


class Record(pl.Callback):
    """The names of the logged losses, and the steps done, after every batch."""

    def __init__(self) -> None:
        self.names: list[set[str]] = []
        self.steps: list[int] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        self.names.append({name for name in trainer.callback_metrics if name.startswith("train/")})
        self.steps.append(pl_module.steps_done)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_an_interrupted_adversarial_training_goes_on_exactly(uv: UVTarget, tmp_path: Path, accumulate: int) -> None:
    def fresh() -> VolumeTask:
        return make(uv, wild=True, adversarial=True, pretrain=0.3, accumulate=accumulate, gamma=3.0, balance=0.05)

    record = Record()
    whole = train(fresh(), tmp_path / "whole", callbacks=(record,))
    assert record.steps == [(batch + 1) // accumulate for batch in range(STEPS * accumulate)]
    with pytest.raises(RuntimeError, match="stop"):
        train(fresh(), tmp_path / "cut", callbacks=(Stop(5 * accumulate - 1),))
    kept = torch.load(tmp_path / "cut" / CHECKPOINT, weights_only=True)
    assert int(kept["state_dict"]["batches"]) == 4 * accumulate
    resumed = train(fresh(), tmp_path / "cut")
    assert 0 < whole.mu < 1, "mu did not move: the test shows nothing"
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    first = fresh().state_dict()
    assert all(not torch.equal(first[name], value) for name, value in whole.named_parameters())


def test_stages_and_the_progress_bar(uv: UVTarget, tmp_path: Path) -> None:
    class Bar(TrainingProgress):
        shown: list[int] = []

        def on_train_batch_end(self, *arguments: Any) -> None:
            super().on_train_batch_end(*arguments)
            self.shown.append(self._bar.n)

    record, bar = Record(), Bar("training", STEPS)
    train(make(uv, adversarial=True, pretrain=0.5), tmp_path, callbacks=(record, bar))
    assert bar.shown == record.steps == [1, 2, 3, 4, 5, 6]
    assert ["train/fake" in names for names in record.names] == [False, False, False, True, True, True]


def test_learning_rates_of_the_stages(uv: UVTarget) -> None:
    task = make(uv, adversarial=True, pretrain=0.5, finetune_lr=0.1)
    task.optimizer_config = OptimizerConfig(lr=1e-3, schedule="constant")

    class Trainer:
        precision = "32-true"

    task._trainer = None
    made = pytest.MonkeyPatch()
    with made.context() as patch:
        patch.setattr(VolumeTask, "trainer", Trainer())
        one, other = task.configure_optimizers()
    for group in (one, other):
        factor = group["lr_scheduler"].lr_lambdas[0]
        assert [factor(step) for step in range(6)] == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1])
    counts = [sum(p.numel() for p in group["optimizer"].param_groups[0]["params"]) for group in (one, other)]
    assert sum(counts) == sum(p.numel() for p in task.parameters())
    assert counts[0] == sum(p.numel() for p in task.network.estimator.parameters())


def test_a_loss_that_is_no_number_says_its_step(uv: UVTarget, tmp_path: Path) -> None:
    task = make(uv, pretrain=0.0)
    task.network.regressor.output.bias.data.fill_(float("nan"))
    with pytest.raises(UserError, match="the training loss became nan at step 0: lower the learning rate"):
        train(task, tmp_path)


def overfit(task: VolumeTask, learn: Callable[[Labelled], dict[str, Tensor]], steps: int, lr: float) -> None:
    labels = task.labels(batch_of(8), mixed=False)
    optimizer = torch.optim.Adam(task.network.parameters(), lr=lr)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - step / steps)
        optimizer.zero_grad()
        learn(labels)["loss"].backward()
        optimizer.step()


def test_eight_faces_are_learned_by_heart(uv: UVTarget) -> None:
    task, batch = make(uv, name="jvcr-64"), batch_of(8)
    with torch.no_grad():
        first = (task.eval().points(batch["image"]) - batch["landmarks"])[..., :2].norm(dim=-1).mean()
    overfit(task.train(), task.joint, 150, 2e-3)
    with torch.no_grad():
        error = task.eval().points(batch["image"]) - batch["landmarks"]
    depth = error[..., 2] - error[..., 2].mean(1, keepdim=True)
    assert first > 1.5
    assert error[..., :2].norm(dim=-1).mean() < 0.2, "pixels of 32"
    assert depth.abs().mean() < 0.2


# Evaluation ----------------------------------------------------------------------------------------------------------


class Knows(nn.Module):
    """Stands for a network that knows all answers."""

    def __init__(self, network: JVCR, points: Tensor) -> None:
        super().__init__()
        self.inner, self.answer = network, points
        self.spec, self.layout, self.side = network.spec, network.layout, network.side

    def landmarks(self, points: Tensor) -> Tensor:
        return self.inner.landmarks(points)

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        return [], self.answer


@pytest.mark.parametrize("name", ["jvcr-64", "jvcr-5points"])
def test_what_is_evaluated(uv: UVTarget, name: str) -> None:
    task, batch = make(uv, name=name), batch_of(4)
    true = task.targets @ task.to_units(batch["landmarks"])
    # 3 and 4 pixels to the side, 12 deeper at half of the points.
    offset = torch.tensor([3.0, 4.0, 0.0]).expand(true.shape).clone()
    task.network = Knows(task.network, true + offset * 2 / SIZE)
    prediction, errors = task.evaluate(batch)
    percent = 100 / batch["box"].prod(-1).sqrt()
    torch.testing.assert_close(errors["nme"], 5 * percent, rtol=1e-3, atol=0)
    torch.testing.assert_close(errors["nme_3d"], 5 * percent, rtol=1e-3, atol=0)
    torch.testing.assert_close(prediction.landmarks, task(batch["image"]).landmarks, rtol=0, atol=0)
    assert prediction.dense is None and prediction.landmarks.shape == (4, 68, 3)
    if name == "jvcr-64":
        found = prediction.landmarks - batch["landmarks"]
        torch.testing.assert_close(found[..., :2], offset[..., :2], rtol=0, atol=1e-3)


def test_the_registry_leads_here(uv: UVTarget) -> None:
    network = create_network("jvcr-64", SIZE, scale=1 / 16)
    task = make_task(network, context_of(uv, VolumeConfig()))
    assert type(task) is VolumeTask and task.wild is None and task.decoder is None and task.mirrors


def test_scaled_gradients_are_refused() -> None:
    with pytest.raises(UserError, match="no loss scaling: give device.precision bf16-mixed"):
        VolumeTask.on_fit_start(SimpleNamespace(trainer=SimpleNamespace(precision="16-mixed")))  # type: ignore[arg-type]
    VolumeTask.on_fit_start(SimpleNamespace(trainer=SimpleNamespace(precision="bf16-mixed")))  # type: ignore[arg-type]
